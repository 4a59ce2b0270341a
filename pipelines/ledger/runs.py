"""The runs in the ledger: their entries, whether they are alive, and what ended ones left open."""

import os
from collections.abc import Collection

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from pipelines.common.budgets import Budgets
from pipelines.common.geometry import AspectRatio
from pipelines.common.processes import start_of, this_host
from pipelines.ledger.database import LedgerPart, repeat_until_committed
from pipelines.ledger.models import AbandonedAttempt, Run, RunCounters, RunState
from pipelines.ledger.schema import attempts, leases, runs

HEARTBEAT_S = 2
# Thirty heartbeats may be missed: a machine may be slow, but not that slow.
ALIVE_S = 60
# The year 1973 in microseconds; in clock ticks, three thousand years of running.
_LEAST_TIME_OF_DAY = 100_000_000_000_000

# The columns that hold a run's counters. Some keep an older name: ledgers of earlier versions have them so.
COUNTER_COLUMNS = {
    "stage": "stage",
    "frames": "frames",
    "reused": "reused",
    "to_generate": "to_buy",
    "generated": "bought",
    "failed": "failed",
    "segments": "pieces",
    "segments_done": "pieces_done",
    "rate_limit": "rate_limit",
    "quote_usd": "quote_usd",
    "seconds_left": "seconds_left",
    "megapixels_per_s": "megapixels_per_s",
}


class RunRegistry(LedgerPart):
    """The runs: their entries, their heartbeats, and what ended ones left open."""

    def record_heartbeat(self, run_id: str, counters: RunCounters | None = None) -> None:
        """Record that a run is alive, and its progress if `counters` are given."""
        with self.database.transaction() as connection:
            keep_alive(connection, run_id, now=self.database.now(connection), counters=counters)

    @repeat_until_committed
    def finish_run(self, run_id: str, *, state: RunState, counters: RunCounters | None = None) -> None:
        """Close a run and give up its leases on takes."""
        with self.database.transaction() as connection:
            connection.execute(delete(leases).where(leases.c.run_id == run_id))
            finished = {
                "finished_at": self.database.now(connection),
                "state": state.value,
                **_counter_columns(counters),
            }
            connection.execute(update(runs).where(runs.c.run_id == run_id).values(finished))

    def last_real_run(self, storyboard: str) -> Run | None:
        """Return the run of a storyboard that began last, of those that are not simulated; None where there is none."""
        real = (runs.c.storyboard == storyboard) & ~runs.c.simulated
        newest_first = select(runs).where(real).order_by(runs.c.started_at.desc(), runs.c.run_id)
        with self.database.reading() as connection:
            row = connection.execute(newest_first.limit(1)).mappings().first()
        return run_of(row) if row else None

    def storyboards_to_recover(self) -> list[str]:
        """Return the ids of the storyboards that have open attempts, of dead runs or living ones, in order."""
        with self.database.reading() as connection:
            still_open = select(attempts.c.storyboard).where(attempts.c.status.is_(None)).distinct()
            return sorted(connection.scalars(still_open))

    def abandoned_attempts(self, storyboard: str, *, places: Collection[str] = ()) -> list[AbandonedAttempt]:
        """Return the attempts of a storyboard that are open though their runs have ended or died, oldest first.

        Args:
            storyboard: its id.
            places: the ids of the output folder that is seen from here. What runs in another one have left can only be
                found there, unless they said nothing of where they are.
        """
        query = (
            select(
                attempts.c.attempt_id,
                attempts.c.run_id,
                attempts.c.request_key,
                attempts.c.aspect_ratio,
                leases.c.attempt_id.label("lease"),
            )
            .outerjoin(leases, leases.c.request_key == attempts.c.request_key)
            .outerjoin(runs, runs.c.run_id == attempts.c.run_id)
            .where(attempts.c.storyboard == storyboard, attempts.c.status.is_(None))
            .where(runs.c.place.is_(None) | runs.c.place.in_(places))
            .order_by(attempts.c.attempt_id)
        )
        with self.database.reading() as connection:
            rows = connection.execute(query).all()
            now = self.database.now(connection)
            dead = {run_id for run_id in {row.run_id for row in rows} if not is_alive(connection, run_id, now=now)}
        return [
            AbandonedAttempt(
                row.attempt_id,
                row.request_key,
                AspectRatio(row.aspect_ratio).size,
                holds_lease=row.lease in (None, row.attempt_id),
            )
            for row in rows
            if row.run_id in dead
        ]


def enter_run(connection: Connection, run: Run, *, now: int) -> None:
    """Enter a run of this process."""
    connection.execute(
        insert(runs).values(
            run_id=run.run_id,
            storyboard=run.storyboard,
            endpoint=run.endpoint,
            address=run.address,
            dialect=run.dialect,
            model=run.model,
            model_id=run.model_id,
            simulated=run.simulated,
            budget_usd=run.budgets.run_usd,
            host=this_host(),
            pid=os.getpid(),
            # Process numbers are given out again; a number and its start are not.
            pid_started=start_of(os.getpid()),
            alive_until=now + ALIVE_S * 1_000_000,
            started_at=now,
            lane=run.lane,
            place=run.place,
            group_id=run.group_id,
        )
    )


def keep_alive(connection: Connection, run_id: str, *, now: int, counters: RunCounters | None = None) -> None:
    """Let a run count as alive for another minute, and note its counters if they are given."""
    values = {"alive_until": now + ALIVE_S * 1_000_000, **_counter_columns(counters)}
    connection.execute(update(runs).where(runs.c.run_id == run_id).values(values))


def run_of(row: RowMapping) -> Run:
    """Return the run of an entry."""
    budgets = Budgets(row["budget_usd"])
    asked = ("endpoint", "address", "dialect", "model", "model_id")
    names = ("run_id", "storyboard", *asked, "simulated", "lane", "place")
    group = None if row["group_id"] == row["run_id"] else row["group_id"]
    return Run(**{name: row[name] for name in names}, budgets=budgets, group=group)


def is_alive(connection: Connection, run_id: str, *, now: int) -> bool:
    """Return whether a run may still be sending."""
    row = connection.execute(select(runs).where(runs.c.run_id == run_id)).mappings().first()
    return row is not None and is_run_alive(row, now=now)


def state_of(row: RowMapping, *, now: int) -> RunState:
    """Return the state of the run of this entry."""
    if row["state"] is not None:
        return RunState(row["state"])
    if not is_run_alive(row, now=now):
        return RunState.DIED
    return RunState.RUNNING if row["host"] == this_host() else RunState.RUNNING_ELSEWHERE


def is_run_alive(row: RowMapping, *, now: int) -> bool:
    """Return whether the run of this entry may still be sending.

    On this machine its process is looked up: a killed run counts as dead at once, a suspended one does not. Of a run on
    another machine only the heartbeat is known.
    """
    if row["finished_at"] is not None:
        return False
    if row["host"] == this_host():
        return _process_lives(row, now=now)
    return bool(row["alive_until"] > now)


def _counter_columns(counters: RunCounters | None) -> dict[str, object]:
    """Return the counters as their columns hold them."""
    return {column: getattr(counters, name) for name, column in COUNTER_COLUMNS.items()} if counters else {}


def _process_lives(row: RowMapping, *, now: int) -> bool:
    try:
        started = start_of(row["pid"])
    except ProcessLookupError:
        return False
    except PermissionError:
        # Another user's. Waiting for a run that may be dead costs less than generating its takes twice.
        return True
    # Entered by an older version, which wrote down a time of day instead of ticks: only its heartbeat can be used.
    if row["pid_started"] >= _LEAST_TIME_OF_DAY > started:
        return bool(row["alive_until"] > now)
    return started == int(row["pid_started"])
