"""Runs in the books: which are alive, and what the dead ones left open."""

import functools
import os
import platform
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path

import psutil
from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from pipelines.ledger.database import LedgerDatabase
from pipelines.ledger.models import OpenAttempt, Run, RunCounters
from pipelines.ledger.schema import attempts, leases, runs

HEARTBEAT_S = 2
# Thirty missed beats: a machine may be slow, but not that slow.
ALIVE_S = 60


def start_run(books: LedgerDatabase, run: Run) -> None:
    """Enter a run of this process; it counts as alive while the process lives, elsewhere while it beats."""
    process = psutil.Process()
    with books.transaction() as connection:
        now = books.now(connection)
        connection.execute(
            insert(runs).values(
                run_id=run.run_id,
                storyboard=run.storyboard,
                endpoint=run.endpoint,
                model=run.model,
                simulated=run.simulated,
                budget_usd=run.budgets.run_usd,
                host=this_host(),
                pid=os.getpid(),
                pid_started=int(process.create_time() * 1_000_000),
                alive_until=now + ALIVE_S * 1_000_000,
                started_at=now,
            )
        )


def record_heartbeat(books: LedgerDatabase, run_id: str, standing: RunCounters | None = None) -> None:
    """Say that the run is alive, and how far it has come."""
    with books.transaction() as connection:
        alive_until = books.now(connection) + ALIVE_S * 1_000_000
        said = {"alive_until": alive_until, **_said(standing)}
        connection.execute(update(runs).where(runs.c.run_id == run_id).values(said))


def finish_run(books: LedgerDatabase, run_id: str, *, state: str, standing: RunCounters | None = None) -> None:
    """Close the run and let go of every take it was still buying."""
    with books.transaction() as connection:
        connection.execute(delete(leases).where(leases.c.run_id == run_id))
        finished = {"finished_at": books.now(connection), "state": state, **_said(standing)}
        connection.execute(update(runs).where(runs.c.run_id == run_id).values(finished))


def is_alive(connection: Connection, run_id: str, *, now: int) -> bool:
    """Say whether a run may still be sending."""
    row = connection.execute(select(runs).where(runs.c.run_id == run_id)).mappings().first()
    return row is not None and is_run_alive(row, now=now)


def is_run_alive(row: RowMapping, *, now: int) -> bool:
    """Say whether the run of this entry may still be sending.

    On this machine its process is asked, so that a killed run is known dead at once and a suspended one is not; of
    a run on another machine only the heartbeat is known.
    """
    if row["finished_at"] is not None:
        return False
    if row["host"] == this_host():
        return _process_lives(row)
    return bool(row["alive_until"] > now)


def storyboards_to_recover(books: LedgerDatabase) -> list[str]:
    """Return the storyboards of which some attempt is open, by a dead run or a living one."""
    with books.reading() as connection:
        still_open = select(attempts.c.storyboard).where(attempts.c.status.is_(None)).distinct()
        return sorted(connection.scalars(still_open))


def open_attempts(books: LedgerDatabase, storyboard: str) -> list[OpenAttempt]:
    """Return the attempts of a storyboard that runs left open which have ended or died, oldest first."""
    query = (
        select(attempts.c.attempt_id, attempts.c.run_id, attempts.c.request_key, leases.c.attempt_id.label("lease"))
        .outerjoin(leases, leases.c.request_key == attempts.c.request_key)
        .where(attempts.c.storyboard == storyboard, attempts.c.status.is_(None))
        .order_by(attempts.c.attempt_id)
    )
    with books.reading() as connection:
        rows = connection.execute(query).all()
        now = books.now(connection)
        dead = {run_id for run_id in {row.run_id for row in rows} if not is_alive(connection, run_id, now=now)}
    return [
        OpenAttempt(row.attempt_id, row.request_key, row.lease in (None, row.attempt_id))
        for row in rows
        if row.run_id in dead
    ]


def keys_held_elsewhere(books: LedgerDatabase, request_keys: Collection[str], *, run_id: str) -> set[str]:
    """Return those of `request_keys` that other live runs are buying."""
    with books.reading() as connection:
        now = books.now(connection)
        rows = connection.execute(select(leases).where(leases.c.run_id != run_id)).all()
        living = {holder for holder in {row.run_id for row in rows} if is_alive(connection, holder, now=now)}
    return {row.request_key for row in rows if row.run_id in living}.intersection(request_keys)


@functools.cache
def this_host() -> str:
    """Name what process numbers are unique in: this machine since it was started, and this container on it."""
    boot_id, processes = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    if not boot_id.is_file():
        return platform.node()
    return f"{platform.node()} {boot_id.read_text().strip()} {processes.readlink()}"


def _said(standing: RunCounters | None) -> dict[str, object]:
    return asdict(standing) if standing else {}


def _process_lives(row: RowMapping) -> bool:
    try:
        process = psutil.Process(row["pid"])
        # Dead, and kept in the table only because nobody has asked how it ended.
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        started = process.create_time()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
    # The number may have been given to another process since; its start cannot.
    return abs(started * 1_000_000 - int(row["pid_started"])) < 1_000_000
