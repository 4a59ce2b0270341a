"""The ledger's database: opening it, its schema's version, and the short transactions that read and write it."""

import contextlib
import functools
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import sqlalchemy
from sqlalchemy import Connection, Engine, event, insert, select, update

from pipelines.common.errors import (
    CommitUnknownError,
    DatabaseAwayError,
    LedgerError,
    OutdatedLedgerError,
    StorageError,
    UsageError,
)
from pipelines.ledger.batches import Batch
from pipelines.ledger.migrations import migrate
from pipelines.ledger.schema import SCHEMA_VERSION, meta, metadata

M = TypeVar("M", bound=Callable[..., Any])

# Seconds that SQLite waits for another connection's lock.
_BUSY_TIMEOUT_S = 30
_SWITCH_PAUSE_S = 0.01
# The server ends the transaction of a machine that was suspended half-way: no other waits for its lock for ever.
_SERVER_BOUNDS = {
    "connect_timeout": 10,
    "options": "-c lock_timeout=30s -c statement_timeout=60s -c idle_in_transaction_session_timeout=30s",
}
# Execution options of ours: a connection is for reading alone; its transaction begins with a statement of its own.
_READ_ONLY = "storyreel_read_only"
_BEGINS = "storyreel_begins"
_NOW = select((sqlalchemy.func.extract("epoch", sqlalchemy.func.clock_timestamp()) * 1_000_000).label("now"))
# The key of an advisory lock on Postgres: any number, as long as every storyreel uses the same one.
_PREPARING = 8_273_105


class LedgerDatabase:
    """An open database. Safe to use from several threads and processes at once.

    Args:
        url: an SQLAlchemy URL, `sqlite:///path` or `postgresql+psycopg://...`.
        clock: returns seconds since 1970, in place of the usual clock: a database server's own, or this machine's for
            SQLite.
        read_only: open it for `reading` alone: nothing is written, created or migrated, no lock is taken.

    Raises:
        LedgerError: the database cannot be opened, or was written by a newer storyreel; with `read_only` also where
            it holds no ledger, or one of an older storyreel.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] | None = None, read_only: bool = False) -> None:
        self._clock = clock
        with _ledger_errors(url):
            self._engine = _open_engine_to_read(url) if read_only else _open_engine(url)
        try:
            with _ledger_errors(url), self.reading() if read_only else self.transaction() as connection:
                _require_current(connection, url) if read_only else _prepare(connection, url)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def transaction(self, *, batched: bool = False) -> Iterator[Connection]:
        """Yield a connection in a write transaction: committed on a clean exit, else rolled back.

        A block may end it before: by `connection.rollback()`, or by the last of its batches.

        Args:
            batched: the first that the block executes is a batch, which begins the transaction on its way.

        Raises:
            DatabaseAwayError: the database server went away; nothing of the transaction was written.
            CommitUnknownError: it went away during the commit; the transaction may have been written or not.
            StorageError: the database refused; nothing of the transaction was written.
        """
        committing = False
        try:
            options = {_BEGINS: not batched}
            with self._engine.connect().execution_options(**options) as connection, connection.begin() as transaction:
                yield connection
                committing = True
                # Not where the block has rolled it back.
                if transaction.is_active:
                    transaction.commit()
        except sqlalchemy.exc.DBAPIError as exc:
            kind = StorageError
            if self._is_away(exc):
                kind = CommitUnknownError if committing else DatabaseAwayError
            raise kind(f"the ledger cannot be written: {_words(exc.orig)}; what was generated is kept") from exc

    @property
    def on_server(self) -> bool:
        """Whether a server holds it, which may be far away; not a file."""
        return self._engine.name != "sqlite"

    def _is_away(self, exc: sqlalchemy.exc.DBAPIError) -> bool:
        # psycopg raises OperationalError for lost connections, shutdowns and timeouts; all of these may pass.
        gone = exc.connection_invalidated or isinstance(exc, sqlalchemy.exc.OperationalError)
        return gone and self.on_server

    @contextlib.contextmanager
    def reading(self, *, streamed: bool = False) -> Iterator[Connection]:
        """Yield a connection that only reads, and waits for no writer.

        Args:
            streamed: rows are fetched a few at a time, which a server allows within a transaction only.

        Raises:
            DatabaseAwayError: the database server went away, perhaps only for a moment.
            StorageError: the database refused.
        """
        try:
            options = {_READ_ONLY: True, _BEGINS: streamed}
            with self._engine.connect().execution_options(**options) as connection:
                yield connection
        except sqlalchemy.exc.DBAPIError as exc:
            kind = DatabaseAwayError if self._is_away(exc) else StorageError
            raise kind(f"the ledger cannot be read: {_words(exc.orig)}; what was generated is kept") from exc

    def now(self, connection: Connection) -> int:
        """Return microseconds since 1970 by the clock that all users of this database share."""
        if self._clock is not None:
            return int(self._clock() * 1_000_000)
        if connection.dialect.name == "sqlite":
            return time.time_ns() // 1000
        return int(connection.scalar(_NOW))

    def now_after(self, batch: Batch) -> Callable[[], int]:
        """Return a function that tells the time, see `now`, at which the statements of a batch so far were done.

        It may be called once the batch is sent.
        """
        if self._clock is not None or batch.connection.dialect.name == "sqlite":
            return functools.partial(self.now, batch.connection)
        asked = batch.add(_NOW, {})
        return lambda: int(asked.rows[0]["now"])


class LedgerPart:
    """One part of the ledger's methods, on an open database.

    Attributes:
        database: where they read and write.
    """

    def __init__(self, database: LedgerDatabase) -> None:
        self.database = database


def repeat_until_committed(method: M) -> M:
    """Mark a method that changes nothing more when it is called twice.

    Where its commit is not known to have succeeded, `AsyncLedger` calls it again until it has.
    """
    # On the method itself, so that no caller has to know which ones may be repeated.
    method.repeat_until_committed = True  # type: ignore[attr-defined]
    return method


def ledger_exists(url: str) -> bool:
    """Return whether there may be a ledger at `url`: for SQLite whether its file exists, for a server always.

    Raises:
        LedgerError: `url` is no database address.
    """
    with _ledger_errors(url):
        parsed = sqlalchemy.make_url(url)
    return parsed.get_backend_name() != "sqlite" or (parsed.database is not None and Path(parsed.database).is_file())


def require_ledger(url: str, *, output: Path) -> str:
    """Return `url` if there is a ledger.

    Args:
        url: the ledger's address.
        output: the output folder, for the message.

    Raises:
        UsageError: there is none yet.
    """
    if not ledger_exists(url):
        raise UsageError(f"{output}: there is no ledger here yet; render a storyboard first, or choose its --output")
    return url


def _open_engine(url: str) -> Engine:
    parsed = sqlalchemy.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return _open_server_engine(parsed, _SERVER_BOUNDS)
    if parsed.database in (None, "", ":memory:"):
        # Every thread has a connection of its own, and so would have a database of its own.
        raise ValueError("a ledger in memory would end with the thread that opened it; name a file")
    # A `file:` URI says itself how the database is opened, perhaps only for reading: its folder is not made here.
    if not parsed.database.startswith("file:"):
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sqlalchemy.create_engine(parsed, connect_args={"timeout": _BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _open_engine_to_read(url: str) -> Engine:
    """Open an engine that cannot write: the database itself refuses."""
    parsed = sqlalchemy.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        bounds = {**_SERVER_BOUNDS, "options": f"{_SERVER_BOUNDS['options']} -c default_transaction_read_only=on"}
        return _open_server_engine(parsed, bounds)
    database = parsed.database or ""
    uri = database if database.startswith("file:") else f"{Path(database).absolute().as_uri()}?mode=ro"

    def connect() -> sqlite3.Connection:
        # Checked off: a pool may close a connection in another thread than the one that opened it.
        connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_TIMEOUT_S, check_same_thread=False)
        connection.isolation_level = None
        connection.execute("PRAGMA query_only=ON")
        return connection

    engine = sqlalchemy.create_engine(parsed, creator=connect)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _open_server_engine(url: sqlalchemy.URL, bounds: Mapping[str, object]) -> Engine:
    # Without a BEGIN of the driver's own, which would be a round trip: it travels with the first batch, or not at all
    # where single statements only read.
    engine = sqlalchemy.create_engine(url, connect_args=dict(bounds), isolation_level="AUTOCOMMIT")
    event.listen(engine, "begin", _begin_on_server)
    return engine


def _begin_on_server(connection: Connection) -> None:
    if connection.get_execution_options().get(_BEGINS, True):
        connection.exec_driver_sql("BEGIN")


def _set_up_sqlite(dbapi_connection: sqlite3.Connection, _: object) -> None:
    # BEGIN is sent by `_begin_sqlite`: sqlite3 itself would start transactions at the first write, too late for a lock.
    dbapi_connection.isolation_level = None
    _switch_to_wal(dbapi_connection)
    # FULL: a commit that returned survives a power cut; WAL's usual NORMAL may lose the last ones.
    dbapi_connection.execute("PRAGMA synchronous=FULL")


def _switch_to_wal(dbapi_connection: sqlite3.Connection) -> None:
    # While another connection makes the same switch in a new file, SQLite reports a lock at once, whatever timeout this
    # connection has: https://www.sqlite.org/c3ref/busy_handler.html
    deadline = time.monotonic() + _BUSY_TIMEOUT_S
    while True:
        try:
            dbapi_connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
        time.sleep(_SWITCH_PAUSE_S)


def _begin_sqlite(connection: Connection) -> None:
    # IMMEDIATE takes the write lock at once: a reader that turns writer halfway would fail instead of waiting.
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _prepare(connection: Connection, url: str) -> None:
    """Make the tables that are missing, and bring older ones up to date; all in one transaction."""
    if connection.dialect.name == "postgresql":
        # Of two processes that make the same tables at once, one would fail. SQLite's write lock does the same there.
        connection.execute(select(sqlalchemy.func.pg_advisory_xact_lock(_PREPARING)))
    metadata.create_all(connection)
    version = connection.scalar(select(meta.c.schema_version))
    if version is None:
        connection.execute(insert(meta).values(schema_version=SCHEMA_VERSION))
        return
    _refuse_newer(version, url)
    if version < SCHEMA_VERSION:
        migrate(connection, version)
        connection.execute(update(meta).values(schema_version=SCHEMA_VERSION))


def _require_current(connection: Connection, url: str) -> None:
    """Refuse a database that a reader cannot use as it is: bringing it up to date would be writing."""
    inspector = sqlalchemy.inspect(connection)
    if not inspector.has_table(meta.name):
        raise OutdatedLedgerError(f"{_without_password(url)}: holds no ledger yet; render a storyboard first")
    version = connection.scalar(select(meta.c.schema_version)) or 0
    _refuse_newer(version, url)
    # A version that is not released yet may still gain tables.
    if version < SCHEMA_VERSION or not metadata.tables.keys() <= set(inspector.get_table_names()):
        raise OutdatedLedgerError(
            f"{_without_password(url)}: the ledger has schema version {version}, this storyreel reads "
            f"{SCHEMA_VERSION}: any command that writes, like `storyreel ledger`, brings it up to date"
        )


def _refuse_newer(version: int, url: str) -> None:
    if version > SCHEMA_VERSION:
        raise LedgerError(
            f"{_without_password(url)}: the ledger has schema version {version}, this storyreel knows "
            f"{SCHEMA_VERSION}: upgrade storyreel"
        )


@contextlib.contextmanager
def _ledger_errors(url: str) -> Iterator[None]:
    """Translate everything that opening can raise into a LedgerError that names the database and the cure."""
    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, OSError, ImportError, ValueError, StorageError) as exc:
        # The driver's own message; SQLAlchemy's adds the statement and a link.
        reason = getattr(exc.__cause__ or exc, "orig", None) or exc
        raise LedgerError(
            f"{_without_password(url)}: the ledger cannot be opened: {_words(reason)}; check the output folder "
            "and STORYREEL_DATABASE_URL"
        ) from exc


def _words(reason: BaseException | None) -> str:
    """Return the first line of a driver's message; Postgres's go on with details and hints."""
    return next(iter(str(reason).splitlines()), "")


def _without_password(url: str) -> str:
    """Return an address as it may be shown; the variable's name where it cannot be parsed."""
    try:
        parsed = sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        return "STORYREEL_DATABASE_URL"
    # The query may hold a password too, and the part of one after an unescaped @ is parsed as the host.
    host = parsed.host.rpartition("@")[2] if parsed.host else None
    return parsed.set(query={}, host=host).render_as_string(hide_password=True)
