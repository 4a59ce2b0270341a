"""The steps of an admitted attempt: sent -> billed -> kept, or another end. Each step is committed alone.

The marked ones may be repeated where their commit is not known to have succeeded: costs and states are set, never
added to. All that a second time changes is the pace, by another thousandth.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, delete, func, insert, select, update

from pipelines.common.errors import UsageError
from pipelines.common.formatting import format_decimal
from pipelines.ledger.budgets import charge, charged_usd
from pipelines.ledger.database import LedgerPart, repeat_until_committed
from pipelines.ledger.gate import raise_pace
from pipelines.ledger.models import (
    AttemptStatus,
    Billed,
    Correction,
    CostBasis,
    NewTake,
    Outcome,
    Remark,
    RemarkKind,
    TakeLoss,
)
from pipelines.ledger.remarks import format_remarks
from pipelines.ledger.schema import Usd, attempts, corrections, leases

# An endpoint may answer with a whole page.
_MAX_ERROR_CHARS = 1000
# Built once: to build a statement takes longer than to run it on SQLite.
_SAME_BYTES = (
    select(attempts.c.take, attempts.c.frame, attempts.c.storyboard)
    .where(attempts.c.body_sha256 == bindparam("sha256"), attempts.c.status == "ok")
    .where(
        attempts.c.request_key
        != select(attempts.c.request_key).where(attempts.c.attempt_id == bindparam("of")).scalar_subquery()
    )
    .order_by(attempts.c.attempt_id)
    .limit(1)
)
# How the error of an attempt begins whose take is lost; the kind of loss follows.
LOST = "the take's file is "


class Settlement(LedgerPart):
    """The steps of an admitted attempt, each committed alone."""

    @repeat_until_committed
    def settle_bill(self, attempt_id: int, billed: Billed) -> None:
        """Settle the cost that a 2xx's headers state, before its body is read; the attempt stays open."""
        bill = {
            "http_status": billed.http_status,
            "neurons": billed.neurons,
            "tiles": billed.tiles,
            "stated_steps": billed.steps,
        }
        with self.database.transaction() as connection:
            attempt = _lock(connection, attempt_id)
            raise_pace(connection, attempt["endpoint"])
            cost = _charge(connection, attempt, billed.cost_usd, CostBasis.STATED)
            _write(connection, attempt_id, {**bill, **cost, "billed_at": self.database.now(connection)})

    @repeat_until_committed
    def keep_take(self, attempt_id: int, take: NewTake) -> None:
        """Close an attempt whose image is safe on disk, and give up the lease on its take."""
        kept = {
            "status": AttemptStatus.OK.value,
            # Where the bill could not be entered, nothing is known of the status but that there was an image.
            "http_status": func.coalesce(attempts.c.http_status, 200),
            "file": take.file,
            "bytes": take.bytes,
            "sha256": take.sha256,
            "body_sha256": take.body_sha256 or take.sha256,
            "width": take.width,
            "height": take.height,
            "place": take.place,
        }
        with self.database.transaction() as connection:
            remarks = [*take.remarks, *_same_bytes(connection, attempt_id, take)]
            kept |= {"remarks": format_remarks(remarks), "finished_at": self.database.now(connection)}
            _write(connection, attempt_id, kept)
            # By the fencing token: where another run has taken the lease over, it stays.
            connection.execute(delete(leases).where(leases.c.attempt_id == attempt_id))

    @repeat_until_committed
    def close_attempt(self, attempt_id: int, outcome: Outcome) -> None:
        """Close an attempt that left no take. Its run keeps the lease, for the next try."""
        closed: dict[str, Any] = {"status": outcome.status.value, "error": outcome.error[:_MAX_ERROR_CHARS]}
        if outcome.http_status is not None:
            closed["http_status"] = outcome.http_status
        with self.database.transaction() as connection:
            cost = _charge(connection, _lock(connection, attempt_id), outcome.cost_usd, CostBasis.STATED)
            _write(connection, attempt_id, {**closed, **cost, "finished_at": self.database.now(connection)})

    def forget_lost_takes(
        self, attempt_ids: Iterable[int], *, loss: TakeLoss = TakeLoss.GONE, detail: str = ""
    ) -> None:
        """Note that the files of kept takes are no more, so that they can be generated again; their cost stays.

        Args:
            attempt_ids: the attempts that generated them.
            loss: what became of the files.
            detail: more of it, in words.
        """
        error = f"{LOST}{loss}{detail and f': {detail}'}"[:_MAX_ERROR_CHARS]
        with self.database.transaction() as connection:
            for attempt_id in attempt_ids:
                _write(connection, attempt_id, {"file": None, "error": error})

    def correct_attempt(self, attempt_id: int, correction: Correction, *, storyboard: str) -> None:
        """Settle an attempt of unknown cost by hand: with its cost, or with the note that it cannot be found out.

        One that was settled so may be settled again.

        Raises:
            UsageError: the storyboard has no such attempt, its answer is still awaited, or stated its cost.
        """
        with self.database.transaction() as connection:
            entry = (attempts.c.attempt_id == attempt_id) & (attempts.c.storyboard == storyboard)
            attempt = connection.execute(select(attempts).where(entry).with_for_update()).mappings().first()
            if attempt is None:
                raise UsageError(f"attempt {attempt_id}: {storyboard} has none of this number; see its ledger.csv")
            if attempt["status"] is None:
                raise UsageError(f"attempt {attempt_id}: its answer is still awaited; settle it once its run has ended")
            if attempt["cost_usd"] is not None and attempt["cost_basis"] != CostBasis.SETTLED:
                known = f"{format_decimal(attempt['cost_usd'])} USD ({attempt['cost_basis']})"
                raise UsageError(f"attempt {attempt_id}: its cost is known, {known}; nothing to settle")
            cost = _charge(connection, attempt, correction.cost_usd, CostBasis.SETTLED)
            _write(connection, attempt_id, cost or _uncharge(connection, attempt))
            connection.execute(
                insert(corrections).values(
                    attempt_id=attempt_id,
                    cost_usd=correction.cost_usd,
                    corrected_by=correction.corrected_by,
                    corrected_at=self.database.now(connection),
                    reason=correction.reason,
                )
            )


def _lock(connection: Connection, attempt_id: int) -> RowMapping:
    found = select(attempts).where(attempts.c.attempt_id == attempt_id).with_for_update()
    return connection.execute(found).mappings().one()


def _same_bytes(connection: Connection, attempt_id: int, take: NewTake) -> Iterator[Remark]:
    """Yield the remark that a take has the same bytes as one that was asked for otherwise."""
    for row in connection.execute(_SAME_BYTES, {"sha256": take.body_sha256 or take.sha256, "of": attempt_id}):
        yield Remark(RemarkKind.SAME, f"has the same bytes as take {row.take} of frame {row.frame} of {row.storyboard}")


def _charge(
    connection: Connection, attempt: RowMapping, cost_usd: Decimal | None, basis: CostBasis
) -> dict[str, Decimal | str]:
    """Replace what an attempt was charged at by its known cost, in the budgets; return the columns to write."""
    if cost_usd is None:
        return {}
    # As it will be stored: a cost with more digits than the database holds must not be rounded twice, and differently.
    charge(connection, attempt, Usd.rounded(cost_usd) - charged_usd(attempt))
    return {"cost_usd": cost_usd, "cost_basis": basis.value}


def _uncharge(connection: Connection, attempt: RowMapping) -> dict[str, None]:
    """Charge an attempt at its reservation, as one of unknown cost; return the columns to write."""
    charge(connection, attempt, attempt["reserved_usd"] - charged_usd(attempt))
    return {"cost_usd": None, "cost_basis": None}


def _write(connection: Connection, attempt_id: int, values: dict[str, Any]) -> None:
    connection.execute(update(attempts).where(attempts.c.attempt_id == attempt_id).values(values))
