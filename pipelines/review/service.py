"""The review app's work: one storyboard's page, quotes, re-rolls and picks, and the events that tell of changes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Self

from pipelines.common.errors import StoryboardError, StoryreelError, UsageError
from pipelines.common.settings import Settings
from pipelines.film.outputs import film_path
from pipelines.ledger.ledger import Ledger
from pipelines.report.builder import Addresses, build_page
from pipelines.report.models import FrameView, PageView
from pipelines.review.broker import EventBroker
from pipelines.review.events import Changed, Event, Failure, Reloaded
from pipelines.review.jobs import Jobs
from pipelines.run.local import pick_take
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.plan import FrameSpec, plan_frames
from pipelines.storyboard.quote import Quote, quote_takes
from pipelines.storyboard.selection import ExtraTakes, require_prompt
from pipelines.takes.inventory import take_inventory
from pipelines.takes.store import TakeStore

_LOOK_EVERY_S = 1.0
# The page's keys 1 to 9 pick takes; more at once is the command's business.
_MAX_TAKES_AT_ONCE = 9


class OutOfDateError(UsageError):
    """The page is out of date: the storyboard or the price has changed since it was loaded."""


@dataclass(frozen=True, slots=True)
class RerollRequest:
    """More takes of some frames, by their keys: `count` each, of `prompt` instead of their own if given."""

    keys: tuple[str, ...]
    count: int
    prompt: str | None


class ReviewService:
    """One storyboard under review. Enter it in the event loop that serves it; leaving it stops the run at work.

    Runs are made one after another. A pick counts at once; the film follows.
    """

    def __init__(self, path: Path, settings: Settings, addresses: Addresses) -> None:
        """Open a storyboard.

        Args:
            path: the storyboard's file, read again whenever it changes.
            settings: where everything is, and which endpoint is asked.
            addresses: the page's addresses of files.

        Raises:
            StoryboardError: it is wrong.
            LedgerError: the ledger cannot be opened.
        """
        self._path = path
        self._settings = settings
        self._addresses = addresses
        self._board = load_storyboard(path)
        self._plan = plan_frames(self._board, model=settings.effective_model)
        self._ledger = Ledger.open(settings.effective_database_url)
        self._page: PageView | None = None
        self._comparing = asyncio.Lock()
        self._broker = EventBroker()
        self._jobs = Jobs(
            settings,
            read_board=lambda: self._board,
            publish=self._broker.publish,
            on_change=self._publish_changes,
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(work()) for work in (self._jobs.work, self._watch_files)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._broker.close()
        working, watching = self._tasks
        watching.cancel()
        await self._jobs.stop(working)
        await asyncio.gather(watching, return_exceptions=True)
        self._ledger.close()

    @property
    def simulated(self) -> bool:
        """Whether costs are made up."""
        return self._settings.simulated

    @property
    def last_page(self) -> PageView | None:
        """The page as it was last built."""
        return self._page

    async def page(self) -> PageView:
        """Build the page as it is now."""
        self._page = await asyncio.to_thread(self._build)
        return self._page

    def frames(self, numbers: Collection[int]) -> list[FrameView]:
        """Return frames of the last page; those that there are."""
        scenes = self._page.scenes if self._page else ()
        return [frame for scene in scenes for frame in scene.frames if frame.number in numbers]

    def quote(self, request: RerollRequest) -> Quote:
        """Price a re-roll.

        Raises:
            UsageError: it cannot be asked for.
            OutOfDateError: the storyboard has no such frame any more.
        """
        takes = self._extra_takes(request)
        return quote_takes(takes.to_quote, frames=len(self._plan.frames), settings=self._settings)

    def reroll(self, request: RerollRequest, *, confirmed_usd: Decimal) -> None:
        """Generate more takes, in the background, at the price that was shown and confirmed.

        Raises:
            UsageError: it cannot be asked for.
            OutOfDateError: the storyboard has no such frame any more, or the price is another now.
        """
        price_usd = self.quote(request).price.usd
        if price_usd != confirmed_usd:
            raise OutOfDateError(f"the price is {price_usd} USD now, not {confirmed_usd}; look at it again")
        self._jobs.submit(self._extra_takes(request))

    async def pick(self, key: str, take: int) -> None:
        """Let a frame show another take from now on, and the film follow in the background.

        Raises:
            UsageError: it has no such take.
            OutOfDateError: the storyboard has no such frame any more.
        """
        [frame] = self._frames((key,))
        await asyncio.to_thread(pick_take, self._plan, self._settings, frame, take)
        await self._publish_changes()
        self._jobs.submit_cut()

    async def events(self) -> AsyncIterator[Event]:
        """Yield how far the run at work is, then what happens from now on; ends as the service is left."""
        # Subscribed before the first answer: nothing falls between the two.
        with self._broker.subscription() as coming:
            yield self._jobs.progressed
            async for event in coming:
                yield event

    def _build(self) -> PageView:
        plan, settings = self._plan, self._settings
        store = TakeStore(settings.output / plan.storyboard)
        inventory = take_inventory(self._ledger, plan, store=store, output=settings.output)
        return build_page(plan, inventory, self._ledger, settings, self._addresses)

    def _extra_takes(self, request: RerollRequest) -> ExtraTakes:
        if not 1 <= request.count <= _MAX_TAKES_AT_ONCE:
            raise UsageError(f"{request.count} takes at once: ask for 1 to {_MAX_TAKES_AT_ONCE}")
        prompt = None if request.prompt is None else require_prompt(request.prompt)
        return ExtraTakes(self._frames(request.keys), request.count, prompt)

    def _frames(self, keys: tuple[str, ...]) -> tuple[FrameSpec, ...]:
        by_key = {frame.request_key: frame for frame in self._plan.frames}
        if not keys or any(key not in by_key for key in keys):
            raise OutOfDateError("the storyboard has changed: this frame is not what it was; look at it again")
        return tuple(by_key[key] for key in keys)

    async def _watch_files(self) -> None:
        """Notice what is done elsewhere: an edited storyboard, a run or a pick in a terminal."""
        before = self._file_marks()
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            now = self._file_marks()
            if now[0] != before[0]:
                self._read_storyboard()
            if now != before:
                before = now
                await self._publish_changes()

    def _read_storyboard(self) -> None:
        try:
            self._board = load_storyboard(self._path)
            self._plan = plan_frames(self._board, model=self._settings.effective_model)
        except StoryboardError as error:
            self._broker.publish(Failure(f"the storyboard has mistakes now; the page is as it was before\n{error}"))

    def _file_marks(self) -> tuple[object, ...]:
        folder = self._settings.output / self._board.id
        films = [film_path(folder, self._board.id, timeline) for timeline in self._plan.timelines]
        return tuple(_mark(path) for path in (self._path, folder / "frames", folder / "ledger.csv", *films))

    async def _publish_changes(self) -> None:
        """Build the page, and publish which frames have changed; all of it, where they are other frames."""
        # One at a time: two comparisons with the same page before would publish a change twice.
        async with self._comparing:
            before = self._page
            with contextlib.suppress(StoryreelError):
                after = await self.page()
                for event in _changes(before, after) if before else ():
                    self._broker.publish(event)


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


def _mark(path: Path) -> tuple[int, int] | None:
    """Return what changes whenever a file is replaced; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
