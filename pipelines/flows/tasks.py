"""The Prefect task `generate-takes`: a task run for each take that is generated, or for a group of them."""

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, cast

from prefect import State, task
from prefect.cache_policies import NO_CACHE

from pipelines.common.formatting import counted
from pipelines.flows.task_states import Abandoned, task_state
from pipelines.run.generation import Generate, Settled
from pipelines.run.outcomes import Postponed, TakeOutcome, Unsent
from pipelines.run.take_log import generate_logged
from pipelines.run.worker import TakeGenerator
from pipelines.storyboard.plan import TakeSpec

# A task run is three events to Prefect's server, which records one event after another, and drops what comes while
# 10,000 of them wait. However fast a run is, so many fill a third of that.
_MAX_TASK_RUNS = 1000


@contextlib.asynccontextmanager
async def generating_in_task_runs(
    generator: TakeGenerator, takes: Sequence[TakeSpec], settled: Settled, *, max_task_runs: int = _MAX_TASK_RUNS
) -> AsyncIterator[Generate]:
    """Yield how one of these takes is generated: in a task run of its own, or of a group where they are many.

    See `run.generation.Generating`.
    """
    size = max(-(-len(takes) // max_task_runs), 1)
    groups = [TakeGroup(generator, takes[start : start + size], settled) for start in range(0, len(takes), size)]
    group_of = {spec.request_key: group for group in groups for spec in group.takes}

    async def generate(spec: TakeSpec) -> TakeOutcome:
        return await group_of[spec.request_key].generate(spec)

    try:
        yield generate
    finally:
        for group in groups:
            await group.close()


class TakeGroup:
    """Takes that follow each other, in one task run, which begins with the first that is generated, and ends with all.

    What is logged of a take stands in the log of the task run.
    """

    def __init__(self, generator: TakeGenerator, takes: Sequence[TakeSpec], settled: Settled) -> None:
        self.takes = takes
        self._settled = settled
        self._generator = generator
        self._outcomes: dict[str, TakeOutcome | Abandoned] = {}
        self._task_run: asyncio.Task[State[None]] | None = None
        self._begun: asyncio.Future[contextvars.Context] = asyncio.get_running_loop().create_future()
        self._over = asyncio.Event()

    @property
    def label(self) -> str:
        """The task run's name: of its take, or of its first and last."""
        first, last = self.takes[0], self.takes[-1]
        return first.label if first is last else f"{first.label} to {last.label}, {counted(len(self.takes), 'take')}"

    async def generate(self, spec: TakeSpec) -> TakeOutcome:
        """Generate one of the takes."""
        context = await self._enter()
        self._outcomes[spec.request_key] = Abandoned(spec)
        generating = asyncio.create_task(generate_logged(self._generator, spec), context=context.copy())
        outcome = self._outcomes[spec.request_key] = await generating
        # One that is postponed comes again, unless another run keeps it.
        if not any(isinstance(self._outcome(take), Postponed | Abandoned | Unsent) for take in self.takes):
            self._over.set()
        return outcome

    async def run(self) -> State[None]:
        """Be the task run's body: last until all takes have ended, or the group is closed; return their state."""
        self._begun.set_result(contextvars.copy_context())
        await self._over.wait()
        return task_state([self._outcome(spec) for spec in self.takes])

    def _outcome(self, spec: TakeSpec) -> TakeOutcome | Abandoned:
        """Return what has become of one of the takes so far, here or by another run."""
        outcome = self._settled.get(spec.request_key) or self._outcomes.get(spec.request_key)
        return outcome or Unsent(spec)

    async def close(self) -> None:
        """End the task run, if it has begun, and wait until Prefect has its state."""
        self._over.set()
        if self._task_run:
            await self._task_run

    async def _enter(self) -> contextvars.Context:
        """Begin the task run, if none has; return its context, in which its takes are generated."""
        if self._task_run is None:
            # Its type leaves out that the task is asynchronous.
            beginning = cast("Coroutine[Any, Any, State[None]]", generate_takes(self, return_state=True))
            self._task_run = asyncio.create_task(beginning)
            self._task_run.add_done_callback(self._hand_on_failure)
        # Shielded: several takes wait for it, and one may be cancelled.
        return await asyncio.shield(self._begun)

    def _hand_on_failure(self, task_run: "asyncio.Task[State[None]]") -> None:
        """Let no take wait for a task run that Prefect could not begin."""
        if not self._begun.done():
            error = None if task_run.cancelled() else task_run.exception()
            self._begun.set_exception(error or RuntimeError("Prefect ended a task run before it began"))


# No retries by Prefect: only the attempt loop knows what could have been billed. No cache: that is the store of takes.
@task(name="generate-takes", task_run_name="{group.label}", retries=0, cache_policy=NO_CACHE, persist_result=False)
async def generate_takes(group: TakeGroup) -> State[None]:
    """Generate one take, or several that follow each other, and end as they ended."""
    return await group.run()
