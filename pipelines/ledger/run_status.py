"""The status of a storyboard's runs that matter now: their progress, speed and cost."""

from sqlalchemy import ColumnElement, Connection, RowMapping, func, select

from pipelines.common.processes import this_host
from pipelines.ledger.database import LedgerPart
from pipelines.ledger.gate import current_pace
from pipelines.ledger.models import AttemptStatus, RequestRates, RunCounters, RunSnapshot, RunState, Totals
from pipelines.ledger.queries import add_up
from pipelines.ledger.runs import ALIVE_S, COUNTER_COLUMNS, run_of, state_of
from pipelines.ledger.schema import attempts, runs

_MINUTE_US = 60_000_000


class RunStatusQueries(LedgerPart):
    """Reads the status of a storyboard's runs."""

    def current_runs(self, storyboard: str) -> tuple[list[RunSnapshot], int]:
        """Return the runs of a storyboard that matter now, oldest first, and the time of the database's clock.

        They are those that live, those that died and left attempts open, and the last one in any case.
        The time is in microseconds since 1970.
        """
        with self.database.reading() as connection:
            now = self.database.now(connection)
            entries = [_entry(connection, row, now=now) for row in _candidates(connection, storyboard)]
        return [entry for entry in entries if _matters(entry) or entry is entries[-1]], now


def _candidates(connection: Connection, storyboard: str) -> list[RowMapping]:
    """Return the entries of runs that have not ended in order, and of the last one."""
    of_storyboard = (
        select(runs).where(runs.c.storyboard == storyboard).order_by(runs.c.started_at.desc(), runs.c.run_id)
    )
    last = connection.execute(of_storyboard.limit(1)).mappings().all()
    unfinished = connection.execute(of_storyboard.where(runs.c.finished_at.is_(None))).mappings().all()
    # Both are newest first; reversed, the last run stands at the end, where `current_runs` expects it.
    return list(reversed([*last, *(row for row in unfinished if row not in last)]))


def _matters(entry: RunSnapshot) -> bool:
    """Return whether a run goes on, or left attempts open that the next run has to recover."""
    return entry.state.running or (entry.state is RunState.DIED and entry.totals.open > 0)


def _entry(connection: Connection, row: RowMapping, *, now: int) -> RunSnapshot:
    ours = (attempts.c.storyboard == row["storyboard"]) & (attempts.c.run_id == row["run_id"])
    totals = add_up(connection, ours)
    return RunSnapshot(
        run=run_of(row),
        state=state_of(row, now=now),
        host=row["host"],
        pid=row["pid"],
        here=row["host"] == this_host(),
        started_at=row["started_at"],
        seen_at=row["alive_until"] - ALIVE_S * 1_000_000,
        finished_at=row["finished_at"],
        counters=_counters(row, totals),
        totals=totals,
        rates=_rates(connection, ours, row, now=now),
    )


def _counters(row: RowMapping, totals: Totals) -> RunCounters | None:
    if row["stage"] is None:
        return None
    reported = {name: row[column] for name, column in COUNTER_COLUMNS.items()}
    # A take may have been kept since the last report, or out of what a killed run left open.
    generated = max(reported["generated"], totals.by_status.get(AttemptStatus.OK, 0))
    costs = {"cost_usd": totals.cost.usd, "uncertain_usd": totals.uncertain_usd}
    return RunCounters(**{**reported, **costs, "generated": generated})


def _rates(connection: Connection, ours: ColumnElement[bool], row: RowMapping, *, now: int) -> RequestRates:
    kept = ours & (attempts.c.status == "ok")
    return RequestRates(
        sent=_a_minute(connection, attempts.c.sent_at, ours, now=now),
        kept=_a_minute(connection, attempts.c.finished_at, kept, now=now),
        pace=current_pace(connection, row["endpoint"], row["lane"]),
    )


def _a_minute(connection: Connection, when: ColumnElement[int], which: ColumnElement[bool], *, now: int) -> float:
    """Return the rate of some attempts over the last minute, or since the first of them if that is less."""
    of_late = which & in_last_minute(when, now=now)
    count, first = connection.execute(select(func.count(), func.min(when)).where(of_late)).one()
    return rate_a_minute(count, first, now=now)


def in_last_minute(when: ColumnElement[int], *, now: int) -> ColumnElement[bool]:
    """Return the condition that a time lies in the last minute."""
    return (when > now - _MINUTE_US) & (when <= now)


def rate_a_minute(count: int, first: int | None, *, now: int) -> float:
    """Return the rate of so many events since the first of them, in events a minute."""
    # n events span n - 1 gaps; one alone has no rate. At least a millisecond: two may have come at the same moment.
    return _MINUTE_US * (count - 1) / max(now - first, 1000) if count > 1 and first is not None else 0.0
