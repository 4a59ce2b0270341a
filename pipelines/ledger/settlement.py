"""The steps of an admitted attempt: sent -> billed -> kept, or another end. Each step is committed alone.

The marked ones may be repeated where their commit is not known to have succeeded: costs and states are set, never
added to. All that a second time changes is the pace, by another thousandth.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from pipelines.common.errors import UsageError
from pipelines.common.formatting import format_decimal
from pipelines.ledger.batches import Batch
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
_THIS = attempts.c.attempt_id == bindparam("of")
_LOCK_ATTEMPT = select(attempts).where(_THIS).with_for_update()
# Its parameters name the columns that it writes.
_WRITE = update(attempts).where(_THIS)
_ANSWERED = update(attempts).where(_THIS, attempts.c.http_status.is_(None)).values(http_status=200)
# Inline: its number is not asked for.
_CORRECT = insert(corrections).inline()
_RELEASE = delete(leases).where(leases.c.attempt_id == bindparam("of"))
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
        """Settle the cost of a 2xx as soon as it is known, from its headers before its body; the attempt stays open.

        A later bill replaces an earlier one.
        """
        bill = {
            "http_status": billed.http_status,
            "neurons": billed.neurons,
            "tiles": billed.tiles,
            "stated_steps": billed.steps,
        }
        with self.database.transaction(batched=True) as connection:
            attempt, now = self._lock(connection, attempt_id)
            settling = Batch(connection)
            raise_pace(settling, endpoint=attempt["endpoint"], lane=attempt["lane"])
            cost = _charge(settling, attempt, billed.cost_usd, billed.basis)
            _write(settling, attempt_id, {**bill, **cost, "billed_at": now})
            settling.send(commit=True)

    @repeat_until_committed
    def keep_take(self, attempt_id: int, take: NewTake) -> None:
        """Close an attempt whose image is safe on disk, and give up the lease on its take."""
        kept = {
            "status": AttemptStatus.OK.value,
            "file": take.file,
            "bytes": take.bytes,
            "sha256": take.sha256,
            "body_sha256": take.body_sha256 or take.sha256,
            "width": take.width,
            "height": take.height,
            "place": take.place,
        }
        with self.database.transaction(batched=True) as connection:
            asking = Batch(connection)
            same = asking.add(_SAME_BYTES, {"sha256": take.body_sha256 or take.sha256, "of": attempt_id})
            now = self.database.now_after(asking)
            asking.send()
            remarks = [*take.remarks, *_same_bytes(same.rows)]
            kept |= {"remarks": format_remarks(remarks), "finished_at": now()}
            keeping = Batch(connection)
            _write(keeping, attempt_id, kept)
            # Where the bill could not be entered, nothing is known of the status but that there was an image.
            keeping.add(_ANSWERED, {"of": attempt_id})
            # By the fencing token: where another run has taken the lease over, it stays.
            keeping.add(_RELEASE, {"of": attempt_id})
            keeping.send(commit=True)

    @repeat_until_committed
    def close_attempt(self, attempt_id: int, outcome: Outcome) -> None:
        """Close an attempt that left no take. Its run keeps the lease, for the next try.

        One whose image another run has found and kept meanwhile stays kept.
        """
        closed: dict[str, Any] = {"status": outcome.status.value, "error": outcome.error[:_MAX_ERROR_CHARS]}
        if outcome.http_status is not None:
            closed["http_status"] = outcome.http_status
        with self.database.transaction(batched=True) as connection:
            attempt, now = self._lock(connection, attempt_id)
            if attempt["status"] == AttemptStatus.OK:
                return
            closing = Batch(connection)
            cost = _charge(closing, attempt, outcome.cost_usd, CostBasis.STATED)
            _write(closing, attempt_id, {**closed, **cost, "finished_at": now})
            closing.send(commit=True)

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
        with self.database.transaction(batched=True) as connection:
            forgetting = Batch(connection)
            for attempt_id in attempt_ids:
                _write(forgetting, attempt_id, {"file": None, "error": error})
            forgetting.send(commit=True)

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
            corrected = {
                "attempt_id": attempt_id,
                "cost_usd": correction.cost_usd,
                "corrected_by": correction.corrected_by,
                "corrected_at": self.database.now(connection),
                "reason": correction.reason,
            }
            correcting = Batch(connection)
            cost = _charge(correcting, attempt, correction.cost_usd, CostBasis.SETTLED)
            _write(correcting, attempt_id, cost or _uncharge(correcting, attempt))
            correcting.add(_CORRECT, corrected)
            correcting.send(commit=True)

    def _lock(self, connection: Connection, attempt_id: int) -> tuple[Mapping[str, Any], int]:
        """Lock an attempt; return it, and the time."""
        batch = Batch(connection)
        locked = batch.add(_LOCK_ATTEMPT, {"of": attempt_id})
        now = self.database.now_after(batch)
        batch.send()
        [attempt] = locked.rows
        return attempt, now()


def _same_bytes(rows: Iterable[Mapping[Any, Any]]) -> Iterator[Remark]:
    """Yield the remark that a take has the same bytes as one that was asked for otherwise."""
    for row in rows:
        same = f"take {row['take']} of frame {row['frame']} of {row['storyboard']}"
        yield Remark(RemarkKind.SAME, f"has the same bytes as {same}")


def _charge(
    batch: Batch, attempt: Mapping[Any, Any], cost_usd: Decimal | None, basis: CostBasis
) -> dict[str, Decimal | str]:
    """Replace what an attempt was charged at by its known cost, in the budgets; return the columns to write."""
    if cost_usd is None:
        return {}
    # As it will be stored: a cost with more digits than the database holds must not be rounded twice, and differently.
    charge(batch, attempt, Usd.rounded(cost_usd) - charged_usd(attempt))
    return {"cost_usd": cost_usd, "cost_basis": basis.value}


def _uncharge(batch: Batch, attempt: Mapping[Any, Any]) -> dict[str, None]:
    """Charge an attempt at its reservation, as one of unknown cost; return the columns to write."""
    charge(batch, attempt, attempt["reserved_usd"] - charged_usd(attempt))
    return {"cost_usd": None, "cost_basis": None}


def _write(batch: Batch, attempt_id: int, values: Mapping[str, Any]) -> None:
    batch.add(_WRITE, {"of": attempt_id, **values})
