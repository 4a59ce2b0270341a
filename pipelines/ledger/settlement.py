"""What becomes of an admitted attempt: sent -> billed -> kept, or how else it ended. Each step is committed alone."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, delete, select, update

from pipelines.ledger.books import Books
from pipelines.ledger.records import AttemptStatus, Billed, Ending, NewTake
from pipelines.ledger.schema import attempts, leases, runs

_MAX_ERROR_CHARS = 1000


def settle_bill(books: Books, attempt_id: int, billed: Billed) -> None:
    """Write down what a 200's headers say, before its body is read: from here on the money is accounted for."""
    with books.transaction() as connection:
        _charge(connection, attempt_id, billed.cost_usd)
        bill = {"http_status": 200, "neurons": billed.neurons, "tiles": billed.tiles}
        _write(connection, attempt_id, {**bill, "billed_at": books.now(connection)})


def keep_take(books: Books, attempt_id: int, take: NewTake) -> None:
    """Close an attempt whose image is safe on disk, and let go of the lease on its take."""
    with books.transaction() as connection:
        kept = {
            "status": AttemptStatus.OK.value,
            "file": take.file,
            "bytes": take.bytes,
            "sha256": take.sha256,
            "width": take.width,
            "height": take.height,
        }
        _write(connection, attempt_id, {**kept, "finished_at": books.now(connection)})
        bought = select(attempts.c.request_key).where(attempts.c.attempt_id == attempt_id).scalar_subquery()
        connection.execute(delete(leases).where(leases.c.request_key == bought))


def close_attempt(books: Books, attempt_id: int, ending: Ending) -> None:
    """Close an attempt that left no take."""
    with books.transaction() as connection:
        if ending.cost_usd is not None:
            _charge(connection, attempt_id, ending.cost_usd)
        closed: dict[str, Any] = {"status": ending.status.value, "error": ending.error[:_MAX_ERROR_CHARS]}
        if ending.http_status is not None:
            closed["http_status"] = ending.http_status
        _write(connection, attempt_id, {**closed, "finished_at": books.now(connection)})


def forget_takes(books: Books, attempt_ids: Iterable[int]) -> None:
    """Note that the files of kept takes are gone, so that their frames can be bought again; what they cost stays."""
    with books.transaction() as connection:
        for attempt_id in attempt_ids:
            _write(connection, attempt_id, {"file": None, "error": "the take's file is gone"})


def _charge(connection: Connection, attempt_id: int, cost_usd: Decimal | None) -> None:
    """Put a known cost in the place of the reservation, in the attempt and in its run's total."""
    if cost_usd is None:
        return
    entry = attempts.c.attempt_id == attempt_id
    row = connection.execute(
        select(attempts.c.run_id, attempts.c.reserved_usd, attempts.c.cost_usd).where(entry).with_for_update()
    ).one()
    charged = row.reserved_usd if row.cost_usd is None else row.cost_usd
    connection.execute(update(attempts).where(entry).values(cost_usd=cost_usd))
    # As it was stored: a cost with more digits than the books hold must not be rounded twice, and differently.
    stored = connection.execute(select(attempts.c.cost_usd).where(entry)).scalar_one()
    committed = runs.c.committed_usd + (stored - charged)
    connection.execute(update(runs).where(runs.c.run_id == row.run_id).values(committed_usd=committed))


def _write(connection: Connection, attempt_id: int, values: dict[str, Any]) -> None:
    connection.execute(update(attempts).where(attempts.c.attempt_id == attempt_id).values(values))
