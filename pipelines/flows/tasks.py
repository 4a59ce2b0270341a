"""The Prefect task `generate-take`: a task run for each take that is generated."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from pipelines.run.outcomes import Failed, TakeOutcome
from pipelines.run.take_log import generate_logged
from pipelines.run.worker import TakeGenerator
from pipelines.storyboard.plan import TakeSpec


class TakeFailedError(Exception):
    """The take could not be generated: marks its task run as failed, and carries the outcome."""

    def __init__(self, outcome: Failed) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


# No retries by Prefect: only the attempt loop knows what could have been billed. No cache: that is the store of takes.
@task(name="generate-take", task_run_name="{spec.label}", retries=0, cache_policy=NO_CACHE, persist_result=False)
async def generate_take(spec: TakeSpec, generator: TakeGenerator) -> TakeOutcome:
    """Generate one take; the task run's log says what happened, in the words of a local run's.

    Raises:
        TakeFailedError: the take could not be generated.
    """
    outcome = await generate_logged(generator, spec, also=get_run_logger().info)
    if isinstance(outcome, Failed):
        raise TakeFailedError(outcome)
    return outcome
