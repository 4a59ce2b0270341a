"""The book of a server that passes requests on: a row for each in a SQLite file, entered before it is sent.

It survives a crash at any moment, and can be read while it is written. A row that has no end belongs to a request that
is in flight; one that has an end and no cost is uncertain: it may have been billed, and nobody here knows how much.
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import filelock

from pipelines.common.errors import StorageError, UsageError
from pipelines.common.formatting import format_decimal
from pipelines.endpoints.answers import Bill
from pipelines.endpoints.requests import ImageRequest
from pipelines.server.stats import MINUTE_S, NO_ANSWER

# "srbk", by which SQLite's files tell what they are (sqlite.org/pragma.html, application_id).
_APPLICATION_ID = 0x7372626B
_SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY,
    entered_at REAL NOT NULL,    -- seconds since 1970, as ended_at
    ended_at REAL,               -- null while it is in flight
    model TEXT NOT NULL,
    prompt TEXT NOT NULL,
    steps INTEGER NOT NULL,
    aspect_ratio TEXT NOT NULL,
    status INTEGER,              -- the upstream's; null where it gave none
    cost_usd TEXT,               -- exact; null where it is not known
    neurons TEXT,
    bytes INTEGER,               -- of the picture
    error TEXT
)
"""
_LOST = "the server ended while it was in flight"
# Of all moments at which a request began or ended, the one with the most that were open; those that end come first.
_MAX_IN_FLIGHT = """
SELECT MAX(open) FROM (SELECT SUM(step) OVER (ORDER BY at, step) AS open FROM (
    SELECT entered_at AS at, 1 AS step FROM requests UNION ALL
    SELECT ended_at, -1 FROM requests WHERE ended_at IS NOT NULL))
"""
_MAX_IN_A_WINDOW = """
SELECT MAX(n) FROM (SELECT COUNT(*) OVER (ORDER BY entered_at RANGE BETWEEN ? PRECEDING AND CURRENT ROW) AS n
FROM requests)
"""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a request ended.

    Attributes:
        status: the upstream's HTTP status; None where it gave none.
        cost_usd: what it cost; None where that is not known.
        neurons: the same in neurons.
        bytes: the length of the picture that came; None where none did.
        error: what was wrong; None where nothing was.
    """

    status: int | None
    cost_usd: Decimal | None
    neurons: Decimal | None = None
    bytes: int | None = None
    error: str | None = None


class Book:
    """A book that this process alone writes; what it writes survives a power cut. Its rows are numbered from 1.

    Args:
        path: its file; a new one is made.
        clock: the time in seconds since 1970.

    Raises:
        UsageError: another server writes it, or it is no book.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        # Not thread-local: it is released by another thread than the one that opens the book.
        self._lock = filelock.FileLock(f"{path}.lock", thread_local=False)
        self._acquire()
        try:
            self._connection = _open(path)
            self._execute("UPDATE requests SET ended_at = ?, error = ? WHERE ended_at IS NULL", clock(), _LOST)
        except BaseException:
            self._lock.release()
            raise

    def _acquire(self) -> None:
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout as exc:
            raise UsageError(
                f"--book {self._path}: another server keeps this book; stop it, or choose another --book"
            ) from exc
        except OSError as exc:
            raise _not_opened(self._path, exc.strerror or str(exc)) from exc

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
        self._lock.release()

    def enter(self, request: ImageRequest, *, model: str) -> int:
        """Enter a request that is about to be sent; return its number.

        Raises:
            StorageError: it could not be written.
        """
        entered = self._execute(
            "INSERT INTO requests (entered_at, model, prompt, steps, aspect_ratio) VALUES (?, ?, ?, ?, ?) RETURNING id",
            self._clock(),
            model,
            request.prompt,
            request.steps,
            request.aspect.value,
        )
        return int(entered[0][0])

    def bill(self, number: int, http_status: int, bill: Bill) -> None:
        """Write down what a request costs, before the body of its answer is read.

        Raises:
            StorageError: it could not be written.
        """
        self._execute(
            "UPDATE requests SET status = ?, cost_usd = ?, neurons = ? WHERE id = ?",
            http_status,
            _text(bill.cost_usd),
            _text(bill.neurons),
            number,
        )

    def end(self, number: int, ending: Ending) -> None:
        """Write down how a request ended.

        Raises:
            StorageError: it could not be written.
        """
        self._execute(
            "UPDATE requests SET ended_at = ?, status = ?, cost_usd = ?, neurons = ?, bytes = ?, error = ? "
            "WHERE id = ?",
            self._clock(),
            ending.status,
            _text(ending.cost_usd),
            _text(ending.neurons),
            ending.bytes,
            ending.error,
            number,
        )

    def ages_s(self, *, within_s: float) -> list[float]:
        """Return how long ago each request was entered that is at most `within_s` old, the oldest first."""
        now = self._clock()
        rows = self._execute("SELECT entered_at FROM requests WHERE entered_at > ? ORDER BY entered_at", now - within_s)
        # A clock that was set back makes the past look like the future: such a request counts as one of this moment.
        return [max(0.0, now - entered_at) for (entered_at,) in rows]

    def figures(self) -> dict[str, object]:
        """Return the totals, as `GET /_stats` answers them; money is a decimal string.

        It may be called while the book is written.

        Raises:
            StorageError: the book could not be read.
        """
        # A connection of its own: a long look holds up no request.
        with (
            _storage_errors(self._path),
            contextlib.closing(sqlite3.connect(self._path, isolation_level=None)) as reader,
        ):
            # All figures are of one moment.
            reader.execute("BEGIN")
            return _figures(reader)

    def _execute(self, statement: str, *values: object) -> list[tuple[float, ...]]:
        with _storage_errors(self._path):
            return self._connection.execute(statement, values).fetchall()


def _open(path: Path) -> sqlite3.Connection:
    """Open a book's file, and make it one where it is new."""
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        (identity,), (tables,) = (
            connection.execute(query).fetchone()
            for query in ("PRAGMA application_id", "SELECT COUNT(*) FROM sqlite_schema")
        )
        if tables and identity != _APPLICATION_ID:
            raise _not_opened(path, "it is a database of something else")
        # Readers and the writer do not wait for each other; and what is committed is on the disk.
        for pragma in ("journal_mode = WAL", "synchronous = FULL", f"application_id = {_APPLICATION_ID}"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute(_SCHEMA)
    except sqlite3.Error as exc:
        raise _not_opened(path, str(exc)) from exc
    return connection


def _not_opened(path: Path, reason: str) -> UsageError:
    return UsageError(f"--book {path}: cannot be opened: {reason}; choose another --book")


@contextlib.contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as exc:
        raise StorageError(f"{path}: the book cannot be written or read: {exc}; free space, then ask again") from exc


def _text(amount: Decimal | None) -> str | None:
    # SQLite has no decimals, and floats are not exact.
    return None if amount is None else format_decimal(amount)


def _figures(reader: sqlite3.Connection) -> dict[str, object]:
    def single(query: str, *values: object) -> int:
        return int(reader.execute(query, values).fetchone()[0] or 0)

    by_status = reader.execute(
        "SELECT IFNULL(status, ?), COUNT(*) FROM requests WHERE ended_at IS NOT NULL GROUP BY status", (NO_ANSWER,)
    )
    costs = reader.execute("SELECT cost_usd, COUNT(*) FROM requests WHERE cost_usd IS NOT NULL GROUP BY cost_usd")
    billed_usd = sum((Decimal(cost) * count for cost, count in costs), Decimal(0))
    return {
        "requests": single("SELECT COUNT(*) FROM requests"),
        "by_status": {str(status): count for status, count in by_status},
        "billed_usd": format_decimal(billed_usd),
        "images": single("SELECT COUNT(*) FROM requests WHERE status BETWEEN 200 AND 299"),
        "max_in_flight": single(_MAX_IN_FLIGHT),
        # What came exactly a minute ago is past.
        "max_requests_in_any_60s": single(_MAX_IN_A_WINDOW, MINUTE_S - 1e-6),
        "uncertain": single("SELECT COUNT(*) FROM requests WHERE ended_at IS NOT NULL AND cost_usd IS NULL"),
    }
