"""The order in which takes are generated, how many at once, and the signal that stops it all."""

import asyncio
import contextlib
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pipelines.common.errors import StoryreelError
from pipelines.storyboard.plan import TakeSpec

R = TypeVar("R")

# Takes that wait before the gate: enough that it never waits for one, few enough that they stay in order.
QUEUE_LENGTH = 4


class StopSignal:
    """The signal that stops a run: nothing new is sent after it, and what is in flight is awaited.

    It cannot be taken back. For use in one event loop.

    Attributes:
        error: why the run was stopped; None as long as it was not.
        given_up: whether what was in flight is not awaited to the end of the grace period.
    """

    def __init__(self) -> None:
        self._stopped = asyncio.Event()
        self._grace_period_over = asyncio.Event()
        self.error: StoryreelError | None = None
        self.given_up = False

    def stop(self, error: StoryreelError, *, grace_period_s: float | None = None) -> None:
        """Stop the run; of several errors the first one counts.

        What is in flight is awaited to its end, or for `grace_period_s` where that is given.
        """
        self.error = self.error or error
        self._stopped.set()
        if grace_period_s is not None:
            asyncio.get_running_loop().call_later(grace_period_s, self._grace_period_over.set)

    def give_up(self) -> None:
        """End the grace period now."""
        self.given_up = True
        self._grace_period_over.set()

    @property
    def stopped(self) -> bool:
        """Whether the run is to stop."""
        return self._stopped.is_set()

    async def grace_period_over(self) -> None:
        """Wait until the grace period is over; forever if the run is not stopped with one."""
        await self._grace_period_over.wait()

    async def run_until_stopped(self, work: Coroutine[Any, Any, R]) -> R:
        """Do `work`, which costs nothing to give up, unless the signal comes first.

        Raises:
            StoryreelError: the signal came; `work` has been cancelled and has ended.
        """
        working = asyncio.create_task(work)
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait((working, stopped), return_when=asyncio.FIRST_COMPLETED)
            # Work that ends in the same moment as the signal comes is done, not given up.
            if working.done():
                return working.result()
            assert self.error is not None
            raise self.error
        finally:
            for task in (working, stopped):
                task.cancel()
            # A cancelled task still cleans up after itself: it must not do so beside what the caller does next.
            await asyncio.wait((working, stopped))

    async def wait(self) -> StoryreelError:
        """Wait for the signal; return why it came."""
        await self._stopped.wait()
        assert self.error is not None
        return self.error

    async def pause(self, seconds: float) -> None:
        """Sleep, but no longer than until the signal comes."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()


class AdmissionQueue:
    """The queue before the gate: takes enter in order, a few at a time, and no more than may be in flight."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._waiting: set[str] = set()
        self._active: set[str] = set()
        self._moved = asyncio.Condition()

    async def enter(self, key: str) -> None:
        """Wait until the take of this request key may enter, and enter it."""
        async with self._moved:
            await self._moved.wait_for(
                lambda: len(self._waiting) < QUEUE_LENGTH and len(self._active) < self._concurrency
            )
            self._waiting.add(key)
            self._active.add(key)

    async def admitted(self, key: str) -> None:
        """Record that the take's first attempt has passed the gate, or needs not pass it."""
        async with self._moved:
            self._waiting.discard(key)
            self._moved.notify_all()

    async def leave(self, key: str) -> None:
        """Record that the take is done."""
        async with self._moved:
            self._waiting.discard(key)
            self._active.discard(key)
            self._moved.notify_all()


async def generate_in_order(
    specs: AsyncIterable[TakeSpec],
    generate: Callable[[TakeSpec], Awaitable[R]],
    *,
    queue: AdmissionQueue,
    stop_signal: StopSignal,
) -> list[R]:
    """Generate `specs` concurrently, started in their order; return the outcomes of those that started and ended.

    Raises:
        Exception: the first bug that `generate` ran into, once everything that was in flight has ended.
    """
    batch = _Batch(generate, queue, stop_signal)
    all_done = asyncio.create_task(batch.run(specs))
    grace_period_over = asyncio.create_task(stop_signal.grace_period_over())
    try:
        await asyncio.wait((all_done, grace_period_over), return_when=asyncio.FIRST_COMPLETED)
    finally:
        # What is given up, paid for or not, must at least have ended before the ledger and the client are closed.
        tasks = (all_done, grace_period_over, *batch.started)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    if not all_done.cancelled():
        # A bug in what hands them out.
        all_done.result()
    return _results([task for task in batch.started if not task.cancelled()])


@dataclass(frozen=True, slots=True)
class _Batch(Generic[R]):
    """Some takes that are generated concurrently; `started` holds a task for each that has stepped in."""

    generate: Callable[[TakeSpec], Awaitable[R]]
    queue: AdmissionQueue
    stop_signal: StopSignal
    started: list["asyncio.Task[R]"] = field(default_factory=list)

    async def run(self, specs: AsyncIterable[TakeSpec]) -> None:
        try:
            async for spec in specs:
                await self.queue.enter(spec.request_key)
                if self.stop_signal.stopped:
                    break
                self.started.append(asyncio.create_task(self._run_one(spec)))
        except StoryreelError as error:
            # The ledger hands out no more; what is in flight is awaited all the same.
            self.stop_signal.stop(error)
        # gather would hand up the first exception and leave the others, paid for, running unwatched.
        if self.started:
            await asyncio.wait(self.started)

    async def _run_one(self, spec: TakeSpec) -> R:
        try:
            return await self.generate(spec)
        except BaseException:
            self.stop_signal.stop(StoryreelError(f"{spec.label}: an unforeseen error stopped the run"))
            raise
        finally:
            await self.queue.leave(spec.request_key)


def _results(ended: Sequence[asyncio.Task[R]]) -> list[R]:
    # All exceptions are fetched before the first is raised: asyncio complains of one that was never fetched.
    bugs = [bug for task in ended if (bug := task.exception())]
    if bugs:
        raise bugs[0]
    return [task.result() for task in ended]
