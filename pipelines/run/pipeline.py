"""What a run does, step by step: find what is there, quote, buy what is missing, lay the frames, cut the film."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.common.budgets import Budgets
from pipelines.common.errors import InterruptedRunError, StoryreelError
from pipelines.common.settings import Settings
from pipelines.film.outputs import Films
from pipelines.film.probe import Film
from pipelines.report.builder import write_report
from pipelines.run.context import RunContext, ledger_path
from pipelines.run.progress import Progress
from pipelines.run.result import RunRecord, RunResult, incomplete_error, summarize, watch
from pipelines.run.scheduling import AdmissionQueue, generate_in_order
from pipelines.run.thumbnails_ahead import ThumbnailPrefetcher
from pipelines.run.worker import Failed, Generated, Postponed, Reused, TakeGenerator, TakeOutcome
from pipelines.storyboard.model import Storyboard
from pipelines.storyboard.plan import FrameSpec, Plan
from pipelines.storyboard.quote import Quote, quote_takes, require_within_budget, run_retry_quota
from pipelines.storyboard.selection import ExtraTakes
from pipelines.takes.frame_folder import is_as_requested
from pipelines.takes.inventory import TakeInventory
from pipelines.takes.models import Take

_POLL_OTHER_RUNS_S = 1.0

# Buys one take; a flow makes a task run of it.
Buy = Callable[[TakeGenerator, FrameSpec], Awaitable[TakeOutcome]]


async def run_pipeline(
    session: RunContext, record: RunRecord, buy: Buy, *, more: ExtraTakes | None = None, otio: bool = False
) -> None:
    """Do what a run does, and keep its record, however it ends.

    Args:
        session: the run, open.
        record: filled in step by step.
        buy: buys one take.
        more: what to buy instead of what the storyboard asks for; may be nothing.
        otio: write the timeline as OpenTimelineIO too.

    Raises:
        StoryreelError: why the run is not complete; what was bought is kept.
    """
    try:
        await _produce(session, record, buy, more=more, otio=otio)
    except BaseException as error:
        record.error = error
        raise
    finally:
        if not isinstance(record.error, InterruptedRunError | asyncio.CancelledError):
            record.report = await _report(session, record)
        if watcher := watch.get():
            watcher.summary = await summary_of(session, record)


async def _report(session: RunContext, record: RunRecord) -> Path | None:
    """Write what people look at; a run that has come to its end is not undone by a report that cannot be written."""
    session.progress.enter("writing the report")
    try:
        takes = record.takes or await session.take_inventory()
        async with session.alone():
            return await asyncio.to_thread(write_report, session.plan, takes, session.desk.books, session.settings)
    except StoryreelError as error:
        record.remarks.append(f"no report: {error}")
        return None


async def summary_of(session: RunContext, record: RunRecord) -> RunResult:
    """Sum up a run, whether it has ended or not."""
    return summarize(
        session.plan,
        record,
        await session.account(),
        run_id=session.run.run_id,
        simulated=session.settings.simulated,
        ledger=ledger_path(session.settings, session.plan.storyboard),
    )


async def _produce(session: RunContext, record: RunRecord, buy: Buy, *, more: ExtraTakes | None, otio: bool) -> None:
    takes = await session.take_inventory()
    wanted = await session.request_more_takes(takes, more.frames, more.count, more.prompt) if more else takes.wanted
    record.asked = wanted if more else ()
    record.quote = _quote(session, wanted, takes)
    session.progress.quote_usd = record.quote.price.usd
    require_within_budget(record.quote, await session.remaining_budgets(), on_exceed=session.run.budgets.on_exceed)
    async with _following(session) as followers:
        record.outcomes = await _buy_missing(session, wanted, takes, buy, followers)
        # Another run may have died since this one began.
        await session.recover(session.plan.storyboard)
        async with session.alone():
            record.takes = await session.take_inventory()
            pictures = await _lay_frames(session, record.takes)
            error = incomplete_error(session.plan, record, stopped_by=session.stop_signal.error)
            if len(pictures) == len(session.plan.frames) and not isinstance(error, InterruptedRunError):
                record.films = await _assemble(session, followers.films, pictures)
                if otio:
                    followers.films.write_otio([session.store.frame(spec) for spec in session.plan.frames])
    if error:
        raise error


def effective_budgets(board: Storyboard, settings: Settings) -> Budgets:
    """Return the caps of the storyboard and of the settings together: the narrower of two for the same thing."""
    run_usd = [usd for usd in (board.budgets.run_usd, settings.budget_usd) if usd is not None]
    return replace(
        board.budgets,
        run_usd=min(run_usd, default=None),
        daily_usd=settings.budget_daily_usd,
        on_exceed=board.budgets.on_exceed or settings.on_exceed,
    )


def start_progress(plan: Plan, settings: Settings, budgets: Budgets) -> Progress:
    """Fill in what is known of the run before it starts, in the progress that somebody watches, if anybody does."""
    watcher = watch.get()
    progress = watcher.progress if watcher else Progress()
    progress.storyboard = plan.storyboard
    progress.expect(spec.scene for spec in plan.frames)
    progress.budget_usd = budgets.run_usd
    progress.rate_limit = settings.rate_limit
    progress.simulated = settings.simulated
    return progress


def _quote(session: RunContext, wanted: tuple[FrameSpec, ...], takes: TakeInventory) -> Quote:
    settings = session.settings
    return quote_takes(
        wanted,
        frames=len(session.plan.frames),
        bought=takes.bought.takes,
        rate_limit=settings.rate_limit,
        max_resends=settings.max_resends,
        retry_quota=settings.retry_quota,
    )


@dataclass(frozen=True, slots=True)
class _Followers:
    """Who works on takes as they come: the films, and the thumbnails."""

    films: Films
    thumbnails: ThumbnailPrefetcher

    def arrived(self, take: Take) -> None:
        """Hand on a take that the film will show, unless it has to be redrawn first, when frames are laid."""
        with contextlib.suppress(OSError):
            if is_as_requested(take):
                self.films.arrived(take.spec.number, take.path)


@contextlib.asynccontextmanager
async def _following(session: RunContext) -> AsyncIterator[_Followers]:
    """Encode and shrink in the background, for as long as the block lasts."""
    with ThumbnailPrefetcher(session.store) as thumbnails:
        films = Films(
            session.plan,
            session.store.folder,
            on_encoded=session.progress.piece_encoded,
            read=thumbnails.read_frame,
        )
        session.progress.pieces = len(films)
        async with films.working():
            yield _Followers(films, thumbnails)


async def _buy_missing(
    session: RunContext, wanted: tuple[FrameSpec, ...], takes: TakeInventory, buy: Buy, followers: _Followers
) -> list[TakeOutcome]:
    """Buy every take that is not bought; those that another run is buying are waited for.

    Whatever the film will show goes on to the films at once.
    """
    for take in takes.shown:
        followers.arrived(take)
    missing = tuple(spec for spec in wanted if spec.request_key not in takes.bought.takes)
    _expect(session.progress, wanted, takes)
    if not missing:
        return []
    await session.register_takes(takes)
    session.progress.enter("buying frames")
    showing = {take.spec.number for take in takes.shown}
    line = AdmissionQueue(session.settings.concurrency)
    quota = run_retry_quota(len(missing), configured=session.settings.retry_quota)
    async with session.buyer(line, retry_quota=quota) as buyer:

        async def buy_one(spec: FrameSpec) -> TakeOutcome:
            outcome = await buy(buyer, spec)
            path = session.store.find(spec.request_key) if isinstance(outcome, Generated | Reused) else None
            if path and spec.take == 1 and spec.number not in showing:
                followers.arrived(Take(spec, path, spec.prompt, cost_usd=None))
            elif path:
                followers.thumbnails.arrived(path)
            return outcome

        return await _buy_in_rounds(session, missing, buy_one, line)


def _expect(progress: Progress, wanted: tuple[FrameSpec, ...], takes: TakeInventory) -> None:
    """Tell watchers what this run is about: the takes that are wanted; where none are, the frames as they stand."""
    specs = wanted or tuple(take.spec for take in takes.shown)
    progress.expect(spec.scene for spec in specs)
    progress.reuse(spec.scene for spec in specs if spec.request_key in takes.bought.takes)


async def _buy_in_rounds(
    session: RunContext,
    missing: tuple[FrameSpec, ...],
    buy: Callable[[FrameSpec], Awaitable[TakeOutcome]],
    line: AdmissionQueue,
) -> list[TakeOutcome]:
    deadline = time.monotonic() + session.settings.max_wait_s
    done: list[TakeOutcome] = []
    while missing and not session.stop_signal.stopped:
        held = await session.keys_held_elsewhere(missing)
        turn = [spec for spec in missing if spec.request_key not in held]
        outcomes = await generate_in_order(turn, buy, line=line, stop_signal=session.stop_signal)
        done += [outcome for outcome in outcomes if not isinstance(outcome, Postponed)]
        settled = {outcome.spec.request_key for outcome in done}
        missing = tuple(spec for spec in missing if spec.request_key not in settled)
        if missing and time.monotonic() > deadline:
            return [*done, *(Failed(spec, "another run has been buying it for too long") for spec in missing)]
        if missing:
            await session.stop_signal.pause(_POLL_OTHER_RUNS_S)
            await session.recover(session.plan.storyboard)
    return done


async def _lay_frames(session: RunContext, takes: TakeInventory) -> list[Path]:
    """Lay the numbered frames of every frame that has a take; return where the films find their pictures."""
    session.progress.enter("laying frames")
    store = session.store

    def lay() -> list[Path]:
        adopted = [store.import_take(take) for take in takes.shown]
        store.publish_frames(adopted)
        return [store.picture(take) for take in adopted]

    return await asyncio.to_thread(lay)


async def _assemble(session: RunContext, films: Films, pictures: list[Path]) -> list[Film]:
    """Cut the films; give up at once when the run is stopped, for nothing is paid for here."""
    session.progress.enter("assembling the film")
    cutting = films.cut(pictures)
    return await (cutting if session.stop_signal.stopped else session.stop_signal.run_until_stopped(cutting))
