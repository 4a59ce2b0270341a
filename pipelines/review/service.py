"""The review app's service: one storyboard's page, quotes, re-rolls and picks, and the events that report changes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
from decimal import Decimal
from pathlib import Path
from typing import Self

from pipelines.common.errors import InterruptedRunError, StorageError, StoryreelError, UsageError
from pipelines.common.settings import Settings
from pipelines.ledger.ledger import Ledger
from pipelines.report.models import FrameView, PageView
from pipelines.report.views import Addresses, build_page
from pipelines.review.broker import EventBroker
from pipelines.review.changes import PageHistory
from pipelines.review.events import Event, Failure
from pipelines.review.jobs import Jobs, ShowStopping
from pipelines.review.storyboard import OutOfDateError, RerollRequest, ReviewedStoryboard
from pipelines.run.local import pick_take
from pipelines.storyboard.quote import Quote
from pipelines.takes.inventory import take_inventory
from pipelines.takes.store import TakeStore

_WATCH_INTERVAL_S = 1.0


class ReviewService:
    """One storyboard under review. Enter it in the event loop that serves it; leaving it stops the run at work.

    Runs are made one after another. A pick counts at once; the film follows.
    """

    def __init__(self, path: Path, settings: Settings, addresses: Addresses, *, show_stopping: ShowStopping) -> None:
        """Open a storyboard.

        Args:
            path: the storyboard's file, read again whenever it changes.
            settings: where everything is, and which endpoint is asked.
            addresses: the page's addresses of files.
            show_stopping: shows the progress of a run while it is being stopped.

        Raises:
            UsageError: it is wrong, its folder is another file's, or the ledger cannot be opened.
        """
        self._settings = settings
        self._addresses = addresses
        self._storyboard = ReviewedStoryboard(path, settings)
        self._ledger = Ledger.open(settings.effective_database_url)
        self._history = PageHistory()
        self._comparing = asyncio.Lock()
        self._broker = EventBroker()
        self._jobs = Jobs(
            settings,
            read_board=lambda: self._storyboard.board,
            publish=self._broker.publish,
            on_change=self._publish_changes,
            show_stopping=show_stopping,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._edited = asyncio.Event()
        self._reloaded = asyncio.Event()

    async def __aenter__(self) -> Self:
        works = (self._jobs.work, self._watch_files, self._follow_edits, self._check)
        self._tasks = [asyncio.create_task(work()) for work in works]
        return self

    async def __aexit__(self, *_: object) -> None:
        # Pages first: their open streams of events would keep the server from ending.
        self._broker.close()
        working, *looking = self._tasks
        for task in looking:
            task.cancel()
        await self._jobs.stop(working)
        await asyncio.gather(*looking, return_exceptions=True)
        self._ledger.close()

    def interrupt(self) -> None:
        """Stop the run at work, and make no further one; leaving the service awaits what is in flight."""
        self._jobs.interrupt()

    def give_up(self) -> None:
        """Await nothing any longer of what is in flight."""
        self._jobs.give_up()

    @property
    def interruption(self) -> InterruptedRunError | None:
        """How the run ended that was at work as the service was left; None without one."""
        return self._jobs.interruption

    @property
    def simulated(self) -> bool:
        """Whether costs are made up."""
        return self._settings.simulated

    @property
    def folder(self) -> Path:
        """The storyboard's folder, with all that is made of it."""
        return self._settings.output / self._storyboard.plan.storyboard

    @property
    def last_page(self) -> PageView | None:
        """The page as it was last built."""
        return self._history.page

    async def page(self) -> tuple[PageView, int]:
        """Build the page as it is now; return it, and its version."""
        # One at a time: two comparisons with the same page before would publish a change twice.
        async with self._comparing:
            page = await asyncio.to_thread(self._build)
            # Other open pages are told, too: what this one shows is not new to the next comparison.
            for event in self._history.update(page):
                self._broker.publish(event)
            return page, self._history.version

    def frames(self, numbers: Collection[int]) -> list[FrameView]:
        """Return the frames of the last page that have these numbers."""
        page = self._history.page
        return [frame for frame in page.frames if frame.number in numbers] if page else []

    def quote(self, request: RerollRequest) -> Quote:
        """Price a re-roll.

        Raises:
            UsageError: the count or the prompt is not allowed.
            OutOfDateError: the storyboard has no such frame any more.
        """
        return self._storyboard.quote(request)

    def reroll(self, request: RerollRequest, *, confirmed_usd: Decimal) -> None:
        """Generate more takes, in the background, at the price that was shown and confirmed.

        Raises:
            UsageError: the count or the prompt is not allowed.
            OutOfDateError: the storyboard has no such frame any more, or the price is another now.
        """
        # Quoted again, because the storyboard may have changed since the page was loaded.
        price_usd = self.quote(request).price.usd
        if price_usd != confirmed_usd:
            raise OutOfDateError(f"the price is {price_usd} USD now, not {confirmed_usd}; look at it again")
        self._jobs.submit(self._storyboard.extra_takes(request))

    async def pick(self, key: str, take: int) -> None:
        """Let a frame show another take from now on, and the film follow in the background.

        Raises:
            UsageError: it has no such take.
            OutOfDateError: the storyboard has no such frame any more.
        """
        [frame] = self._storyboard.find_frames((key,))
        await asyncio.to_thread(pick_take, self._storyboard.plan, self._settings, frame, take)
        # The page shows the pick at once, however long the film takes.
        await self._publish_changes()
        self._jobs.submit_cut()

    async def events(self, version: int) -> AsyncIterator[Event]:
        """Yield events for a page of this version; end when the service is left.

        First the progress of the run at work, then what the page has missed, then every event from now on.
        """
        # Subscribed before the first event is yielded, so that none is lost in between.
        with self._broker.subscription() as events:
            yield self._jobs.progressed
            if missed := self._history.changes_since(version):
                yield missed
            async for event in events:
                yield event

    def _build(self) -> PageView:
        plan, settings = self._storyboard.plan, self._settings
        store = TakeStore(self.folder)
        inventory = take_inventory(self._ledger, plan, store=store, output=settings.output)
        return build_page(plan, inventory, self._ledger, settings, self._addresses, self._storyboard.notes)

    async def _watch_files(self) -> None:
        """Notice changes from outside: an edited storyboard, a run or a pick in a terminal."""
        # Polled: there are only a few files, and file events do not cross network file systems.
        before = self._storyboard.file_versions()
        while True:
            await asyncio.sleep(_WATCH_INTERVAL_S)
            now = self._storyboard.file_versions()
            if now[0] != before[0]:
                self._edited.set()
            if now != before:
                before = now
                await self._publish_changes()

    async def _follow_edits(self) -> None:
        """Read the storyboard again whenever it was edited, and speak what is new; the page is shown meanwhile."""
        while True:
            await self._edited.wait()
            self._edited.clear()
            await self._reload_storyboard()
            await self._publish_changes()

    async def _check(self) -> None:
        """Complete the notes on the storyboard, now and whenever it was edited; the page is shown meanwhile."""
        while True:
            before = self._storyboard.notes
            # Where it cannot be looked at, because there is no ffmpeg for instance, a run says so.
            with contextlib.suppress(StoryreelError):
                await self._storyboard.check()
            if self._storyboard.notes != before:
                await self._publish_changes()
            await self._reloaded.wait()
            self._reloaded.clear()

    async def _reload_storyboard(self) -> None:
        try:
            await self._storyboard.reload()
            self._reloaded.set()
        except UsageError as error:
            self._broker.publish(Failure(f"the storyboard has mistakes now; the page is as it was before\n{error}"))
        except StorageError as error:
            self._broker.publish(Failure(f"the storyboard was edited; the page is as it was before\n{error}"))

    async def _publish_changes(self) -> None:
        """Build the page, and publish what has changed since it was last built."""
        # A page that cannot be built, because the database is away for instance, is built at the next change.
        with contextlib.suppress(StoryreelError):
            await self.page()
