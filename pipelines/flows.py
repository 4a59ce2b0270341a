"""The Prefect flow: a storyboard becomes a film and an account of every cent."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path

from prefect import State, flow
from prefect.states import Cancelled

from pipelines.artifacts import publish_account, publish_frames, publishing_progress
from pipelines.bought import Bought
from pipelines.budget import Budgets
from pipelines.conduct import Line, buy_in_order
from pipelines.errors import InterruptedRunError
from pipelines.film.assembly import Film, require_encoder
from pipelines.film.sound import require_sounds
from pipelines.films import Films
from pipelines.frames import ShownTake, is_as_asked
from pipelines.ledger.account import requests_by_take
from pipelines.plan import FrameSpec, Plan, plan_frames
from pipelines.progress import Progress
from pipelines.quote import Quote, quote_plan, require_within_budget, run_retry_quota
from pipelines.render import Failed, FrameBuyer, FrameOutcome, Postponed, Rendered, Reused
from pipelines.session import Session, ledger_path, open_session
from pipelines.settings import Settings, load_settings
from pipelines.storyboard.board import Storyboard
from pipelines.storyboard.loader import load_storyboard
from pipelines.summary import RunRecord, RunSummary, frames_error, summarize, watch
from pipelines.tasks import FrameNotBoughtError, buy_frame

_POLL_OTHER_RUNS_S = 1.0


@flow(name="render-storyboard", flow_run_name="{storyboard}", retries=0, persist_result=False)
async def render_storyboard(
    storyboard: str,
    output: str | None = None,
    endpoint: str | None = None,
    model: str | None = None,
    budget_usd: Decimal | None = None,
    rate_limit: int | None = None,
    concurrency: int | None = None,
    otio: bool = False,
) -> "RunSummary | State[RunSummary]":
    """Render a storyboard: buy what is missing, cut the film, write the ledger.

    Args:
        storyboard: path of the YAML file.
        output: folder for everything that is made; default `outputs`.
        endpoint: address of the FLUX API; default STORYREEL_ENDPOINT, else the embedded one, which is free.
        model: the model to ask for; default `flux-1-schnell`, or `sketch` for the embedded endpoint.
        budget_usd: hard cap for this run in US dollars, beside the storyboard's own.
        rate_limit: requests a minute; default 720.
        concurrency: requests in flight at most; default 128.
        otio: write the timeline as OpenTimelineIO too, for an editor.

    Raises:
        StoryreelError: why the run is not complete; each kind has an exit code of its own. A run that was stopped
            ends as Cancelled instead.
    """
    given = {"output": output, "endpoint": endpoint, "model": model, "budget_usd": budget_usd}
    settings = load_settings({**given, "rate_limit": rate_limit, "concurrency": concurrency})
    board = load_storyboard(Path(storyboard))
    for wanted in board.outputs:
        require_encoder(wanted.codec)
    await require_sounds(board)
    plan = plan_frames(board, model=settings.effective_model)
    budgets = _budgets(board, settings)
    record = RunRecord()
    progress = _start_progress(plan, settings, budgets)

    try:
        async with open_session(plan, settings, budgets=budgets, progress=progress) as session:
            async with _reporting(session, record):
                bought = await session.find_bought(plan.frames)
                record.quote = _quote(session, bought)
                progress.quote_usd = record.quote.price.usd
                require_within_budget(record.quote, await session.budget_room(), on_exceed=budgets.on_exceed)
                async with Films(plan, session.store.folder, progress).working() as films:
                    record.outcomes = await _buy_missing(session, bought, films)
                    # Another run may have died since this one began.
                    await session.recover(plan.storyboard)
                    async with session.alone():
                        pictures = await _lay_frames(session)
                        _require_complete(session, record)
                        record.films = await _assemble(session, films, pictures)
                        if otio:
                            films.write_otio([session.store.frame(spec) for spec in plan.frames])
            return await _summary(session, record)
    except InterruptedRunError as error:
        # An exception would say Failed, which Ctrl-C and a cancellation are not.
        return Cancelled(message=str(error))


def _budgets(board: Storyboard, settings: Settings) -> Budgets:
    """Return the caps of the storyboard and of the settings together: the narrower of two for the same thing."""
    run_usd = [usd for usd in (board.budgets.run_usd, settings.budget_usd) if usd is not None]
    return replace(
        board.budgets,
        run_usd=min(run_usd, default=None),
        daily_usd=settings.budget_daily_usd,
        on_exceed=board.budgets.on_exceed or settings.on_exceed,
    )


def _start_progress(plan: Plan, settings: Settings, budgets: Budgets) -> Progress:
    """Fill in what is known of the run before it starts, in the progress that somebody watches, if anybody does."""
    watcher = watch.get()
    progress = watcher.progress if watcher else Progress()
    progress.storyboard = plan.storyboard
    progress.expect(spec.scene for spec in plan.frames)
    progress.budget_usd = budgets.run_usd
    progress.rate_limit = settings.rate_limit
    progress.simulated = settings.simulated
    return progress


@contextlib.asynccontextmanager
async def _reporting(session: Session, record: RunRecord) -> AsyncIterator[None]:
    """Publish the run's progress while it goes on, and however it ends, its summary."""
    try:
        async with publishing_progress(session.progress):
            yield
    except BaseException as error:
        record.error = error
        raise
    finally:
        plan, summary = session.plan, await _summary(session, record)
        if watcher := watch.get():
            watcher.summary = summary
        shown = await session.find_bought(plan.frames)
        requests = await session.desk(requests_by_take, session.desk.books, plan.storyboard)
        await publish_frames(plan, shown.takes, requests)
        await publish_account(summary, reason=str(record.error) if record.error else None)


async def _summary(session: Session, record: RunRecord) -> RunSummary:
    return summarize(
        session.plan,
        record,
        await session.account(),
        run_id=session.run.run_id,
        simulated=session.settings.simulated,
        ledger=ledger_path(session.settings, session.plan.storyboard),
    )


def _quote(session: Session, bought: Bought) -> Quote:
    settings = session.settings
    return quote_plan(
        session.plan,
        bought=bought.takes,
        rate_limit=settings.rate_limit,
        max_resends=settings.max_resends,
        retry_quota=settings.retry_quota,
    )


async def _buy_missing(session: Session, bought: Bought, films: Films) -> list[FrameOutcome]:
    """Buy every frame that is not bought; those that another run is buying are waited for.

    Whatever comes goes on to the films at once.
    """
    for take in bought.takes.values():
        _hand_on(take, films)
    missing = tuple(spec for spec in session.plan.frames if spec.request_key not in bought.takes)
    progress = session.progress
    progress.reuse(spec.scene for spec in session.plan.frames if spec.request_key in bought.takes)
    if not missing:
        return []
    progress.stage = "buying frames"
    line = Line(session.settings.concurrency)
    quota = run_retry_quota(len(missing), configured=session.settings.retry_quota)
    async with session.buyer(line, retry_quota=quota) as buyer:
        return await _buy_in_rounds(session, missing, partial(_buy, session, buyer, films), line)


async def _buy_in_rounds(
    session: Session, missing: tuple[FrameSpec, ...], buy: Callable[[FrameSpec], Awaitable[FrameOutcome]], line: Line
) -> list[FrameOutcome]:
    deadline = time.monotonic() + session.settings.max_wait_s
    done: list[FrameOutcome] = []
    while missing and not session.brake.pulled:
        held = await session.held_elsewhere(missing)
        turn = [spec for spec in missing if spec.request_key not in held]
        outcomes = await buy_in_order(turn, buy, line=line, brake=session.brake)
        done += [outcome for outcome in outcomes if not isinstance(outcome, Postponed)]
        settled = {outcome.spec.number for outcome in done}
        missing = tuple(spec for spec in missing if spec.number not in settled)
        if missing and time.monotonic() > deadline:
            return [*done, *(Failed(spec, "another run has been buying it for too long") for spec in missing)]
        if missing:
            await session.brake.pause(_POLL_OTHER_RUNS_S)
            await session.recover(session.plan.storyboard)
    return done


async def _buy(session: Session, buyer: FrameBuyer, films: Films, spec: FrameSpec) -> FrameOutcome:
    try:
        outcome = await buy_frame(spec.label, spec, buyer)
    except FrameNotBoughtError as error:
        return error.outcome
    path = session.store.find(spec.request_key) if isinstance(outcome, Rendered | Reused) else None
    if path:
        _hand_on(ShownTake(spec, path, spec.prompt, cost_usd=None), films)
    return outcome


def _hand_on(take: ShownTake, films: Films) -> None:
    """Tell the films of a take; one that has to be redrawn waits until frames are laid."""
    with contextlib.suppress(OSError):
        if is_as_asked(take):
            films.arrived(take.spec.number, take.path)


async def _lay_frames(session: Session) -> list[Path]:
    """Lay the numbered frames of every take there is; return where the films find their pictures."""
    session.progress.stage = "laying frames"
    store = session.store
    bought = await session.find_bought(session.plan.frames)
    shown = [bought.takes[spec.request_key] for spec in session.plan.frames if spec.request_key in bought.takes]

    def lay() -> list[Path]:
        adopted = [store.adopt(take) for take in shown]
        store.lay(adopted)
        return [store.picture(take) for take in adopted]

    return await asyncio.to_thread(lay)


def _require_complete(session: Session, record: RunRecord) -> None:
    """Refuse to cut a film that lacks frames.

    Raises:
        StoryreelError: why frames are missing.
    """
    error = frames_error(session.plan, record, stopped_by=session.brake.error)
    if error is not None:
        raise error


async def _assemble(session: Session, films: Films, pictures: list[Path]) -> list[Film]:
    """Cut the films; give up at once when the run is stopped, for nothing is paid for here."""
    session.progress.stage = "assembling the film"
    return await session.brake.unless_pulled(films.cut(pictures))
