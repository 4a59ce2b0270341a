"""The cutting room's work: looking, quoting, re-rolling, picking, cutting anew, and telling who watches."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Self

from pipelines.common.errors import InterruptedRunError, StoryboardError, StoryreelError, UsageError
from pipelines.common.settings import Settings
from pipelines.film.outputs import film_path
from pipelines.ledger.database import LedgerDatabase
from pipelines.report.builder import Addresses, build_page
from pipelines.report.models import FrameView, PageView
from pipelines.review.events import Changed, Event, Progressed, Reloaded, Troubled
from pipelines.run.context import RunContext
from pipelines.run.local import pick, run_locally
from pipelines.run.progress import Progress
from pipelines.run.result import RunObserver, watch
from pipelines.run.scheduling import StopSignal
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.plan import FrameSpec, plan_frames
from pipelines.storyboard.quote import Quote, quote_takes
from pipelines.storyboard.selection import ExtraTakes, require_prompt
from pipelines.takes.inventory import take_inventory
from pipelines.takes.store import TakeStore

_TICK_S = 0.25
_LOOK_EVERY_S = 1.0
_MOST_UNREAD = 1000


class OutOfDateError(UsageError):
    """What somebody clicked on is not there any more: the storyboard or the price has changed since."""


@dataclass(frozen=True, slots=True)
class RerollRequest:
    """More takes of some frames, known by their keys: `count` each, of `prompt` instead of their own if given."""

    keys: tuple[str, ...]
    count: int
    prompt: str | None


@dataclass(eq=False, slots=True)
class _Watcher:
    """Somebody who watches; what they have not read yet."""

    events: "asyncio.Queue[Event | None]" = field(default_factory=lambda: asyncio.Queue(_MOST_UNREAD))

    def tell(self, event: Event | None) -> None:
        """Tell them something; None that there is nothing more to come."""
        # Whoever does not read any more has gone without a word.
        with contextlib.suppress(asyncio.QueueFull):
            self.events.put_nowait(event)


class ReviewService:
    """One storyboard on the table. Enter it in the event loop that serves it; leaving it stops what is in the works.

    Runs are made one after another. What is picked counts at once; the film follows.
    """

    def __init__(self, path: Path, settings: Settings, addresses: Addresses) -> None:
        """Lay a storyboard on the table.

        Args:
            path: the storyboard's file, read again whenever it changes.
            settings: where everything is, and of whom to buy.
            addresses: how the page names files.

        Raises:
            StoryboardError: it is wrong.
        """
        self._path = path
        self._settings = settings
        self._addresses = addresses
        self._board = load_storyboard(path)
        self._plan = plan_frames(self._board, model=settings.effective_model)
        self._books = LedgerDatabase(settings.effective_database_url)
        self._page: PageView | None = None
        self._watchers: set[_Watcher] = set()
        self._jobs: asyncio.Queue[ExtraTakes] = asyncio.Queue()
        self._gathering = asyncio.Lock()
        self._progress: Progress | None = None
        self._stop_signal: StopSignal | None = None
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(work()) for work in (self._work, self._look_around)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        for watcher in self._watchers:
            watcher.tell(None)
        working, looking = self._tasks
        looking.cancel()
        self._stop()
        if self._progress is None:
            working.cancel()
        await asyncio.gather(working, looking, return_exceptions=True)
        self._books.close()

    @property
    def simulated(self) -> bool:
        """Whether costs are made up."""
        return self._settings.simulated

    @property
    def seen(self) -> PageView | None:
        """What the page showed when it was last gathered."""
        return self._page

    async def page(self) -> PageView:
        """Return what the page shows, as it is now."""
        self._page = await asyncio.to_thread(self._gather)
        return self._page

    def frames(self, numbers: Collection[int]) -> list[FrameView]:
        """Return frames as they were last gathered; those that there are."""
        scenes = self._page.scenes if self._page else ()
        return [frame for scene in scenes for frame in scene.frames if frame.number in numbers]

    def quote(self, wish: RerollRequest) -> Quote:
        """Price a wish.

        Raises:
            UsageError: it cannot be asked.
            OutOfDateError: the storyboard has no such frame any more.
        """
        more = self._more(wish)
        settings = self._settings
        return quote_takes(
            more.images,
            frames=len(self._plan.frames),
            bought=(),
            rate_limit=settings.rate_limit,
            max_resends=settings.max_resends,
            retry_quota=settings.retry_quota,
        )

    def reroll(self, wish: RerollRequest, *, confirmed_usd: Decimal) -> None:
        """Ask for more takes, in the background, at the price that was shown and confirmed.

        Raises:
            UsageError: it cannot be asked.
            OutOfDateError: the storyboard has no such frame any more, or the price is another now.
        """
        price_usd = self.quote(wish).price.usd
        if price_usd != confirmed_usd:
            raise OutOfDateError(f"the price is {price_usd} USD now, not {confirmed_usd}; look at it again")
        self._jobs.put_nowait(self._more(wish))

    async def pick(self, key: str, take: int) -> None:
        """Let a frame show another take from now on, and the film follow in the background.

        Raises:
            UsageError: it has no such take.
            OutOfDateError: the storyboard has no such frame any more.
        """
        [frame] = self._frames((key,))
        await asyncio.to_thread(pick, self._plan, self._settings, frame, take)
        await self._tell_changes()
        if self._jobs.empty():
            self._jobs.put_nowait(ExtraTakes())

    async def events(self) -> AsyncIterator[Event]:
        """Yield what is in the works, if anything, then what happens from now on; ends as the room is closed."""
        watcher = _Watcher()
        self._watchers.add(watcher)
        try:
            yield _progressed(self._progress) if self._progress else Progressed.idle()
            while not self._closing and (event := await watcher.events.get()) is not None:
                yield event
        finally:
            self._watchers.discard(watcher)

    def _gather(self) -> PageView:
        plan, settings = self._plan, self._settings
        store = TakeStore(settings.output / plan.storyboard)
        takes = take_inventory(self._books, plan, store=store, output=settings.output)
        return build_page(plan, takes, self._books, settings, self._addresses)

    def _more(self, wish: RerollRequest) -> ExtraTakes:
        if not 1 <= wish.count <= 9:
            raise UsageError(f"{wish.count} takes at once: ask for 1 to 9")
        prompt = None if wish.prompt is None else require_prompt(wish.prompt)
        return ExtraTakes(self._frames(wish.keys), wish.count, prompt)

    def _frames(self, keys: tuple[str, ...]) -> tuple[FrameSpec, ...]:
        by_key = {frame.request_key: frame for frame in self._plan.frames}
        if not keys or any(key not in by_key for key in keys):
            raise OutOfDateError("the storyboard has changed: this frame is not what it was; look at it again")
        return tuple(by_key[key] for key in keys)

    async def _work(self) -> None:
        """Do what is asked, one run at a time, until the room is closed."""
        while not self._closing:
            more = await self._jobs.get()
            running = asyncio.create_task(self._run(more))
            # Not awaited itself: whatever goes wrong in one run, the next one is still to come.
            await asyncio.wait([running])
            if error := running.exception():
                known = isinstance(error, StoryreelError)
                self._tell(
                    Troubled(str(error) if known else f"this is a bug in storyreel: {error!r}; please report it")
                )
            await self._tell_changes()
            self._tell(Progressed.idle())

    async def _run(self, more: ExtraTakes) -> None:
        watched = RunObserver()
        watch.set(watched)
        self._progress = progress = watched.progress
        self._tell(_progressed(progress))
        progress.listen(lambda: self._tell(_progressed(progress)))
        telling = asyncio.create_task(self._keep_telling(progress))
        try:
            await run_locally(self._board, self._settings, more, heeds_signals=False, opened=self._heed_stop_signal)
        finally:
            telling.cancel()
            self._progress = self._stop_signal = None

    def _heed_stop_signal(self, session: RunContext) -> None:
        self._stop_signal = session.stop_signal
        if self._closing:
            self._stop()

    def _stop(self) -> None:
        """Send nothing new; what is in flight is paid for, and awaited."""
        if self._stop_signal:
            closed = InterruptedRunError("the cutting room was closed")
            self._stop_signal.stop(closed, patience_s=self._settings.stop_patience_s)

    async def _keep_telling(self, progress: Progress) -> None:
        done = 0
        while True:
            await asyncio.sleep(_TICK_S)
            self._tell(_progressed(progress))
            if progress.bought != done:
                done = progress.bought
                await self._tell_changes()

    async def _look_around(self) -> None:
        """Notice what others do: an edited storyboard, a run or a pick in a terminal."""
        seen = self._marks()
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            now = self._marks()
            if now[0] != seen[0]:
                self._reread()
            if now != seen:
                seen = now
                await self._tell_changes()

    def _reread(self) -> None:
        try:
            self._board = load_storyboard(self._path)
            self._plan = plan_frames(self._board, model=self._settings.effective_model)
        except StoryboardError as error:
            self._tell(Troubled(f"the storyboard has mistakes now; shown is what it was before\n{error}"))

    def _marks(self) -> tuple[object, ...]:
        folder = self._settings.output / self._board.id
        films = [film_path(folder, self._board.id, timeline) for timeline in self._plan.timelines]
        return tuple(_mark(path) for path in (self._path, folder / "frames", folder / "ledger.csv", *films))

    async def _tell_changes(self) -> None:
        """Gather the page anew, and tell which frames have changed; all of it, where they are other frames."""
        async with self._gathering:
            before = self._page
            with contextlib.suppress(StoryreelError):
                after = await self.page()
                for event in _changes(before, after) if before else ():
                    self._tell(event)

    def _tell(self, event: Event) -> None:
        for watcher in self._watchers:
            watcher.tell(event)


def _changes(before: PageView, after: PageView) -> Iterator[Event]:
    old = [frame for scene in before.scenes for frame in scene.frames]
    new = [frame for scene in after.scenes for frame in scene.frames]
    if [_place(frame) for frame in old] != [_place(frame) for frame in new]:
        yield Reloaded()
        return
    numbers = tuple(frame.number for frame, other in zip(new, old, strict=True) if frame != other)
    if numbers or replace(before, made_at=after.made_at, scenes=after.scenes) != after:
        yield Changed(numbers)


def _place(frame: FrameView) -> tuple[object, ...]:
    return frame.key, frame.number, frame.scene, frame.start_s


def _progressed(progress: Progress) -> Progressed:
    return Progressed(
        stage=progress.stage,
        to_buy=progress.to_buy,
        bought=progress.bought,
        failed=progress.failed,
        cost_usd=progress.cost_usd,
        pieces=progress.pieces,
        pieces_done=progress.pieces_done,
    )


def _mark(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
