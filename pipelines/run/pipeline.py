"""The steps of a run: find the takes, quote, generate what is missing, publish the frames, cut the films, report."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path

from pipelines.common.errors import FilmError, InterruptedRunError, StoryreelError, UnreadableFrameError
from pipelines.common.formatting import counted
from pipelines.film.finishing import planned_film
from pipelines.film.frame_picture import FramePicture
from pipelines.film.identity import drafts_among
from pipelines.film.outputs import Films, film_paths
from pipelines.film.probe import Film
from pipelines.report.builder import report_path, write_report
from pipelines.run.context import RunContext, ledger_path, recover_storyboard
from pipelines.run.generation import Generating, generate_missing
from pipelines.run.outcomes import Generated, Reused, TakeOutcome
from pipelines.run.progress import Progress
from pipelines.run.result import RunRecord, RunResult, incomplete_error, interrupted_error, sum_up
from pipelines.run.run_log import quote_text
from pipelines.run.thumbnail_prefetch import ThumbnailPrefetcher
from pipelines.storyboard.plan import TakeSpec
from pipelines.storyboard.quote import Quote, quote_takes, require_within_budget
from pipelines.takes.frame_folder import UnreadableTakesError, is_as_requested
from pipelines.takes.inventory import TakeInventory, take_inventory
from pipelines.takes.models import SHORT_KEY, Take
from pipelines.takes.unreadable import set_aside_unreadable
from pipelines.voice.planning import VOICE_FOLDER
from pipelines.voice.store import drop_unused_speech

_log = logging.getLogger(__name__)

# Seconds between looks at a shared folder that shows another machine's takes late.
_LOOK_AGAIN_S = 2.0


async def run_pipeline(context: RunContext, record: RunRecord, generating: Generating) -> RunResult:
    """Carry out the steps of a run, and return its result; the observer gets the result however the run ends.

    Args:
        context: the run, open.
        record: is filled in step by step.
        generating: yields how one take is generated.

    Raises:
        StoryreelError: why the run is not whole; what was generated is kept.
    """
    record.notes = context.prepared.notes
    try:
        await _produce_and_report(context, record, generating)
        _require_films(context, record)
    except BaseException as error:
        record.error = _interruption(context, error) or error
        result = context.observer.result = await _result(context, record)
        if isinstance(record.error, InterruptedRunError):
            record.error = interrupted_error(record.error, result)
        if record.error is not error:
            raise record.error from error
        raise
    result = context.observer.result = await _result(context, record)
    return result


async def find_takes(context: RunContext) -> TakeInventory:
    """Find every take of the plan.

    Those whose files are gone are forgotten in the ledger, and damaged ones are moved away, so that they can be
    generated again.
    """
    inventory = await _inventory(context)
    while inventory.found.late and not context.observer.stop_signal.stopped:
        # Bounded: what stays away for two minutes is late no longer, but lost.
        late = counted(len(inventory.found.late), "take")
        with context.observer.progress.waiting(f"for the shared folder to show {late} of another machine"):
            await context.observer.stop_signal.pause(_LOOK_AGAIN_S)
        inventory = await _inventory(context)
    if inventory.found.lost:
        lost = counted(len(inventory.found.lost), "take")
        _log.warning("%s: the files of %s are gone", context.plan.storyboard, lost)
        await context.ledger.forget_lost_takes(inventory.found.lost)
    for path in inventory.found.damaged:
        label = _label(inventory, path.stem)
        _log.warning("%s: %s: its take is damaged, and moved to takes/unusable", context.plan.storyboard, label)
        await asyncio.to_thread(context.store.quarantine_damaged, path)
    return inventory


async def _inventory(context: RunContext) -> TakeInventory:
    return await context.ledger.call(take_inventory, context.plan, store=context.store, output=context.settings.output)


def _label(inventory: TakeInventory | None, request_key: str) -> str:
    """Return the take's frame, and its number beyond the first; of one that no frame asks for, its short key."""
    known = inventory.known if inventory else ()
    return next((spec.label for spec in known if spec.request_key == request_key), request_key[:SHORT_KEY])


def _interruption(context: RunContext, error: BaseException) -> InterruptedRunError | None:
    """Return the interruption that a cancellation stands for, where a second Ctrl-C has cancelled this task."""
    stop_signal = context.observer.stop_signal
    if not isinstance(error, asyncio.CancelledError) or not stop_signal.given_up:
        return None
    # From here on it is an error like others: how the run ends is still to be written down.
    if task := asyncio.current_task():
        task.uncancel()
    return stop_signal.error if isinstance(stop_signal.error, InterruptedRunError) else InterruptedRunError()


async def _produce_and_report(context: RunContext, record: RunRecord, generating: Generating) -> None:
    try:
        await _produce(context, record, generating)
    except InterruptedRunError:
        # The person who stopped the run wants it to end; the next one writes the report.
        raise
    except Exception:
        record.report = await _report(context, record)
        raise
    record.report = await _report(context, record)
    # It shows takes that nothing else reads, and may be the first to find one unreadable.
    if record.unreadable and (error := incomplete_error(context.plan, record, stopped_by=None)):
        raise error


def _require_films(context: RunContext, record: RunRecord) -> None:
    """Require that every film that the storyboard asks for is there; a re-roll was not asked for any.

    Raises:
        FilmError: one is not.
    """
    films = film_paths(context.store.folder, context.plan)
    gone = [str(path) for path in films if not record.reroll and not path.is_file()]
    if gone:
        record.films = [film for film in record.films if film.path.is_file()]
        raise FilmError(f"{', '.join(gone)}: missing, though every frame is there; run again to make it")


async def _produce(context: RunContext, record: RunRecord, generating: Generating) -> None:
    inventory = record.inventory = await find_takes(context)
    requested = record.requested = await _requested_takes(context, inventory)
    record.losses = inventory.found.losses
    record.reroll = context.prepared.extra_takes is not None
    record.quote = _quote(context, requested, inventory)
    # What others of its group have in flight is reserved, and missing too: only the conductor can compare.
    if context.run.conducts:
        await _require_within_budgets(context, record.quote)
    async with _followers(context) as followers:
        record.outcomes = await _generate_missing(context, requested, inventory, generating, followers)
        # Another run may have died since this one began.
        await recover_storyboard(context, context.plan.storyboard)
        if not context.run.conducts:
            # Meanwhile it goes on encoding.
            await _await_films(context, record)
            return
        # Until here runs of one storyboard go on side by side; frames and films are written by one at a time.
        async with context.folder_lock:
            if record.quote.generate:
                # On disk once more: other runs have generated takes too, and files may have gone.
                record.inventory = await find_takes(context)
            pictures = await _publish_frames(context, record)
            error = incomplete_error(context.plan, record, stopped_by=context.observer.stop_signal.error)
            # Where only further takes are missing, every frame has one, and the film is cut all the same.
            if len(pictures) == len(context.plan.frames) and not isinstance(error, InterruptedRunError):
                try:
                    record.films = await _cut_films(context, record, followers.films, pictures)
                except UnreadableFrameError as unreadable:
                    error = await _set_aside_frame(context, record, unreadable)
    if error:
        raise error


async def _await_films(context: RunContext, record: RunRecord) -> None:
    """Wait for the films that the conductor of this run's group makes.

    Raises:
        StoryreelError: why there are none.
    """
    stop_signal = context.observer.stop_signal
    if not stop_signal.stopped:
        context.observer.progress.enter("waiting for the run that makes the film")
        await stop_signal.run_until_stopped(context.group.conductor_ended())
    record.inventory = await find_takes(context)
    if error := incomplete_error(context.plan, record, stopped_by=stop_signal.error):
        raise error
    record.published = frozenset(frame.number for frame in context.plan.frames)
    if context.group.unlike:
        record.remarks.append(context.group.unlike)
    paths = film_paths(context.store.folder, context.plan)
    films = zip(context.plan.timelines, paths, strict=True)
    record.films = [planned_film(timeline, path) for timeline, path in films if path.is_file()]
    record.drafts = await asyncio.to_thread(drafts_among, paths)


async def _requested_takes(context: RunContext, inventory: TakeInventory) -> tuple[TakeSpec, ...]:
    """Return the takes that this run is about: the storyboard's, or extra ones, which it enters in the ledger."""
    extra = context.prepared.extra_takes
    if extra is None:
        return inventory.requested
    # The ledger numbers them, in one transaction: two re-rolls at once get different takes.
    takes = await context.ledger.request_more_takes(
        context.run, extra.frames, count=extra.count, prompt=extra.prompt, kept=inventory.found.takes.keys()
    )
    return tuple(takes)


def _quote(context: RunContext, requested: tuple[TakeSpec, ...], inventory: TakeInventory) -> Quote:
    """Return the quote for what is missing."""
    quote = quote_takes(
        requested, frames=len(context.plan.frames), kept=inventory.found.takes, settings=context.settings
    )
    context.observer.progress.quote_usd = quote.price.usd
    _log.info("%s: %s", context.plan.storyboard, quote_text(quote))
    return quote


async def _require_within_budgets(context: RunContext, quote: Quote) -> None:
    """Require that the budgets can pay for a quote.

    Raises:
        BudgetError: they cannot.
    """
    # What is left, not what was set: other runs may have spent from the storyboard's budget and the day's.
    remaining = await context.ledger.remaining_budgets(context.run)
    require_within_budget(quote, remaining, on_exceed=context.run.budgets.on_exceed)


@dataclass(frozen=True, slots=True)
class _Followers:
    """The work that takes start as they arrive: encoding segments, and making thumbnails."""

    films: Films
    thumbnails: ThumbnailPrefetcher

    def arrived(self, take: Take) -> None:
        """Hand a take that the film will show to the films, unless it must be fitted first, as frames are published."""
        # A file that cannot be read is no error yet: the films get every picture again when they are cut.
        with contextlib.suppress(OSError):
            if is_as_requested(take):
                self.films.arrived(take.frame.number, FramePicture(take.path, take.sha256))


@contextlib.asynccontextmanager
async def _followers(context: RunContext) -> AsyncIterator[_Followers]:
    """Encode segments and make thumbnails in the background for as long as the block lasts."""
    progress = context.observer.progress
    with ThumbnailPrefetcher(context.store) as thumbnails:
        films = Films(
            context.plan,
            context.store.folder,
            observer=progress,
            read=thumbnails.read_frame,
            claims=context.group.claims,
        )
        progress.expect_films(films)
        async with films.working():
            yield _Followers(films, thumbnails)


async def _generate_missing(
    context: RunContext,
    requested: tuple[TakeSpec, ...],
    inventory: TakeInventory,
    generating: Generating,
    followers: _Followers,
) -> list[TakeOutcome]:
    """Generate every requested take that is missing; the films get each take that they will show at once."""
    for take in inventory.selected:
        followers.arrived(take)
    _expect(context.observer.progress, requested, inventory)
    missing = tuple(spec for spec in requested if spec.request_key not in inventory.found.takes)
    if not missing:
        return []
    await context.ledger.register_takes(context.run, inventory.unregistered)
    context.observer.progress.enter("generating frames")
    with_take = {take.frame.number for take in inventory.selected}

    def follow(outcome: TakeOutcome) -> None:
        spec = outcome.spec
        path = context.store.find(spec.request_key) if isinstance(outcome, Generated | Reused) else None
        # A further take changes nothing of the film: its frame already shows one, or will show its first.
        if path and spec.number == 1 and spec.frame.number not in with_take:
            followers.arrived(Take(spec, path, spec.prompt, cost_usd=None))
        elif path:
            followers.thumbnails.arrived(path)

    return await generate_missing(context, missing, generating, on_outcome=follow)


def _expect(progress: Progress, requested: tuple[TakeSpec, ...], inventory: TakeInventory) -> None:
    """Set the progress to what this run is about: the requested takes; without any, the frames that have a take."""
    specs = requested or tuple(take.spec for take in inventory.selected)
    progress.expect(spec.frame.scene for spec in specs)
    progress.reuse(spec.frame.scene for spec in specs if spec.request_key in inventory.found.takes)


async def _publish_frames(context: RunContext, record: RunRecord) -> list[FramePicture]:
    """Publish the numbered frame of every frame that has a take; return the picture of each for the films."""
    context.observer.progress.enter("publishing frames")

    def publish() -> list[FramePicture]:
        assert record.inventory is not None
        # A file may have gone since it was found: then its frame is missing, and the run goes on.
        selected = record.inventory.selected
        takes = [context.store.import_take(take) for take in selected if take.path.is_file()]
        record.published = frozenset(take.frame.number for take in takes)
        context.frames.publish(takes)
        return [context.frames.picture(take) for take in takes]

    while True:
        try:
            return await asyncio.to_thread(publish)
        except UnreadableTakesError as unreadable:
            # Bounded: each round sets at least one file aside.
            if not await _set_aside(context, record, unreadable.request_keys):
                raise


async def _set_aside(context: RunContext, record: RunRecord, request_keys: Iterable[str]) -> bool:
    """Set takes aside that a reader found unreadable, and look again which are there; return whether any were."""
    found = False
    for request_key in request_keys:
        reason = await context.ledger.call(
            set_aside_unreadable, request_key, store=context.store, output=context.settings.output
        )
        if reason:
            label = _label(record.inventory, request_key)
            _log.warning("%s: %s: its take: %s; set aside in takes/unusable", context.plan.storyboard, label, reason)
            record.unreadable[request_key] = reason
            found = True
    if found:
        record.inventory = await find_takes(context)
    return found


async def _set_aside_frame(context: RunContext, record: RunRecord, error: UnreadableFrameError) -> StoryreelError:
    """Set the take aside whose picture the film could not read; return why the run is not whole."""
    assert record.inventory is not None
    takes = [take.spec.request_key for take in record.inventory.selected if context.frames.shows(error.path, take)]
    if not await _set_aside(context, record, takes):
        # The take is sound, the frame that was made of it is not: the next run makes it anew.
        await asyncio.to_thread(context.frames.discard, error.path)
        return error
    await _publish_frames(context, record)
    return incomplete_error(context.plan, record, stopped_by=context.observer.stop_signal.error) or error


async def _cut_films(context: RunContext, record: RunRecord, films: Films, pictures: list[FramePicture]) -> list[Film]:
    """Cut the films; give up at once when the run is stopped, for nothing that was paid for is lost here."""
    stop_signal = context.observer.stop_signal
    context.observer.progress.enter("assembling the film")
    drafts_before = await asyncio.to_thread(drafts_among, films.paths)
    cutting = films.cut(pictures)
    # A run that was stopped before, by its budget say, still cuts its films: only a later stop interrupts it.
    made = await (cutting if stop_signal.stopped else stop_signal.run_until_stopped(cutting))
    context.observer.progress.films_made()
    record.drafts = await asyncio.to_thread(drafts_among, films.paths)
    record.finished = drafts_before - record.drafts
    for film in made:
        _log.info("%s: %.1f s at %s", film.path, film.duration_s, film.size)
    if context.prepared.otio:
        films.write_otio([context.frames.path(frame) for frame in context.plan.frames])
    used = {spoken.speech.key for timeline in context.plan.timelines for spoken in timeline.spoken}
    await asyncio.to_thread(drop_unused_speech, context.store.folder / VOICE_FOLDER, used)
    return made


async def _report(context: RunContext, record: RunRecord) -> Path | None:
    """Write the report and the contact sheet; one that cannot be written becomes a remark, not the run's error.

    In a group, the conductor writes it.
    """
    if not context.run.conducts:
        path = report_path(context.store.folder)
        return path if path.is_file() else None
    context.observer.progress.end_work()
    context.observer.progress.enter("writing the report")
    try:
        inventory = record.inventory or await find_takes(context)
        unreadable: list[Take] = []
        async with context.folder_lock:
            ledger = context.ledger.blocking
            report = await asyncio.to_thread(
                write_report,
                context.plan,
                inventory,
                ledger,
                context.settings,
                notes=context.prepared.notes,
                on_unreadable=unreadable.append,
            )
            await _set_aside(context, record, [take.spec.request_key for take in unreadable])
        return report
    except StoryreelError as error:
        record.remarks.append(f"no report: {error}")
        return None


async def _result(context: RunContext, record: RunRecord) -> RunResult:
    return sum_up(
        context.plan,
        record,
        await context.ledger.run_totals(context.run.run_id),
        run_id=context.run.run_id,
        simulated=context.settings.simulated,
        ledger=ledger_path(context.settings, context.plan.storyboard),
        members=await context.group.members(),
    )
