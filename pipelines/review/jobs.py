"""The jobs of the review app: runs for re-rolls and picks, one after another, in the background."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from pipelines.common.errors import InterruptedRunError, StoryreelError
from pipelines.common.settings import Settings
from pipelines.review.events import Event, Failure, Progressed
from pipelines.run.local import run_locally
from pipelines.run.observer import RunObserver
from pipelines.run.progress import Progress
from pipelines.storyboard.model import Storyboard
from pipelines.storyboard.selection import ExtraTakes

_TICK_S = 0.25


class Jobs:
    """Does one run at a time, and publishes how each goes on. For one event loop."""

    def __init__(
        self,
        settings: Settings,
        *,
        read_board: Callable[[], Storyboard],
        publish: Callable[[Event], None],
        on_change: Callable[[], Awaitable[None]],
    ) -> None:
        """Set up an empty queue.

        Args:
            settings: of every run.
            read_board: returns the storyboard as it is when a run starts.
            publish: receives the events.
            on_change: called when a run has changed something that the page shows.
        """
        self._settings = settings
        self._read_board = read_board
        self._publish = publish
        self._on_change = on_change
        self._queue: asyncio.Queue[ExtraTakes] = asyncio.Queue()
        self._observer: RunObserver | None = None
        self._closing = False

    @property
    def progressed(self) -> Progressed:
        """How far the run at work is, if any is at work."""
        return Progressed(self._observer.progress.counters if self._observer else None)

    def submit(self, takes: ExtraTakes) -> None:
        """Queue a run that generates these takes, then cuts the film."""
        self._queue.put_nowait(takes)

    def submit_cut(self) -> None:
        """Queue a run that only cuts the film, unless a queued one will do that anyway."""
        if self._queue.empty():
            self._queue.put_nowait(ExtraTakes())

    async def work(self) -> None:
        """Do what is submitted, until `stop`."""
        while not self._closing:
            takes = await self._queue.get()
            running = asyncio.create_task(self._run(takes))
            # Not awaited itself: whatever goes wrong in one run, the next one is still to come.
            await asyncio.wait([running])
            if error := running.exception():
                known = isinstance(error, StoryreelError)
                self._publish(
                    Failure(str(error) if known else f"this is a bug in storyreel: {error!r}; please report it")
                )
            await self._on_change()
            self._publish(self.progressed)

    async def stop(self, working: "asyncio.Task[None]") -> None:
        """Stop the run at work, await what it has in flight, and end `work`, which runs as the task `working`."""
        self._closing = True
        if self._observer is None:
            working.cancel()
        else:
            # What is in flight is paid for, and awaited.
            closed = InterruptedRunError("the review was closed")
            self._observer.stop_signal.stop(closed, grace_period_s=self._settings.stop_patience_s)
        with contextlib.suppress(asyncio.CancelledError):
            await working

    async def _run(self, takes: ExtraTakes) -> None:
        observer = self._observer = RunObserver()
        progress = observer.progress
        self._publish(self.progressed)
        progress.listen(lambda: self._publish(self.progressed))
        ticking = asyncio.create_task(self._tick(progress))
        try:
            await run_locally(self._read_board(), self._settings, takes, observer=observer, handle_signals=False)
        finally:
            ticking.cancel()
            self._observer = None

    async def _tick(self, progress: Progress) -> None:
        """Publish the counters now and then: not every one of them has a listener."""
        generated = 0
        while True:
            await asyncio.sleep(_TICK_S)
            self._publish(self.progressed)
            if progress.generated != generated:
                generated = progress.generated
                await self._on_change()
