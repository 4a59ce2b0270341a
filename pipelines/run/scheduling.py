"""How a run is conducted: in what order frames step up, how many at once, and how it all stops."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from pipelines.common.errors import StoryreelError
from pipelines.storyboard.plan import FrameSpec

R = TypeVar("R")

# Frames that stand in line before the gate: enough that it never waits for one, few enough to keep their order.
QUEUE_LENGTH = 4


class StopSignal:
    """Stops a run: once pulled, nothing new is sent, and what is in flight is awaited."""

    def __init__(self) -> None:
        self._pulled = asyncio.Event()
        self._impatient = asyncio.Event()
        self.error: StoryreelError | None = None

    def stop(self, error: StoryreelError, *, patience_s: float | None = None) -> None:
        """Stop the run; the first error is the one that counts.

        What is in flight is awaited to its end, or for `patience_s` where that is given.
        """
        self.error = self.error or error
        self._pulled.set()
        if patience_s is not None:
            asyncio.get_running_loop().call_later(patience_s, self._impatient.set)

    @property
    def stopped(self) -> bool:
        """Whether the run is to stop."""
        return self._pulled.is_set()

    async def grace_period_over(self) -> None:
        """Wait until what is in flight need no longer be awaited."""
        await self._impatient.wait()

    async def run_until_stopped(self, work: Coroutine[Any, Any, R]) -> R:
        """Do `work`, which costs nothing to give up, unless the stop_signal is pulled first.

        Raises:
            StoryreelError: the stop_signal was pulled; `work` has been cancelled and has ended.
        """
        working = asyncio.create_task(work)
        pulled = asyncio.create_task(self._pulled.wait())
        try:
            await asyncio.wait((working, pulled), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            assert self.error is not None
            raise self.error
        finally:
            for task in (working, pulled):
                task.cancel()
            await asyncio.wait((working, pulled))

    async def pause(self, seconds: float) -> None:
        """Sleep, but no longer than until the stop_signal is pulled."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._pulled.wait()


class AdmissionQueue:
    """The line before the gate: takes step in by their key, a few at a time, and no more than may be in flight."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._waiting: set[str] = set()
        self._active: set[str] = set()
        self._moved = asyncio.Condition()

    async def enter(self, key: str) -> None:
        """Wait until the take may step in."""
        async with self._moved:
            await self._moved.wait_for(
                lambda: len(self._waiting) < QUEUE_LENGTH and len(self._active) < self._concurrency
            )
            self._waiting.add(key)
            self._active.add(key)

    async def admitted(self, key: str) -> None:
        """Say that the take's first attempt has passed the gate."""
        async with self._moved:
            self._waiting.discard(key)
            self._moved.notify_all()

    async def leave(self, key: str) -> None:
        """Say that the take is done."""
        async with self._moved:
            self._waiting.discard(key)
            self._active.discard(key)
            self._moved.notify_all()


async def generate_in_order(
    specs: Sequence[FrameSpec],
    buy: Callable[[FrameSpec], Awaitable[R]],
    *,
    line: AdmissionQueue,
    stop_signal: StopSignal,
) -> list[R]:
    """Buy `specs` concurrently, started in their order; return the outcomes of those that were started and ended.

    Raises:
        Exception: the first bug that `buy` ran into, once everything that was in flight has ended.
    """

    async def buy_one(spec: FrameSpec) -> R:
        try:
            return await buy(spec)
        except BaseException:
            stop_signal.stop(StoryreelError(f"{spec.label}: an unforeseen error stopped the run"))
            raise
        finally:
            await line.leave(spec.request_key)

    async def buy_all() -> None:
        for spec in specs:
            await line.enter(spec.request_key)
            if stop_signal.stopped:
                break
            buying.append(asyncio.create_task(buy_one(spec)))
        # gather would hand up the first exception and leave the others, paid for, running unwatched.
        if buying:
            await asyncio.wait(buying)

    buying: list[asyncio.Task[R]] = []
    all_bought, impatient = asyncio.create_task(buy_all()), asyncio.create_task(stop_signal.grace_period_over())
    try:
        await asyncio.wait((all_bought, impatient), return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Whoever does not wait for what is paid for shall at least not meet it after everything is closed.
        tasks = (all_bought, impatient, *buying)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    return _results([task for task in buying if not task.cancelled()])


def _results(ended: Sequence[asyncio.Task[R]]) -> list[R]:
    # All are asked before the first is raised: the loop complains of an exception that nobody asked for.
    bugs = [bug for task in ended if (bug := task.exception())]
    if bugs:
        raise bugs[0]
    return [task.result() for task in ended]
