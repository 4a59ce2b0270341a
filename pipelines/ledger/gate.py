"""The gate: admission control. It grants an attempt its place in the rate limit and its share of the budgets.

One short transaction does it all: it writes the attempt down, reserves its worst case against the budgets, claims the
take so that no other run generates it too, and books a place by virtual scheduling (GCRA, ITU-T I.371):
`send_at = max(tat, now); tat = send_at + interval`. No process polls and none can burst; any number of processes on
one database share one limit.

An endpoint counts each address for itself: a lane is the name of an address, and has a place in the ledger of its own.
Two names for one address share its limit as two programs do: slower, and never wrong.

The pace adapts as TCP's does (additive increase, multiplicative decrease; Chiu and Jain, 1989): where other programs
draw on the same limit, an endpoint's "too much" lowers the pace of all processes at once, and each image that is paid
for raises it a little, up to the limit that was configured.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    String,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
    update,
)

from pipelines.ledger.batches import Answer, Batch
from pipelines.ledger.budgets import charge, charged_usd, reserve
from pipelines.ledger.database import LedgerDatabase, repeat_until_committed
from pipelines.ledger.leasing import drop_leases
from pipelines.ledger.models import (
    Admission,
    AttemptRequest,
    GivenUp,
    Permit,
    Run,
    TakeClaims,
)
from pipelines.ledger.runs import keep_alive
from pipelines.ledger.schema import FULL_PACE, Upsert, attempts, gates, given_up, groups, leases
from pipelines.ledger.take_claims import Claimant

# The share of the limit that is ever aimed at. The server counts arrivals: at exactly the limit, jitter would put one
# too many into some minute.
PACE = 0.98
_MINUTE_US = 60_000_000
# 0.7, as CUBIC lowers its window (RFC 9438, 4.6); a thousandth an image is back from there in under a minute at 12/s.
_LOWERED = 0.7
_RAISED_BY = FULL_PACE // 1000
# Never zero: without any request the gate would not notice that the endpoint takes more again.
_LEAST_PACE = FULL_PACE // 20

# Built once: to build a statement takes longer than to run it on SQLite. Parameters of UPDATEs that are not to be
# written must not have the names of columns.
_OF: BindParameter[str] = bindparam("of", type_=String)
_BY: BindParameter[str] = bindparam("by", type_=String)
_IN_GROUP: BindParameter[str] = bindparam("in_group", type_=String)
_THIS_GATE = (gates.c.endpoint == bindparam("at", type_=String)) & (gates.c.lane == bindparam("in_lane", type_=String))
_LOCK_GATE = select(gates).where(_THIS_GATE).with_for_update()
_MAKE_GATE = Upsert.of(gates, lambda insert: insert.on_conflict_do_nothing())
_BOOK = (
    update(gates)
    .where(_THIS_GATE)
    .values({name: bindparam(name) for name in ("tat", "cool_until", "booked_at", "pace", "slowed_at")})
)
_RAISED = gates.c.pace + _RAISED_BY
_RAISE_PACE = (
    update(gates)
    .where(_THIS_GATE, gates.c.pace < FULL_PACE)
    .values(pace=case((_RAISED > FULL_PACE, FULL_PACE), else_=_RAISED))
)
# Returns nothing where the quota is used up.
_COUNT_RESEND = (
    update(groups)
    .where(groups.c.group_id == _IN_GROUP)
    .where(groups.c.retry_quota.is_(None) | (groups.c.resends < groups.c.retry_quota))
    .values(resends=groups.c.resends + 1)
    .returning(groups.c.group_id)
)
# The attempt that has just been entered is the last one of this run at this take.
_LAST_ENTERED = select(_OF, _BY, func.max(attempts.c.attempt_id)).where(
    attempts.c.request_key == _OF, attempts.c.run_id == _BY
)
_CLAIM = Upsert.of(
    leases,
    lambda insert: insert.from_select(["request_key", "run_id", "attempt_id"], _LAST_ENTERED).on_conflict_do_update(
        index_elements=["request_key"],
        set_={"run_id": insert.excluded.run_id, "attempt_id": insert.excluded.attempt_id},
    ),
)
_GIVE_UP = Upsert.of(given_up, lambda insert: insert.on_conflict_do_nothing())
_ENTER = insert(attempts).returning(attempts.c.attempt_id)


class Gate:
    """Admits the attempts of one run to its endpoint, in its lane.

    Args:
        database: all runs on it that have the same lane share the limit.
        run: already entered in the ledger.
        rate_limit: requests a minute.
        places: the ids of the output folder that it generates takes for.
    """

    def __init__(self, database: LedgerDatabase, run: Run, *, rate_limit: int, places: Collection[str] = ()) -> None:
        self._database = database
        self._run = run
        self._claimant = Claimant(run, places)
        self._interval_us = _MINUTE_US / (rate_limit * PACE)
        self._of_gate = {"at": run.endpoint, "in_lane": run.lane}

    def admit(self, request: AttemptRequest) -> Admission:
        """Enter an attempt in the ledger as sent, or return why it must not be sent.

        Raises:
            StorageError: the ledger could not be written; the attempt must not be sent.
        """
        with self._database.transaction(batched=True) as connection:
            admission = self._admit(connection, request)
            if not isinstance(admission, Permit):
                # What was added to see whether it fits.
                connection.rollback()
        return admission

    def _admit(self, connection: Connection, request: AttemptRequest) -> Admission:
        run, request_key = self._run, request.take.request_key
        asking = Batch(connection)
        # First of all: every admission in this lane waits here, so that none of them sees half of another.
        locked = self._lock(asking)
        concerned = self._claimant.ask(asking, request_key)
        counted = asking.add(_COUNT_RESEND, {"in_group": run.group_id}) if request.resend else None
        asking.send()
        gate = locked.row()
        if refusal := self._claimant.refusal(connection, concerned.rows, now=gate["booked_at"]):
            return refusal
        if counted is not None and not counted.rows:
            return GivenUp("the retry quota is used up")
        send_at = max(gate["tat"], gate["cool_until"], gate["booked_at"])
        reservation = reserve(connection, run, request.reserve_usd, sent_at=send_at)
        if over_budget := reservation.passed:
            return over_budget
        entering = Batch(connection)
        reservation.complete(entering)
        interval = math.ceil(self._interval_us * FULL_PACE / gate["pace"])
        self._book(entering, {**gate, "tat": send_at + interval})
        entered = entering.add(_ENTER, self._entry(request, send_at=send_at))
        # From a dead run where one held it; the attempt's number is the fencing token of the lease.
        entering.add(_CLAIM.for_use_on(connection), {"of": request_key, "by": run.run_id})
        entering.send(commit=True)
        wait_s = (send_at - gate["booked_at"]) / 1_000_000
        return Permit(entered.rows[0]["attempt_id"], send_at, wait_s, gate["pace"] / FULL_PACE)

    @repeat_until_committed
    def claim(self, request_keys: Sequence[str], *, limit: int) -> TakeClaims:
        """Claim the first of some takes that no other run has, for this run to generate next.

        Of several runs that claim the same takes at once, one gets each.

        Args:
            request_keys: in the order in which they are to be generated.
            limit: how many to claim at most.
        """
        with self._database.transaction() as connection:
            now = self._database.now(connection)
            return self._claimant.claim(connection, request_keys, limit=limit, now=now)

    def slow_down(self, *, sent_at: int, cool_down_s: float = 0) -> None:
        """Lower the pace of all runs after the endpoint answered that an attempt was too much.

        Args:
            sent_at: when the attempt was sent, in microseconds since 1970. One that was in flight when the pace was
                last lowered says nothing new, and lowers it no further.
            cool_down_s: seconds from now in which no run sends.
        """
        with self._database.transaction(batched=True) as connection:
            asking = Batch(connection)
            locked = self._lock(asking)
            asking.send()
            gate = locked.row()
            now = gate["booked_at"]
            gate["cool_until"] = max(gate["cool_until"], now + int(cool_down_s * 1_000_000))
            if sent_at > gate["slowed_at"]:
                gate["pace"] = max(round(gate["pace"] * _LOWERED), _LEAST_PACE)
                gate["slowed_at"] = now
            booking = Batch(connection)
            self._book(booking, gate)
            booking.send(commit=True)

    def confirm(self, permit: Permit) -> bool:
        """Return whether an admitted attempt may still be sent, though its machine may have been asleep meanwhile.

        It may, if its run still holds the lease on its take. Then the run counts as alive again from now on, so that no
        other takes the lease over as the attempt is sent.
        """
        ours = (leases.c.attempt_id == permit.attempt_id) & (leases.c.run_id == self._run.run_id)
        still_open = (attempts.c.attempt_id == permit.attempt_id) & attempts.c.status.is_(None)
        with self._database.transaction() as connection:
            # Locked: another run cannot take it over between this look and the commit.
            held = connection.execute(select(leases.c.attempt_id).where(ours).with_for_update()).first()
            entered = connection.execute(select(attempts.c.attempt_id).where(still_open).with_for_update()).first()
            if held is None or entered is None:
                return False
            keep_alive(connection, self._run.run_id, now=self._database.now(connection))
            return True

    def withdraw(self, permit: Permit) -> None:
        """Delete an attempt that was admitted and never sent, and free its reservation. Twice is as good as once.

        Another run may have closed it meanwhile, in the belief that this one had died over it.
        """
        entry = attempts.c.attempt_id == permit.attempt_id
        with self._database.transaction() as connection:
            attempt = connection.execute(select(attempts).where(entry).with_for_update()).mappings().first()
            if attempt is not None:
                withdrawing = Batch(connection)
                withdrawing.add(delete(attempts).where(entry), {})
                charge(withdrawing, attempt, -charged_usd(attempt))
                withdrawing.send(commit=True)

    @repeat_until_committed
    def release(self, request_keys: Collection[str]) -> None:
        """Give up the leases on takes that this run will not generate after all."""
        with self._database.transaction(batched=True) as connection:
            releasing = Batch(connection)
            drop_leases(releasing, request_keys, run_id=self._run.run_id)
            releasing.send(commit=True)

    @repeat_until_committed
    def give_up(self, request_key: str, *, reason: str) -> None:
        """Enter that a take cannot be generated, so that no run of this group tries it again; give up its lease."""
        failed = {"group_id": self._run.group_id, "request_key": request_key, "run_id": self._run.run_id}
        with self._database.transaction(batched=True) as connection:
            giving_up = Batch(connection)
            giving_up.add(_GIVE_UP.for_use_on(connection), {**failed, "reason": reason})
            drop_leases(giving_up, [request_key], run_id=self._run.run_id)
            giving_up.send(commit=True)

    def _lock(self, batch: Batch) -> "_LockedGate":
        """Lock this lane's row, made on first use, once the batch is sent."""
        fresh = {"endpoint": self._run.endpoint, "lane": self._run.lane, "tat": 0, "cool_until": 0, "booked_at": 0}
        batch.add(_MAKE_GATE.for_use_on(batch.connection), fresh)
        locked = batch.add(_LOCK_GATE, self._of_gate)
        # After the lock, however long that took.
        return _LockedGate(locked, self._database.now_after(batch))

    def _book(self, batch: Batch, gate: Mapping[str, int]) -> None:
        batch.add(_BOOK, {**self._of_gate, **gate})

    def _entry(self, request: AttemptRequest, *, send_at: int) -> dict[str, Any]:
        run, take, frame = self._run, request.take, request.take.frame
        return {
            "run_id": run.run_id,
            "group_id": run.group_id,
            "lane": run.lane,
            "storyboard": run.storyboard,
            "frame": frame.number,
            "scene": frame.scene,
            "shot": frame.shot,
            "take": take.number,
            "try": request.number,
            "request_key": take.request_key,
            "endpoint": run.endpoint,
            "model": run.model,
            "simulated": run.simulated,
            "prompt": request.prompt,
            "steps": frame.steps,
            "aspect_ratio": frame.aspect.value,
            "reserved_usd": request.reserve_usd,
            "sent_at": send_at,
        }


@dataclass(frozen=True, slots=True)
class _LockedGate:
    """A lane's row, locked as its batch is sent."""

    locked: Answer
    now: Callable[[], int]

    def row(self) -> dict[str, int]:
        """Return the row, with the present time as `booked_at`."""
        [row] = self.locked.rows
        now = self.now()
        # A clock that was set back moves the bookings too: a place that was a second away still is, and no minute holds
        # more than its share.
        set_back = max(row["booked_at"] - now, 0)
        moved = {name: row[name] - set_back for name in ("tat", "cool_until", "slowed_at")}
        return {**moved, "booked_at": now, "pace": row["pace"]}


def raise_pace(batch: Batch, *, endpoint: str, lane: str) -> None:
    """Raise a lane's pace by a thousandth of the full one, up to that, after its endpoint has made an image."""
    batch.add(_RAISE_PACE, {"at": endpoint, "in_lane": lane})


def current_pace(connection: Connection, endpoint: str, lane: str = "") -> float:
    """Return the share of the rate limit that is aimed at now in a lane of an endpoint, from 0 to 1."""
    pace = connection.scalar(select(gates.c.pace).where(_THIS_GATE), {"at": endpoint, "in_lane": lane})
    return int(pace or FULL_PACE) / FULL_PACE
