"""Ledgers to break: real SQLite files, a clock that a test turns, runs that die on demand."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Table, select, update

from pipelines.ledger.gate import Gate
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import AttemptRequest, NewTake, Permit, Run
from pipelines.ledger.schema import runs, spending
from pipelines.storyboard.plan import TakeSpec
from tests.support.builders import take_spec
from tests.support.postgres import POSTGRES_PORT, database_for

NOW_US = 1_800_000_000_000_000
SECOND_US = 1_000_000
# Above any process number that Linux gives.
NO_SUCH_PID = 2**22 + 1


@dataclass
class Clock:
    """A clock that stands still until it is turned, in whole microseconds."""

    now_us: int = NOW_US

    def __call__(self) -> float:
        return self.now_us / 1_000_000

    def turn(self, seconds: float) -> None:
        """Turn the clock on; back, where `seconds` is below zero."""
        self.now_us += round(seconds * 1_000_000)


@contextmanager
def opened(folder: Path, *, clock: Callable[[], float] | None = None) -> Iterator[Ledger]:
    """Open the ledger in `folder`."""
    with Ledger.open(url_of(folder), clock=clock or Clock()) as ledger:
        yield ledger


def url_of(folder: Path) -> str:
    """Return the address of the ledger in `folder`, or of the one on Postgres that stands for it."""
    if port := os.environ.get(POSTGRES_PORT):
        return database_for(folder, int(port))
    return f"sqlite:///{folder / 'storyreel.db'}"


def gate_of(ledger: Ledger, run: Run, *, rate_limit: int = 720) -> Gate:
    """Enter `run` in the ledger and return its gate."""
    ledger.start_run(run)
    return ledger.gate(run, rate_limit=rate_limit)


def attempt_request(take: TakeSpec | None = None, *, prompt: str | None = None, number: int = 1) -> AttemptRequest:
    """Return an attempt that asks to be admitted."""
    take = take or take_spec()
    return AttemptRequest(take, prompt or take.prompt, number)


def nth_request(n: int, **asked: Any) -> AttemptRequest:
    """Return a request for a frame that asks for something of its own."""
    return attempt_request(take_spec(n, prompt=f"harbor {n}", **asked))


def admit(gate: Gate, request: AttemptRequest | None = None) -> Permit:
    """Admit an attempt that nothing stands against."""
    admission = gate.admit(request or attempt_request())
    assert isinstance(admission, Permit)
    return admission


def new_take(file: str = "takes/a.png", *, size: int = 3, sha256: str = "0" * 64) -> NewTake:
    """Return a take that is safe on disk."""
    return NewTake(file=file, bytes=size, sha256=sha256, width=1024, height=1024)


def table_rows(ledger: Ledger, table: Table, *columns: str) -> list[tuple[Any, ...]]:
    """Return some columns of a whole table, in the order of its first column."""
    with ledger.database.reading() as connection:
        query = select(*(table.c[column] for column in columns)).order_by(next(iter(table.c)))
        return [tuple(row) for row in connection.execute(query)]


def alter(ledger: Ledger, table: Table, values: Mapping[str, Any]) -> None:
    """Write `values` into every row of a table, as no code of ours would."""
    with ledger.database.transaction() as connection:
        connection.execute(update(table).values(values))


def committed_usd(ledger: Ledger, run_id: str = "run-1") -> Any:
    """Return what a run's budget is charged with."""
    with ledger.database.reading() as connection:
        return connection.scalar(select(spending.c.committed_usd).where(spending.c.scope == f"run {run_id}")) or 0


def kill(ledger: Ledger, run_id: str) -> None:
    """Let a run's process be gone, as after SIGKILL: its entry says nothing of it."""
    with ledger.database.transaction() as connection:
        connection.execute(update(runs).where(runs.c.run_id == run_id).values(pid=NO_SUCH_PID))
