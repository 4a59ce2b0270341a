"""Batches of statements that travel to the database together: a server far away is asked once, not once for each.

On Postgres a batch is sent in libpq's pipeline mode, with a BEGIN before it and a COMMIT after it: one round trip.
Other databases, and other drivers of it, get its statements one after another.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import Connection, Dialect, Executable, exc

from pipelines.common.errors import CommitUnknownError

# The driver with a pipeline mode.
_PIPELINED = "psycopg"
# libpq's PQTRANS_IDLE: no transaction has begun.
_IDLE = 0


@dataclass(slots=True)
class Answer:
    """The rows that a statement of a batch returned; none before the batch was sent."""

    rows: Sequence[Mapping[Any, Any]] = ()


@dataclass(slots=True)
class Batch:
    """Statements of one transaction, to be sent together. None of them may need what another one returns."""

    connection: Connection
    _statements: list[tuple[Executable, Mapping[str, Any], Answer]] = field(default_factory=list)

    def add(self, statement: Executable, parameters: Mapping[str, Any]) -> Answer:
        """Add a statement; return its answer, which is filled in as the batch is sent.

        Args:
            statement: best built once: it is compiled once.
            parameters: by name.
        """
        answer = Answer()
        self._statements.append((statement, parameters, answer))
        return answer

    def send(self, *, commit: bool = False) -> None:
        """Send the statements, and wait for all answers.

        Args:
            commit: end the transaction with them: nothing more may be executed in it.

        Raises:
            DBAPIError: the database refused or went away; nothing is committed.
            CommitUnknownError: it went away, and may have committed before.
        """
        if not self._statements:
            return
        if self.connection.dialect.driver == _PIPELINED:
            self._send_pipelined(commit=commit)
        else:
            for statement, parameters, answer in self._statements:
                result = self.connection.execute(statement, parameters)
                answer.rows = result.mappings().all() if result.returns_rows else ()
        self._statements.clear()

    def _send_pipelined(self, *, commit: bool) -> None:
        driver = self.connection.connection.driver_connection
        assert driver is not None
        dialect = self.connection.dialect
        compiled = [
            _compile(statement, dialect, tuple(sorted(parameters))) for statement, parameters, _ in self._statements
        ]
        try:
            with driver.pipeline():
                if driver.info.transaction_status == _IDLE:
                    driver.execute("BEGIN")
                cursors = [
                    driver.execute(each.sql, each.bound(parameters))
                    for each, (_, parameters, _) in zip(compiled, self._statements, strict=True)
                ]
                if commit:
                    driver.execute("COMMIT")
            for each, cursor, (_, _, answer) in zip(compiled, cursors, self._statements, strict=True):
                answer.rows = each.read(cursor.fetchall()) if cursor.description else ()
        except dialect.dbapi.Error as error:  # type: ignore[union-attr]
            raise _translated(error, self.connection, commit=commit) from error


def _translated(error: Exception, connection: Connection, *, commit: bool) -> Exception:
    """Return a driver's error as `connection.execute` would have raised it."""
    driver = connection.connection.driver_connection
    lost = driver is None or driver.closed
    if lost:
        # The pool must not hand it out again.
        connection.invalidate()
    if lost and commit:
        return CommitUnknownError(f"the ledger's database went away during a commit: {error}")
    operational = connection.dialect.dbapi.OperationalError  # type: ignore[union-attr]
    kind = exc.OperationalError if isinstance(error, operational) else exc.DBAPIError
    return kind(None, None, error, connection_invalidated=lost)


class _Processor(Protocol):
    def __call__(self, value: Any, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement in a driver's own terms."""

    sql: str
    parameters: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    binding: Mapping[str, _Processor]
    columns: Sequence[tuple[str, _Processor | None]]

    def bound(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return parameters as the driver takes them."""
        values = dict(self.parameters(parameters))
        return {**values, **{name: process(values[name]) for name, process in self.binding.items()}}

    def read(self, rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
        """Return rows as the columns' types have them."""
        return [
            {
                name: value if process is None else process(value)
                for (name, process), value in zip(self.columns, row, strict=True)
            }
            for row in rows
        ]


@functools.lru_cache(maxsize=128)
def _compile(statement: Any, dialect: Dialect, keys: tuple[str, ...]) -> _Compiled:
    # As `Connection.execute` does it, which has no way to send a statement without waiting for its answer.
    compiled = statement.compile(dialect=dialect, column_keys=list(keys))
    processors = {name: bound.type.bind_processor(dialect) for bound, name in compiled.bind_names.items()}
    returned = getattr(statement, "exported_columns", ())
    return _Compiled(
        str(compiled),
        compiled.construct_params,
        {name: process for name, process in processors.items() if process},
        [(column.name, column.type.result_processor(dialect, None)) for column in returned],
    )
