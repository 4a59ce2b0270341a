"""The generation of takes against a mock API: a real ledger and real files, no sleeping, no network."""

import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from pipelines.endpoints.client import EndpointClient, Timeouts
from pipelines.endpoints.retry import RetryPolicy, RetryQuota, RunRetries
from pipelines.ledger.executor import AsyncLedger
from pipelines.ledger.gate import Gate
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import Run, RunState
from pipelines.ledger.schema import attempts, gates, leases
from pipelines.run.attempt import AttemptRunner
from pipelines.run.outcomes import TakeOutcome
from pipelines.run.progress import Progress
from pipelines.run.scheduling import AdmissionQueue, StopSignal, generate_in_order
from pipelines.run.worker import TakeGenerator, Timing
from pipelines.storyboard.plan import TakeSpec
from pipelines.takes.store import TakeStore
from tests.support.builders import take_spec
from tests.support.ledger import committed_usd
from tests.support.transport import AnswerTransport, flux_endpoint

Reply = httpx.Response | Exception
Handler = Callable[[httpx.Request], Awaitable[httpx.Response]]
NOW_S = 1_800_000_000.0
SPEC = take_spec()
# The columns that say what became of an attempt, and what it cost.
ACCOUNT = ("try", "status", "http_status", "cost_usd", "reserved_usd", "file")


@dataclass
class Rig:
    """Everything that generates takes, and what it did."""

    run: Run
    ledger: Ledger
    gate: Gate
    store: TakeStore
    stop_signal: StopSignal
    queue: AdmissionQueue
    progress: Progress
    quota: RetryQuota
    generator: TakeGenerator
    pauses: list[float] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)

    async def generate(self, spec: TakeSpec) -> TakeOutcome:
        return await self.generator.generate(spec, log=self.log.append)

    async def generate_all(self, specs: Sequence[TakeSpec]) -> list[TakeOutcome]:
        return await generate_in_order(one_by_one(specs), self.generate, queue=self.queue, stop_signal=self.stop_signal)

    def rows(self, *columns: str) -> list[tuple[Any, ...]]:
        """Return the attempts in the ledger, oldest first."""
        return attempt_rows(self.ledger, *columns)

    def committed_usd(self) -> Any:
        """Return what the run's budget is charged with."""
        return committed_usd(self.ledger, self.run.run_id)

    def cool_until_s(self) -> float:
        """Return for how long from now no run may send."""
        with self.ledger.database.reading() as connection:
            return float((connection.scalar(select(gates.c.cool_until)) or 0) / 1e6 - NOW_S)

    def leases(self) -> list[str]:
        """Return the takes that are being generated."""
        with self.ledger.database.reading() as connection:
            return list(connection.scalars(select(leases.c.request_key)))

    def files(self) -> list[str]:
        """Return every file in the storyboard's folder."""
        return sorted(p.relative_to(self.store.folder).as_posix() for p in self.store.folder.rglob("*") if p.is_file())


def attempt_rows(ledger: Ledger, *columns: str) -> list[tuple[Any, ...]]:
    """Return some columns of every attempt in the ledger, oldest first."""
    query = select(*(attempts.c[column] for column in columns)).order_by(attempts.c.attempt_id)
    with ledger.database.reading() as connection:
        return [tuple(row) for row in connection.execute(query)]


def take_file(spec: TakeSpec = SPEC, suffix: str = ".png") -> str:
    """Return where a take is kept, as the ledger names it."""
    return f"takes/{spec.request_key}{suffix}"


def api_error(status: int, message: str) -> httpx.Response:
    """Return an error in the API's own words."""
    return httpx.Response(status, json={"error": message})


async def one_by_one(specs: Iterable[TakeSpec]) -> AsyncIterator[TakeSpec]:
    """Yield takes as a pool hands them out."""
    for spec in specs:
        yield spec


def replies(*given: Reply) -> Handler:
    """Answer with each in its turn; the last one answers for ever."""
    left = list(given)

    async def handle(_: httpx.Request) -> httpx.Response:
        reply = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(reply, Exception):
            raise reply
        return reply

    return handle


@contextlib.asynccontextmanager
async def rig(
    folder: Path,
    handler: Handler,
    run: Run,
    *,
    policy: RetryPolicy | None = None,
    quota: int = 20,
    concurrency: int = 8,
    on_pause: Callable[[float], None] | None = None,
    real_pauses: bool = False,
    clock: Callable[[], float] = lambda: 0.0,
) -> AsyncIterator[Rig]:
    """Open a ledger, a store, a client and a generator in `folder`; `on_pause` is called with every wait.

    No wait takes any time, unless `real_pauses` are asked for.
    """
    requests: list[httpx.Request] = []
    pauses: list[float] = []

    async def record(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return await handler(request)

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if on_pause:
            on_pause(seconds)

    store = TakeStore(folder / run.storyboard)
    store.prepare()
    client = EndpointClient(
        flux_endpoint("http://flux.test/", model=run.model),
        concurrency=concurrency,
        timeouts=Timeouts(1, 1, 5),
        max_body_bytes=4 << 20,
        transport=AnswerTransport(record),
    )
    with (
        Ledger.open(f"sqlite:///{folder / 'storyreel.db'}", clock=lambda: NOW_S) as blocking,
        AsyncLedger(blocking) as ledger,
    ):
        blocking.start_run(run)
        gate = ledger.gate(run, rate_limit=720)
        stop_signal, queue, progress, left = StopSignal(), AdmissionQueue(concurrency), Progress(), RetryQuota(quota)
        async with client:
            attempts_of_run = AttemptRunner(
                client,
                ledger=ledger,
                gate=gate,
                store=store,
                stop_signal=stop_signal,
                progress=progress,
            )
            generator = TakeGenerator(
                attempts_of_run,
                gate,
                RunRetries(policy or RetryPolicy(), left),
                queue=queue,
                stop_signal=stop_signal,
                progress=progress,
                rng=random.Random(7),
                timing=None if real_pauses else Timing(pause, clock),
            )
            yield Rig(
                run,
                blocking,
                gate.blocking,
                store,
                stop_signal,
                queue,
                progress,
                left,
                generator,
                pauses,
                requests=requests,
            )
        blocking.finish_run(run.run_id, state=RunState.COMPLETED)
