"""LedgerDatabase to break: real SQLite files, a clock that a test turns, runs that die on demand."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Table, select, update

from pipelines.ledger.database import LedgerDatabase
from pipelines.ledger.gate import Gate
from pipelines.ledger.models import AttemptRequest, NewTake, Permit, Run
from pipelines.ledger.runs import start_run
from pipelines.ledger.schema import runs, spending
from pipelines.storyboard.plan import FrameSpec
from tests.support.builders import frame_spec
from tests.support.postgres import POSTGRES_PORT, database_for

NOW_US = 1_800_000_000_000_000
SECOND_US = 1_000_000
# Above any process number that Linux gives.
NO_SUCH_PID = 2**22 + 1
# Columns of `runs` that books of version 3 lack.
NEW_IN_4 = (
    "stage", "frames", "reused", "to_buy", "bought", "failed", "pieces", "pieces_done", "rate_limit", "quote_usd",
)  # fmt: skip


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
def opened(folder: Path, *, clock: Callable[[], float] | None = None) -> Iterator[LedgerDatabase]:
    """Open the books in `folder`."""
    with LedgerDatabase(url_of(folder), clock=clock or Clock()) as books:
        yield books


def url_of(folder: Path) -> str:
    """Return the address of the books in `folder`, or of those on Postgres that stand for them."""
    if port := os.environ.get(POSTGRES_PORT):
        return database_for(folder, int(port))
    return f"sqlite:///{folder / 'storyreel.db'}"


def gate_of(books: LedgerDatabase, run: Run, *, rate_limit: int = 720) -> Gate:
    """Enter `run` in the books and return its gate."""
    start_run(books, run)
    return Gate(books, run, rate_limit=rate_limit)


def order(spec: FrameSpec | None = None, *, prompt: str | None = None, number: int = 1) -> AttemptRequest:
    """Return an attempt that wants to be admitted."""
    spec = spec or frame_spec()
    return AttemptRequest(spec, prompt or spec.prompt, number)


def nth_order(n: int, **asked: Any) -> AttemptRequest:
    """Return an order for a frame that asks for something of its own."""
    return order(frame_spec(n, prompt=f"harbor {n}", **asked))


def admit(gate: Gate, wanted: AttemptRequest | None = None) -> Permit:
    """Admit an order that nothing stands against."""
    admission = gate.admit(wanted or order())
    assert isinstance(admission, Permit)
    return admission


def new_take(file: str = "takes/a.png", *, size: int = 3, sha256: str = "0" * 64) -> NewTake:
    """Return a take that is safe on disk."""
    return NewTake(file=file, bytes=size, sha256=sha256, width=1024, height=1024)


def table_rows(books: LedgerDatabase, table: Table, *columns: str) -> list[tuple[Any, ...]]:
    """Return some columns of a whole table, in the order of its first column."""
    with books.reading() as connection:
        query = select(*(table.c[column] for column in columns)).order_by(next(iter(table.c)))
        return [tuple(row) for row in connection.execute(query)]


def alter(books: LedgerDatabase, table: Table, values: Mapping[str, Any]) -> None:
    """Write `values` into every row of a table, as no code of ours would."""
    with books.transaction() as connection:
        connection.execute(update(table).values(values))


def committed_usd(books: LedgerDatabase, run_id: str = "run-1") -> Any:
    """Return what a run's budget is charged with."""
    with books.reading() as connection:
        return connection.scalar(select(spending.c.committed_usd).where(spending.c.scope == f"run {run_id}")) or 0


def kill(books: LedgerDatabase, run_id: str) -> None:
    """Let a run's process be gone, as after SIGKILL: its entry says nothing of it."""
    with books.transaction() as connection:
        connection.execute(update(runs).where(runs.c.run_id == run_id).values(pid=NO_SUCH_PID))
