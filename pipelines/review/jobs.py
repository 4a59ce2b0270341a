"""The jobs of the review app: runs for re-rolls and picks, one after another, in the background."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from pipelines.common.errors import InterruptedRunError, StoryreelError
from pipelines.common.quality import Quality
from pipelines.common.settings import Settings
from pipelines.review.events import Event, Failure, Progressed
from pipelines.run.local import run_locally
from pipelines.run.observer import RunObserver
from pipelines.run.progress import Progress
from pipelines.storyboard.model import Storyboard
from pipelines.storyboard.selection import ExtraTakes

_POLL_INTERVAL_S = 0.25
_CLOSED = "the review was closed: what was paid for is kept; run again to complete"

# Shows the progress of a run for as long as what it returns is entered.
ShowStopping = Callable[[Progress], contextlib.AbstractContextManager[None]]


class Jobs:
    """A queue of runs that are made one at a time. For one event loop.

    Attributes:
        interruption: how the run ended that was at work as the review was closed; None without one.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        read_board: Callable[[], Storyboard],
        publish: Callable[[Event], None],
        on_change: Callable[[], Awaitable[None]],
        show_stopping: ShowStopping,
    ) -> None:
        """Set up an empty queue.

        Args:
            settings: of every run; films are drafts where they name no quality.
            read_board: returns the storyboard as it is when a run starts.
            publish: called with the progress and the failures of the runs.
            on_change: called when a run has changed something that the page shows.
            show_stopping: shows the progress of the run at work while it is being stopped.
        """
        self._settings = settings.model_copy(update={"quality": settings.quality or Quality.DRAFT})
        self._read_board = read_board
        self._publish = publish
        self._on_change = on_change
        self._show_stopping = show_stopping
        self._queue: asyncio.Queue[ExtraTakes] = asyncio.Queue()
        self._observer: RunObserver | None = None
        self._running: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._stopped_display = contextlib.ExitStack()
        self.interruption: InterruptedRunError | None = None

    @property
    def progressed(self) -> Progressed:
        """The progress of the run at work, if any is at work."""
        return Progressed(self._observer.progress.counters if self._observer else None)

    def submit(self, takes: ExtraTakes) -> None:
        """Queue a run that generates these takes, then cuts the film."""
        self._queue.put_nowait(takes)

    def submit_cut(self) -> None:
        """Queue a run that only cuts the film, unless a queued one will do that anyway."""
        if self._queue.empty():
            self._queue.put_nowait(ExtraTakes())

    async def work(self) -> None:
        """Make the queued runs, until `stop`."""
        while not self._stopping.is_set():
            takes = await self._queue.get()
            # Asked for by a page that was still open.
            if self._stopping.is_set():
                return
            # Set before the run's task exists: from here on, `stop` stops the run instead of cancelling its task.
            observer = self._observer = RunObserver()
            running = self._running = asyncio.create_task(self._run(takes, observer))
            # Waited for, but not awaited: an error of one run must not end the loop that makes the next ones.
            await asyncio.wait([running])
            self._observer = self._running = None
            error = InterruptedRunError() if running.cancelled() else running.exception()
            if isinstance(error, InterruptedRunError):
                self.interruption = error
            if error:
                self._publish(_failure(error))
            await self._on_change()
            self._publish(self.progressed)

    def interrupt(self) -> None:
        """Stop the run at work, and make no further one."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._observer:
            # Requests in flight are paid for: their answers are awaited for a while.
            self._observer.interrupt(InterruptedRunError(_CLOSED), grace_period_s=self._settings.stop_patience_s)
            self._stopped_display.enter_context(self._show_stopping(self._observer.progress))

    def give_up(self) -> None:
        """Await nothing any longer of what the run at work has in flight."""
        if self._observer and self._running:
            self._observer.stop_signal.give_up()
            self._running.cancel()

    async def stop(self, working: "asyncio.Task[None]") -> None:
        """Stop the run at work, await what it has in flight, and end `work`, which runs as the task `working`."""
        self.interrupt()
        if self._observer is None:
            # No run is at work: the loop only waits for the next one.
            working.cancel()
        with self._stopped_display, contextlib.suppress(asyncio.CancelledError):
            await working

    async def _run(self, takes: ExtraTakes, observer: RunObserver) -> None:
        self._publish(self.progressed)
        observer.progress.listen(lambda: self._publish(self.progressed))
        polling = asyncio.create_task(self._poll(observer.progress))
        try:
            await run_locally(self._read_board(), self._settings, takes, observer=observer, handle_signals=False)
        finally:
            polling.cancel()

    async def _poll(self, progress: Progress) -> None:
        """Publish the counters at intervals, because listeners are only called at a new stage."""
        generated = 0
        while True:
            await asyncio.sleep(_POLL_INTERVAL_S)
            self._publish(self.progressed)
            if progress.generated != generated:
                generated = progress.generated
                await self._on_change()


def _failure(error: BaseException) -> Failure:
    known = isinstance(error, StoryreelError)
    return Failure(str(error) if known else f"this is a bug in storyreel: {error!r}; please report it")
