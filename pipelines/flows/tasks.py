"""Prefect tasks: a task run for each frame that is bought."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from pipelines.run.worker import Failed, Generated, TakeGenerator, TakeOutcome
from pipelines.storyboard.plan import FrameSpec


class TakeFailedError(Exception):
    """Marks the task run of a frame as failed; carries the outcome."""

    def __init__(self, outcome: Failed) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


# Retry belongs to the attempt loop, which knows what could have been billed.
@task(name="buy-frame", task_run_name="{label}", retries=0, cache_policy=NO_CACHE, persist_result=False)
async def generate_take(label: str, spec: FrameSpec, buyer: TakeGenerator) -> TakeOutcome:
    """Buy one frame; the task run's log says what happened.

    Raises:
        TakeFailedError: the frame could not be bought.
    """
    log = get_run_logger()
    outcome = await buyer.buy(spec, note=log.info)
    if isinstance(outcome, Failed):
        raise TakeFailedError(outcome)
    if isinstance(outcome, Generated):
        log.info("%s: bought with %d request(s)", label, outcome.requests)
    return outcome
