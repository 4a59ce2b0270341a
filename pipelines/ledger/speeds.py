"""How fast things went before, as the ledger knows it: an endpoint's answers, and this machine's encoders."""

from sqlalchemy import select

from pipelines.common.processes import this_host
from pipelines.ledger.database import LedgerPart
from pipelines.ledger.schema import attempts, runs

# The last ones: an endpoint is as fast as it is now.
_LAST_ANSWERS = 100


class SpeedQueries(LedgerPart):
    """Reads how fast answers and encoders were."""

    def latencies_s(self, endpoint: str, *, model: str) -> list[float]:
        """Return the seconds from the sending of each of the last hundred kept takes to its end, shortest first."""
        answered = (attempts.c.endpoint == endpoint) & (attempts.c.model == model) & (attempts.c.status == "ok")
        taken = select(attempts.c.finished_at - attempts.c.sent_at).where(answered)
        with self.database.reading() as connection:
            last = connection.scalars(taken.order_by(attempts.c.attempt_id.desc()).limit(_LAST_ANSWERS))
            return sorted(microseconds / 1_000_000 for microseconds in last)

    def megapixels_per_s(self) -> float | None:
        """Return the speed of the encoders in the last run on this machine that measured it, see `film.effort`."""
        measured = (runs.c.host == this_host()) & runs.c.megapixels_per_s.is_not(None)
        newest_first = select(runs.c.megapixels_per_s).where(measured).order_by(runs.c.started_at.desc())
        with self.database.reading() as connection:
            return connection.scalar(newest_first.limit(1))
