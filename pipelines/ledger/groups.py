"""The groups in the ledger: runs of one storyboard that share its frames, a budget and a stop.

The first of them conducts: it makes the film. Those that begin while it lives, with the same plan, endpoint, model and
output folder, join it.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, case, func, insert, select, update

from pipelines.common.errors import GroupEndedError, UsageError
from pipelines.common.processes import this_host
from pipelines.ledger.batches import Batch
from pipelines.ledger.database import LedgerPart, repeat_until_committed
from pipelines.ledger.leasing import drop_leases, take_leases
from pipelines.ledger.models import GroupMember, GroupNews, GroupStop, Run, RunState
from pipelines.ledger.run_status import in_last_minute, rate_a_minute
from pipelines.ledger.runs import enter_run, is_alive, is_run_alive, state_of
from pipelines.ledger.schema import FULL_PACE, attempts, gates, given_up, groups, leases, runs

# The key of an advisory lock on Postgres: any number, as long as every storyreel uses the same one.
_JOINING = 8_273_106
# What runs of a group have in common, and what people call it.
_COMMON = {"storyboard": "storyboard", "endpoint": "endpoint", "model": "model", "place": "output folder"}


class GroupRegistry(LedgerPart):
    """Records the groups of runs: who is in them, why they stop, and who encodes what."""

    def start_run(self, run: Run, *, plan: str | None = None, encoder: str | None = None) -> Run:
        """Enter a run of this process, and return it as it was entered: in the group that it has joined, if any.

        On this machine it counts as alive while the process lives; on others as long as its heartbeat comes.

        Args:
            run: its entry; one with a group joins that one, or is not entered.
            plan: a hash of all that it is to make: it joins, or is joined by, runs of the same; None for none.
            encoder: what pieces of films are encoded with on this machine.

        Raises:
            GroupEndedError: nothing is left to do in its group.
            UsageError: it would make something else than its group, or this ledger has no such group.
            StorageError: the ledger could not be written, or has a run of this id.
        """
        with self.database.transaction() as connection:
            if connection.dialect.name == "postgresql":
                # Of two that begin at once, one joins the other. SQLite's write lock does the same there.
                connection.execute(select(func.pg_advisory_xact_lock(_JOINING)))
            now = self.database.now(connection)
            look_for = _joinable if run.group else _conductor_for
            if conductor := look_for(connection, run, plan, now=now):
                run = _joined(run, conductor)
            if run.conducts:
                connection.execute(insert(groups).values(group_id=run.run_id, plan=plan, encoder=encoder))
            enter_run(connection, run, now=now)
            return run

    @repeat_until_committed
    def bound_group(self, run: Run, *, retry_quota: int) -> None:
        """Enter how many re-sends that may cost money all runs of the group that `run` conducts may make together."""
        with self.database.transaction() as connection:
            connection.execute(update(groups).where(groups.c.group_id == run.group_id).values(retry_quota=retry_quota))

    @repeat_until_committed
    def stop_group(self, run: Run, *, state: RunState, reason: str) -> None:
        """Enter why all runs of a group are to stop; of several reasons the first one counts."""
        not_yet = (groups.c.group_id == run.group_id) & groups.c.stop_state.is_(None)
        why = {"stop_state": state.value, "stop_reason": reason, "stopped_by": run.run_id}
        with self.database.transaction() as connection:
            connection.execute(update(groups).where(not_yet).values(why))

    def group_news(self, run: Run) -> GroupNews:
        """Return what the other runs of a run's group tell it."""
        with self.database.reading() as connection:
            now = self.database.now(connection)
            joined = groups.join(runs, runs.c.run_id == groups.c.group_id)
            members = select(func.count()).where(runs.c.group_id == run.group_id).correlate(None).scalar_subquery()
            found = select(groups, runs, members.label("members")).select_from(joined)
            row = connection.execute(found.where(groups.c.group_id == run.group_id)).mappings().one()
            return GroupNews(
                stop=_stop_of(row),
                conductor=state_of(row, now=now),
                encoder=row["encoder"],
                stage=row["stage"] or "",
                seconds_left=row["seconds_left"],
                runs=row["members"],
            )

    def group_members(self, group_id: str) -> list[GroupMember]:
        """Return the runs of a group, ended ones too, in the order in which they began: first the one that conducts."""
        with self.database.reading() as connection:
            now = self.database.now(connection)
            rows = connection.execute(_members(group_id)).mappings().all()
            sums = connection.execute(_sums_by_run(group_id, now=now)).mappings() if rows else ()
            by_run = {row["run_id"]: row for row in sums}
            return [_member_of(row, by_run.get(row["run_id"]), now=now) for row in rows]

    @repeat_until_committed
    def claim_pieces(self, run: Run, pieces: Collection[str]) -> frozenset[str]:
        """Claim pieces of films for a run to encode; return those that no other living run encodes."""
        claimed = self._take(run, dict.fromkeys(pieces, run.run_id))
        if refused := frozenset(pieces) - claimed:
            claimed |= self._take(run, self._held_by_the_dead(refused))
        return claimed

    def _take(self, run: Run, wanted: Mapping[str, str]) -> frozenset[str]:
        with self.database.transaction(batched=True) as connection:
            taking = Batch(connection)
            taken = take_leases(taking, wanted, run_id=run.run_id)
            taking.send(commit=True)
        return taken()

    def _held_by_the_dead(self, pieces: Collection[str]) -> dict[str, str]:
        """Return which of some pieces runs have claimed that are dead, and which runs those are."""
        held = select(leases.c.request_key, leases.c.run_id).where(leases.c.request_key.in_(pieces))
        with self.database.reading() as connection:
            now = self.database.now(connection)
            holders = {row.request_key: row.run_id for row in connection.execute(held)}
            dead = {run_id for run_id in {*holders.values()} if not is_alive(connection, run_id, now=now)}
            return {piece: run_id for piece, run_id in holders.items() if run_id in dead}

    @repeat_until_committed
    def release_pieces(self, run: Run, pieces: Collection[str]) -> None:
        """Give up the claims on pieces: they are encoded, or will not be."""
        with self.database.transaction(batched=True) as connection:
            releasing = Batch(connection)
            drop_leases(releasing, pieces, run_id=run.run_id)
            releasing.send(commit=True)


def _joined(run: Run, conductor: RowMapping) -> Run:
    """Return a run in the group of a conductor, whose budget holds for it too; its own, if that is smaller."""
    return replace(run, group=conductor["run_id"], budgets=run.budgets.within(conductor["budget_usd"]))


def _joinable(connection: Connection, run: Run, plan: str | None, *, now: int) -> RowMapping:
    """Return the conductor of the group that `run` is to join, which is at work, and with which it shares everything.

    Raises:
        GroupEndedError: it is at work no more.
        UsageError: this ledger has no such group, or `run` would make something else.
    """
    joined = groups.join(runs, runs.c.run_id == groups.c.group_id)
    named = select(runs, groups).select_from(joined).where(runs.c.run_id == run.group)
    row = connection.execute(named).mappings().first()
    if row is None:
        raise UsageError(
            f"the ledger here has no run {run.group}: give this machine the ledger of the one that makes the film, by "
            "STORYREEL_DATABASE_URL or the same output folder; nothing was sent"
        )
    if row["stop_state"] is not None or not is_run_alive(row, now=now):
        raise GroupEndedError(f"run {run.group} has ended: nothing was left to do here; nothing was sent")
    unlike = [words for name, words in _COMMON.items() if row[name] != getattr(run, name)]
    unlike += ["list of frames or films"] if row["plan"] != plan else []
    if unlike:
        raise UsageError(
            f"run {run.group} cannot be joined from here: this machine has another {' and another '.join(unlike)}; "
            "give it the same storyboard file, endpoint, model and output folder; nothing was sent"
        )
    return row


def _conductor_for(connection: Connection, run: Run, plan: str | None, *, now: int) -> RowMapping | None:
    """Return the run that conducts others with which `run` shares everything; None where it is to conduct itself."""
    if plan is None:
        return None
    same = [runs.c[name] == getattr(run, name) for name in (*_COMMON, "simulated")]
    conducting = (
        select(runs)
        .join(groups, groups.c.group_id == runs.c.run_id)
        .where(groups.c.plan == plan, groups.c.stop_state.is_(None), runs.c.finished_at.is_(None), *same)
        .order_by(runs.c.started_at)
    )
    rows = connection.execute(conducting).mappings()
    return next((row for row in rows if is_run_alive(row, now=now)), None)


def _members(group_id: str) -> Select[Any]:
    """Return the query for the runs of a group, each with its lane's pace and how many takes it has given up."""
    failed = (
        select(func.count())
        .where(given_up.c.group_id == group_id, given_up.c.run_id == runs.c.run_id)
        .correlate(runs)
        .scalar_subquery()
    )
    its_gate = (gates.c.endpoint == runs.c.endpoint) & (gates.c.lane == runs.c.lane)
    return (
        select(runs, gates.c.pace, failed.label("given_up"))
        .outerjoin(gates, its_gate)
        .where(runs.c.group_id == group_id)
        .order_by(runs.c.run_id != group_id, runs.c.started_at, runs.c.run_id)
    )


def _sums_by_run(group_id: str, *, now: int) -> Select[Any]:
    """Return the query for the sums of each run's attempts, in one pass over those of the group."""
    unknown, of_late = attempts.c.cost_usd.is_(None), in_last_minute(attempts.c.sent_at, now=now)
    # There is an index of storyboards, not of groups.
    storyboard = select(runs.c.storyboard).where(runs.c.run_id == group_id).scalar_subquery()
    return (
        select(
            attempts.c.run_id,
            func.count().label("requests"),
            func.count(case((attempts.c.status == "ok", 1))).label("kept"),
            func.sum(attempts.c.cost_usd).label("cost_usd"),
            func.sum(case((unknown, attempts.c.reserved_usd))).label("uncertain_usd"),
            func.count(case((of_late, 1))).label("of_late"),
            func.min(case((of_late, attempts.c.sent_at))).label("first_of_late"),
        )
        .where(attempts.c.storyboard == storyboard, attempts.c.group_id == group_id)
        .group_by(attempts.c.run_id)
    )


def _member_of(row: RowMapping, sums: RowMapping | None, *, now: int) -> GroupMember:
    """Return a run of a group from its entry and the sums of its attempts; None where it has sent none."""
    member = GroupMember(
        run_id=row["run_id"],
        lane=row["lane"],
        host=row["host"],
        here=row["host"] == this_host(),
        state=state_of(row, now=now),
        conducts=row["group_id"] == row["run_id"],
        failed=row["given_up"],
        rate_limit=row["rate_limit"] or 0,
        pace=(row["pace"] or FULL_PACE) / FULL_PACE,
    )
    if sums is None:
        return member
    return replace(
        member,
        kept=sums["kept"],
        requests=sums["requests"],
        cost_usd=sums["cost_usd"] or Decimal(0),
        uncertain_usd=sums["uncertain_usd"] or Decimal(0),
        requests_per_minute=rate_a_minute(sums["of_late"], sums["first_of_late"], now=now),
    )


def _stop_of(row: RowMapping) -> GroupStop | None:
    if row["stop_state"] is None:
        return None
    return GroupStop(RunState(row["stop_state"]), row["stop_reason"], row["stopped_by"])
