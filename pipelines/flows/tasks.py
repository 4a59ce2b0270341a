"""The Prefect task `generate-take`: a task run for each take that is generated."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from pipelines.run.worker import Failed, Generated, TakeGenerator, TakeOutcome
from pipelines.storyboard.plan import TakeSpec


class TakeFailedError(Exception):
    """The take could not be generated: marks its task run as failed, and carries the outcome."""

    def __init__(self, outcome: Failed) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


# No retries by Prefect: only the attempt loop knows what could have been billed. No cache: that is the store of takes.
@task(name="generate-take", task_run_name="{label}", retries=0, cache_policy=NO_CACHE, persist_result=False)
async def generate_take(label: str, spec: TakeSpec, generator: TakeGenerator) -> TakeOutcome:
    """Generate one take; the task run's log says what happened.

    Raises:
        TakeFailedError: the take could not be generated.
    """
    log = get_run_logger()
    outcome = await generator.generate(spec, log=log.info)
    if isinstance(outcome, Failed):
        raise TakeFailedError(outcome)
    if isinstance(outcome, Generated):
        log.info("%s: generated with %d request(s)", label, outcome.requests)
    return outcome
