"""The history of a storyboard: every attempt that was ever made for it, whichever run made it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import select

from pipelines.ledger.database import LedgerPart
from pipelines.ledger.models import AttemptStatus
from pipelines.ledger.schema import attempts, runs

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = (
    "run_id", "request_key", "try", "status", "http_status", "error", "cost_usd", "reserved_usd", "sent_at",
    "finished_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PastAttempt:
    """One attempt, as it is in the ledger now.

    Attributes:
        run_id: the run that made it.
        request_key: the take that it was for.
        number: of the attempts for this take in its run, from 1.
        status: the way it ended; unknown while it is open.
        http_status: None where no status line came.
        error: the reason, in words; None where there is none.
        cost_usd: None where that is not known; then `reserved_usd` stays charged.
        sent_at: UTC.
        latency_s: seconds until it was closed; None while it is open.
    """

    run_id: str
    request_key: str
    number: int
    status: AttemptStatus
    http_status: int | None
    error: str | None
    cost_usd: Decimal | None
    reserved_usd: Decimal
    sent_at: datetime
    latency_s: float | None


class AttemptHistory(LedgerPart):
    """Reads the history of a storyboard."""

    def attempt_history(self, storyboard: str) -> list[PastAttempt]:
        """Return every attempt ever made for a storyboard, oldest first."""
        columns = [attempts.c[name] for name in _COLUMNS]
        query = select(*columns).where(attempts.c.storyboard == storyboard).order_by(attempts.c.attempt_id)
        with self.database.reading() as connection:
            return [
                PastAttempt(
                    run_id=row.run_id,
                    request_key=row.request_key,
                    # `try` is a keyword: its column is reached by its place.
                    number=row[2],
                    status=AttemptStatus(row.status or AttemptStatus.UNKNOWN),
                    http_status=row.http_status,
                    error=row.error,
                    cost_usd=row.cost_usd,
                    reserved_usd=row.reserved_usd,
                    # Exact to the microsecond, which a float of seconds since 1970 is not.
                    sent_at=_EPOCH + timedelta(microseconds=row.sent_at),
                    latency_s=None if row.finished_at is None else (row.finished_at - row.sent_at) / 1_000_000,
                )
                for row in connection.execute(query)
            ]

    def run_budget_usd(self, run_id: str) -> Decimal | None:
        """Return the budget of a run in US dollars; None where it had none, or there is no such run."""
        with self.database.reading() as connection:
            return connection.scalar(select(runs.c.budget_usd).where(runs.c.run_id == run_id))

    def run_rate_limit(self, run_id: str) -> int | None:
        """Return the requests a minute that a run was allowed; None before its first heartbeat, or where it is none."""
        with self.database.reading() as connection:
            return connection.scalar(select(runs.c.rate_limit).where(runs.c.run_id == run_id))

    def run_group_id(self, run_id: str) -> str:
        """Return the id of the group that a run belongs to; its own where it was alone, or there is no such run."""
        with self.database.reading() as connection:
            return connection.scalar(select(runs.c.group_id).where(runs.c.run_id == run_id)) or run_id
