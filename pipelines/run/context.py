"""The context of a run: the resources that it holds open, from its first entry in the ledger to its last."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.common.addresses import without_secrets
from pipelines.common.errors import StorageError
from pipelines.common.settings import Settings
from pipelines.endpoints.choice import chosen_dialect, endpoint_name
from pipelines.film.identity import encoder_build
from pipelines.ledger.executor import AsyncGate, AsyncLedger
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import Run
from pipelines.ledger.runs import HEARTBEAT_S
from pipelines.run.folder_lock import exclusive
from pipelines.run.group import RunGroup, plan_digest
from pipelines.run.observer import RunObserver
from pipelines.run.preparation import PreparedRun
from pipelines.run.result import state_after
from pipelines.run.run_log import beginning_lines, ending_lines
from pipelines.run.signals import stopping_on_signals
from pipelines.storyboard.plan import Plan
from pipelines.takes.frame_folder import FrameFolder
from pipelines.takes.ownership import claim_folder
from pipelines.takes.place import Place, claim_place
from pipelines.takes.recovery import recover
from pipelines.takes.store import TakeStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunContext:
    """One run, open: what its steps need.

    Attributes:
        run: its entry in the ledger.
        prepared: what it is to do.
        ledger: open until the run has ended.
        store: the storyboard's takes.
        frames: the storyboard's numbered frames.
        gate: admits its attempts.
        group: the other runs of its storyboard, with which it shares its work.
        observer: has its progress, its stop signal, and in the end its result.
    """

    run: Run
    prepared: PreparedRun
    ledger: AsyncLedger
    store: TakeStore
    frames: FrameFolder
    gate: AsyncGate
    group: RunGroup
    observer: RunObserver

    @property
    def plan(self) -> Plan:
        """The storyboard's frames and films."""
        return self.prepared.plan

    @property
    def settings(self) -> Settings:
        """Its settings: folders, ledger, endpoint and bounds."""
        return self.prepared.settings

    @property
    def folder_lock(self) -> contextlib.AbstractAsyncContextManager[None]:
        """The lock of the storyboard's folder, to be entered; raises StorageError where it cannot be had."""
        waiting = self.observer.progress.waiting("for another run of this storyboard")
        return exclusive(self.store.folder, timeout_s=self.settings.max_wait_s, waiting=waiting)


@contextlib.asynccontextmanager
async def open_run(
    prepared: PreparedRun, observer: RunObserver, *, handle_signals: bool = True, group: str | None = None
) -> AsyncIterator[RunContext]:
    """Open a run: recover what killed ones left, enter it, keep up its heartbeat; in the end write its ledger.csv.

    Args:
        prepared: what it is to do.
        observer: receives its progress; its stop signal stops the run.
        handle_signals: stop on Ctrl-C and SIGTERM; a server that starts runs handles them itself.
        group: the id of the group that the run is to join, and to make no film without; None for whichever there is.

    Raises:
        GroupEndedError: nothing is left to do in that group.
        UsageError: the output folder or the ledger cannot be opened, the storyboard's folder is another file's, or the
            group makes something else.
        StorageError: the ledger could not be written.
    """
    plan, settings = prepared.plan, prepared.settings
    TakeStore(settings.output / plan.storyboard).prepare()
    store = TakeStore(settings.output / plan.storyboard, claim_place(settings.output))
    blocking = await asyncio.to_thread(Ledger.open, settings.effective_database_url)
    with blocking, AsyncLedger(blocking) as ledger:
        await ledger.call(claim_folder, prepared.board, settings)
        observer.progress.start(plan, settings, prepared.budgets)
        # First, so that images which killed runs have paid for are found, and not generated again.
        await recover_all(ledger, settings, store.place)
        # A re-roll has takes of its own to generate, and nothing to share.
        shared = plan_digest(plan) if prepared.extra_takes is None else None
        encoder = (await asyncio.to_thread(encoder_build, plan.timelines)).text
        run = await ledger.start_run(_entry(prepared, store.place, group=group), plan=shared, encoder=encoder)
        gate = ledger.gate(run, rate_limit=settings.rate_limit, places=store.place.ids)
        others = RunGroup(run, ledger, observer, encoder=encoder, grace_period_s=settings.stop_patience_s)
        context = RunContext(run, prepared, ledger, store, FrameFolder(store.folder), gate, others, observer)
        for line in beginning_lines(run, prepared):
            _log.info("%s: %s", run.storyboard, line)
        async with _entered(context), _heartbeat(context), others.following():
            if not handle_signals:
                yield context
                return
            observer.progress.grace_period_s = settings.stop_patience_s
            with stopping_on_signals(observer, grace_period_s=settings.stop_patience_s):
                yield context


def _entry(prepared: PreparedRun, place: Place, *, group: str | None) -> Run:
    """Return the entry of a new run."""
    settings = prepared.settings
    return Run(
        run_id=uuid.uuid4().hex,
        storyboard=prepared.plan.storyboard,
        endpoint=endpoint_name(settings),
        model=prepared.plan.model,
        simulated=settings.simulated,
        budgets=prepared.budgets,
        lane=settings.lane,
        place=place.id,
        group=group,
        address=None if settings.endpoint is None or settings.named_endpoint else without_secrets(settings.endpoint),
        dialect=chosen_dialect(settings).name,
        model_id=None if settings.model == prepared.plan.model else settings.model,
    )


async def recover_all(ledger: AsyncLedger, settings: Settings, place: Place) -> None:
    """Close what ended runs left open, of every storyboard in this output folder: their images can serve this run."""
    for storyboard in await ledger.storyboards_to_recover():
        # The ledger may hold storyboards of other output folders too: their images cannot be looked at from here.
        if (settings.output / storyboard).is_dir():
            await _recover(ledger, storyboard, settings=settings, place=place)


async def recover_storyboard(context: RunContext, storyboard: str) -> None:
    """Close what ended runs of a storyboard in this output folder left open; see `takes.recovery.recover`.

    Raises:
        StorageError: another run has held the storyboard's folder for too long, or a take could not be made durable.
    """
    await _recover(context.ledger, storyboard, settings=context.settings, place=context.store.place)


async def _recover(ledger: AsyncLedger, storyboard: str, *, settings: Settings, place: Place) -> None:
    # Almost always there is nothing to do, and then nothing to wait for.
    if not await ledger.abandoned_attempts(storyboard, places=place.ids):
        return
    store = TakeStore(settings.output / storyboard, place)
    async with exclusive(store.folder, timeout_s=settings.max_wait_s):
        await ledger.call(recover, storyboard, store=store)


def ledger_path(settings: Settings, storyboard: str) -> Path:
    """Return the path of a storyboard's ledger.csv."""
    return settings.output / storyboard / "ledger.csv"


@contextlib.asynccontextmanager
async def _entered(context: RunContext) -> AsyncIterator[None]:
    """Close the run's entry, however the run ends, and write its ledger."""
    error: BaseException | None = None
    try:
        yield
    # A cancellation is none of Exception's kind, and must be entered as well.
    except BaseException as exc:
        error = exc
        raise
    finally:
        ledger, run, counters = context.ledger, context.run, context.observer.progress.counters
        state = state_after(error)
        # What a cancelled attempt still had to write must not come after the end of its run.
        await ledger.idle()
        await ledger.finish_run(run.run_id, state=state, counters=counters)
        for line in ending_lines(run, state, context.observer.result):
            _log.info("%s: %s", run.storyboard, line)
        # Only now does what it gave up in flight count as abandoned; the CSV is to show it closed.
        await recover_storyboard(context, run.storyboard)
        await ledger.write_csv(run.storyboard, ledger_path(context.settings, run.storyboard))


@contextlib.asynccontextmanager
async def _heartbeat(context: RunContext) -> AsyncIterator[None]:
    """Enter in the ledger, every `HEARTBEAT_S` seconds, that the run is alive, and its counters."""

    async def beat() -> None:
        while True:
            # A missed one does no harm: a run counts as dead only after thirty of them.
            with contextlib.suppress(StorageError):
                await context.ledger.record_heartbeat(context.run.run_id, context.observer.progress.counters)
            await asyncio.sleep(HEARTBEAT_S)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating
