"""All that one run holds open: the books, the store, the run's entry and pulse, the signals; closed in the end."""

import asyncio
import contextlib
import functools
import itertools
import signal
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import filelock

from pipelines.common.budgets import Budgets, BudgetScope
from pipelines.common.errors import InterruptedRunError, StorageError
from pipelines.common.settings import Settings
from pipelines.endpoints.client import Endpoint, FluxClient, Timeouts
from pipelines.endpoints.retry import RetryPolicy, RetryQuota
from pipelines.ledger.database import LedgerDatabase
from pipelines.ledger.executor import LedgerExecutor
from pipelines.ledger.gate import Gate
from pipelines.ledger.models import Run, Totals
from pipelines.ledger.queries import remaining_budgets, run_totals, write_ledger_csv
from pipelines.ledger.runs import (
    HEARTBEAT_S,
    finish_run,
    keys_held_elsewhere,
    open_attempts,
    record_heartbeat,
    start_run,
    storyboards_to_recover,
)
from pipelines.ledger.settlement import forget_lost_takes
from pipelines.ledger.takes import register_takes, request_more_takes
from pipelines.run.attempt import Stations
from pipelines.run.progress import Progress
from pipelines.run.scheduling import AdmissionQueue, StopSignal
from pipelines.run.worker import Conduct, RetryBounds, TakeGenerator
from pipelines.server.config import ServerConfig
from pipelines.storyboard.plan import FrameSpec, Plan, another_take
from pipelines.takes.inventory import TakeInventory, take_inventory
from pipelines.takes.recovery import recover
from pipelines.takes.store import TakeStore


@dataclass(frozen=True, slots=True)
class RunContext:
    """One run, open."""

    run: Run
    plan: Plan
    settings: Settings
    desk: LedgerExecutor
    store: TakeStore
    stop_signal: StopSignal
    progress: Progress

    async def take_inventory(self) -> TakeInventory:
        """Find what need not be bought; takes whose files are gone are noted, so that they can be bought again."""
        takes = await asyncio.to_thread(
            take_inventory, self.desk.books, self.plan, store=self.store, output=self.settings.output
        )
        if takes.bought.lost:
            await self.desk(forget_lost_takes, self.desk.books, takes.bought.lost)
        for path in takes.bought.damaged:
            await asyncio.to_thread(self.store.quarantine_damaged, path)
        return takes

    async def register_takes(self, takes: TakeInventory) -> None:
        """Enter takes that the storyboard asks for beyond first ones: they stay its frames' when it asks no more."""
        await self.desk(register_takes, self.desk.books, self.run, takes.unasked)

    async def request_more_takes(
        self, takes: TakeInventory, frames: tuple[FrameSpec, ...], count: int, prompt: str | None
    ) -> tuple[FrameSpec, ...]:
        """Enter more takes of some frames in the books, and return them, to be bought."""
        spec_of = functools.partial(another_take, model=self.plan.model, prompt=prompt)
        kept = takes.bought.takes.keys()
        books = self.desk.books
        return tuple(
            await self.desk(
                request_more_takes, books, self.run, frames, count=count, prompt=prompt, kept=kept, spec_of=spec_of
            )
        )

    async def keys_held_elsewhere(self, specs: tuple[FrameSpec, ...]) -> set[str]:
        """Return the request keys that other live runs are buying at this moment."""
        keys = [spec.request_key for spec in specs]
        return await self.desk(keys_held_elsewhere, self.desk.books, keys, run_id=self.run.run_id)

    async def recover_all(self) -> None:
        """Close what ended runs left open, of every storyboard in this output folder: what they paid for serves us."""
        for storyboard in await self.desk(storyboards_to_recover, self.desk.books):
            if (self.settings.output / storyboard).is_dir():
                await self.recover(storyboard)

    async def recover(self, storyboard: str) -> None:
        """Close what ended runs of a storyboard in this output folder left open; see `bought.recover`."""
        if not await self.desk(open_attempts, self.desk.books, storyboard):
            return
        store = TakeStore(self.settings.output / storyboard)
        async with _alone_in(store.folder, patience_s=self.settings.max_wait_s):
            await self.desk(recover, self.desk.books, storyboard, store=store)

    async def remaining_budgets(self) -> dict[BudgetScope, Decimal]:
        """Return what is left of each budget, in US dollars."""
        return await self.desk(remaining_budgets, self.desk.books, self.run)

    async def write_ledger(self) -> None:
        """Write the storyboard's ledger as the books have it now."""
        path = ledger_path(self.settings, self.run.storyboard)
        await self.desk(write_ledger_csv, self.desk.books, self.run.storyboard, path)

    async def account(self) -> Totals:
        """Add up this run."""
        return await self.desk(run_totals, self.desk.books, self.run.run_id)

    @contextlib.asynccontextmanager
    async def buyer(self, line: AdmissionQueue, *, retry_quota: int) -> AsyncIterator[TakeGenerator]:
        """Open the endpoint, and the buyer that asks it."""
        settings = self.settings
        timeouts = Timeouts(settings.connect_timeout_s, settings.read_timeout_s, settings.total_timeout_s)
        with _endpoint(settings, seed=int(self.run.run_id, 16)) as endpoint:
            async with FluxClient(
                endpoint,
                concurrency=settings.concurrency,
                timeouts=timeouts,
                max_body_bytes=settings.max_body_mib << 20,
            ) as client:
                gate = Gate(self.desk.books, self.run, rate_limit=settings.rate_limit)
                yield TakeGenerator(
                    self.run,
                    Stations(self.desk, gate, client, self.store),
                    Conduct(self.stop_signal, line, self.progress),
                    RetryBounds(_policy(settings), RetryQuota(retry_quota)),
                )

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Hold the storyboard's folder for this run: frames and film are laid by one run at a time.

        Raises:
            StorageError: another run holds it for longer than `max_wait_s`.
        """
        async with _alone_in(self.store.folder, patience_s=self.settings.max_wait_s):
            yield


@contextlib.asynccontextmanager
async def _alone_in(folder: Path, *, patience_s: float) -> AsyncIterator[None]:
    lock = filelock.FileLock(folder / ".lock", thread_local=False)
    try:
        await asyncio.to_thread(lock.acquire, timeout=patience_s)
    except filelock.Timeout as exc:
        raise StorageError(f"{folder}: another run has been at work here for too long") from exc
    try:
        yield
    finally:
        lock.release()


@contextlib.asynccontextmanager
async def open_run(
    plan: Plan, settings: Settings, *, budgets: Budgets, progress: Progress, heeds_signals: bool = True
) -> AsyncIterator[RunContext]:
    """Open a run: recover what killed ones left, enter it in the books, keep its pulse; in the end, write its ledger.

    Args:
        plan: what the storyboard asks for.
        settings: where everything is, and of whom to buy.
        budgets: what may be spent.
        progress: what a watcher sees.
        heeds_signals: stop on Ctrl-C and SIGTERM; a server that makes runs has its own way.

    Raises:
        UsageError: the output folder or the books cannot be opened.
        StorageError: the books or the ledger could not be written.
    """
    store = TakeStore(settings.output / plan.storyboard)
    store.prepare()
    run = Run(
        run_id=uuid.uuid4().hex,
        storyboard=plan.storyboard,
        endpoint=settings.endpoint_name,
        model=plan.model,
        simulated=settings.simulated,
        budgets=budgets,
    )
    books = await asyncio.to_thread(LedgerDatabase, settings.effective_database_url)
    desk = LedgerExecutor(books)
    session = RunContext(run, plan, settings, desk, store, StopSignal(), progress)
    with contextlib.closing(books), contextlib.closing(desk):
        await session.recover_all()
        await desk(start_run, books, run)
        async with _entered(session), _pulse(session):
            signals = _stop_on_signals(session.stop_signal, patience_s=settings.stop_patience_s)
            with signals if heeds_signals else contextlib.nullcontext():
                yield session


@contextlib.asynccontextmanager
async def _entered(session: RunContext) -> AsyncIterator[None]:
    """Close the run's entry however the run ends, and write the ledger."""
    state = "Failed"
    try:
        yield
        state = "Completed"
    except InterruptedRunError:
        state = "Cancelled"
        raise
    finally:
        books, run = session.desk.books, session.run
        standing = session.progress.standing
        await session.desk.insist(finish_run, books, run.run_id, state=state, standing=standing)
        await session.recover(run.storyboard)
        await session.write_ledger()


@contextlib.asynccontextmanager
async def _pulse(session: RunContext) -> AsyncIterator[None]:
    """Tell the books, every few seconds, that the run is alive, and how far it has come."""

    async def keep_beating() -> None:
        while True:
            with contextlib.suppress(StorageError):
                await session.desk(record_heartbeat, session.desk.books, session.run.run_id, session.progress.standing)
            await asyncio.sleep(HEARTBEAT_S)

    beating = asyncio.create_task(keep_beating())
    try:
        yield
    finally:
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating


@contextlib.contextmanager
def _stop_on_signals(stop_signal: StopSignal, *, patience_s: float) -> Iterator[None]:
    """On the first Ctrl-C or SIGTERM pull the stop_signal; on the second cancel the run where it stands.

    A Prefect cancellation comes as SIGTERM too.
    """
    if threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
        yield
        return
    run = asyncio.current_task()
    interrupted = InterruptedRunError("interrupted: what was paid for is kept; run again to complete")
    signals = itertools.count(1)

    def stop() -> None:
        if next(signals) == 1:
            stop_signal.stop(interrupted, patience_s=patience_s)
        elif run is not None:
            run.cancel()

    with contextlib.ExitStack() as restore:
        for number in (signal.SIGINT, signal.SIGTERM):
            restore.enter_context(_handling(number, stop))
        yield


@contextlib.contextmanager
def _handling(number: signal.Signals, handler: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    before = signal.getsignal(number)
    loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        loop.remove_signal_handler(number)
        signal.signal(number, before)


@contextlib.contextmanager
def _endpoint(settings: Settings, *, seed: int) -> Iterator[Endpoint]:
    """Yield the endpoint that was asked for, else the embedded one, which lives as long as this block.

    That one draws other sketches for each `seed`, as the real one makes other images each time it is asked.
    """
    if settings.endpoint is not None:
        token = settings.api_token
        yield Endpoint(settings.endpoint, token.get_secret_value() if token else None)
        return
    # A web framework, which most runs do without.
    from pipelines.server.running import serve_in_thread

    with serve_in_thread(ServerConfig(rate_limit=settings.rate_limit, seed=seed)) as url:
        yield Endpoint(url, local=True)


def _policy(settings: Settings) -> RetryPolicy:
    return RetryPolicy(
        max_resends=settings.max_resends,
        max_refusals=settings.max_refusals,
        max_rate_limited=settings.max_rate_limited,
        max_connects=settings.max_connects,
        max_retry_after_s=settings.max_retry_after_s,
    )


def ledger_path(settings: Settings, storyboard: str) -> Path:
    """Return where the ledger of a storyboard is written."""
    return settings.output / storyboard / "ledger.csv"
