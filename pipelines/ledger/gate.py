"""The gate: admission control. It grants an attempt its place in the rate limit and its share of the budgets.

One short transaction does it all: it writes the attempt down, reserves its worst case against the budgets, claims the
take so that no other run generates it too, and books a place by virtual scheduling (GCRA, ITU-T I.371):
`send_at = max(tat, now); tat = send_at + interval`. No process polls and none can burst; any number of processes on
one database share one limit.

The pace adapts as TCP's does (additive increase, multiplicative decrease; Chiu and Jain, 1989): where other programs
draw on the same limit, an endpoint's "too much" lowers the pace of all processes at once, and each image that is paid
for raises it a little, up to the limit that was configured.
"""

import math
from collections.abc import Collection
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    Row,
    RowMapping,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    null,
    select,
    union_all,
    update,
)

from pipelines.ledger.budgets import charge, charged_usd, reserve
from pipelines.ledger.database import LedgerDatabase
from pipelines.ledger.models import Admission, AlreadyKept, AttemptRequest, HeldElsewhere, Permit, Run
from pipelines.ledger.runs import is_alive, keep_alive
from pipelines.ledger.schema import FULL_PACE, Upsert, attempts, gates, leases

# The share of the limit that is ever aimed at. The server counts arrivals: at exactly the limit, jitter would put one
# too many into some minute.
PACE = 0.98
_MINUTE_US = 60_000_000
# 0.7, as CUBIC lowers its window (RFC 9438, 4.6); a thousandth an image is back from there in under a minute at 12/s.
_LOWERED = 0.7
_RAISED_BY = FULL_PACE // 1000
# Never zero: without any request the gate would not notice that the endpoint takes more again.
_LEAST_PACE = FULL_PACE // 20

# Built once: to build a statement takes longer than to run it on SQLite.
_OF: BindParameter[str] = bindparam("of")
_LOCK_GATE = select(gates).where(gates.c.endpoint == _OF).with_for_update()
_MAKE_GATE = Upsert.of(gates, lambda insert: insert.on_conflict_do_nothing())
_BOOK = (
    update(gates)
    .where(gates.c.endpoint == _OF)
    .values({name: bindparam(name) for name in ("tat", "cool_until", "booked_at", "pace", "slowed_at")})
)
# Everything that may stand against an attempt at a take, in one round trip: kept takes, open attempts, the lease.
_CONCERNED = union_all(
    select(
        func.coalesce(attempts.c.status, "open").label("how"),
        attempts.c.run_id,
        attempts.c.storyboard,
        attempts.c.place,
    ).where(
        attempts.c.request_key == _OF,
        attempts.c.status.is_(None) | ((attempts.c.status == "ok") & attempts.c.file.is_not(None)),
    ),
    select(literal("lease"), leases.c.run_id, null(), null()).where(leases.c.request_key == _OF),
)
_CLAIM = Upsert.of(
    leases,
    lambda insert: insert.on_conflict_do_update(
        index_elements=["request_key"],
        set_={"run_id": insert.excluded.run_id, "attempt_id": insert.excluded.attempt_id},
    ),
)
_ENTER = insert(attempts).returning(attempts.c.attempt_id)


class Gate:
    """Admits the attempts of one run to its endpoint.

    Args:
        database: all runs on it share the limit.
        run: already entered in the ledger.
        rate_limit: requests a minute.
        places: the ids of the output folder that it generates takes for.
    """

    def __init__(self, database: LedgerDatabase, run: Run, *, rate_limit: int, places: Collection[str] = ()) -> None:
        self._database = database
        self._run = run
        self._places = places
        self._interval_us = _MINUTE_US / (rate_limit * PACE)

    def admit(self, request: AttemptRequest) -> Admission:
        """Enter an attempt in the ledger as sent, or return why it must not be sent.

        Raises:
            StorageError: the ledger could not be written; the attempt must not be sent.
        """
        request_key = request.take.request_key
        with self._database.transaction() as connection:
            # First of all: every admission for this endpoint waits here, so that none of them sees half of another.
            gate = self._lock(connection)
            if refusal := self._is_taken(connection, request_key, now=gate["booked_at"]):
                return refusal
            send_at = max(gate["tat"], gate["cool_until"], gate["booked_at"])
            if over_budget := reserve(connection, self._run, request.reserve_usd, sent_at=send_at):
                return over_budget
            interval = math.ceil(self._interval_us * FULL_PACE / gate["pace"])
            self._book(connection, {**gate, "tat": send_at + interval})
            attempt_id = self._enter(connection, request, send_at=send_at)
            self._claim(connection, request_key, attempt_id)
        return Permit(attempt_id, send_at, (send_at - gate["booked_at"]) / 1_000_000, gate["pace"] / FULL_PACE)

    def slow_down(self, *, sent_at: int, cool_down_s: float = 0) -> None:
        """Lower the pace of all runs after the endpoint answered that an attempt was too much.

        Args:
            sent_at: when the attempt was sent, in microseconds since 1970. One that was in flight when the pace was
                last lowered says nothing new, and lowers it no further.
            cool_down_s: seconds from now in which no run sends.
        """
        with self._database.transaction() as connection:
            gate = self._lock(connection)
            now = gate["booked_at"]
            gate["cool_until"] = max(gate["cool_until"], now + int(cool_down_s * 1_000_000))
            if sent_at > gate["slowed_at"]:
                gate["pace"] = max(round(gate["pace"] * _LOWERED), _LEAST_PACE)
                gate["slowed_at"] = now
            self._book(connection, gate)

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
                connection.execute(delete(attempts).where(entry))
                charge(connection, attempt, -charged_usd(attempt))

    def release(self, request_key: str) -> None:
        """Give up the lease on a take that this run will not generate after all."""
        with self._database.transaction() as connection:
            ours = (leases.c.request_key == request_key) & (leases.c.run_id == self._run.run_id)
            connection.execute(delete(leases).where(ours))

    def _lock(self, connection: Connection) -> dict[str, int]:
        """Lock this endpoint's row, made on first use; return it with the present time as `booked_at`."""
        row = self._row(connection) or self._make_row(connection)
        now = self._database.now(connection)
        # A clock that was set back moves the bookings too: a place that was a second away still is, and no minute holds
        # more than its share.
        set_back = max(row["booked_at"] - now, 0)
        moved = {name: row[name] - set_back for name in ("tat", "cool_until", "slowed_at")}
        return {**moved, "booked_at": now, "pace": row["pace"]}

    def _row(self, connection: Connection) -> RowMapping | None:
        return connection.execute(_LOCK_GATE, {"of": self._run.endpoint}).mappings().first()

    def _make_row(self, connection: Connection) -> RowMapping:
        fresh = {"endpoint": self._run.endpoint, "tat": 0, "cool_until": 0, "booked_at": 0}
        connection.execute(_MAKE_GATE.for_use_on(connection), fresh)
        row = self._row(connection)
        assert row is not None
        return row

    def _book(self, connection: Connection, gate: dict[str, int]) -> None:
        connection.execute(_BOOK, {"of": self._run.endpoint, **gate})

    def _is_taken(self, connection: Connection, request_key: str, *, now: int) -> AlreadyKept | HeldElsewhere | None:
        """Return why a take is not to be generated: it is kept, or another run is generating it, or died over it.

        A dead run may have left an image that was paid for: its open attempts have to be recovered first.
        """
        found = connection.execute(_CONCERNED, {"of": request_key}).all()
        if any(each.how == "ok" and self._may_serve(each) for each in found):
            return AlreadyKept()
        for each in found:
            # An open attempt always stands against it; a lease only while the run that holds it lives. Of another
            # storyboard only the lease counts: what its runs left open is recovered in its own folder.
            theirs = each.run_id != self._run.run_id and each.storyboard in (None, self._run.storyboard)
            if theirs and (each.how == "open" or is_alive(connection, each.run_id, now=now)):
                return HeldElsewhere(each.run_id)
        return None

    def _may_serve(self, kept: Row[Any]) -> bool:
        """Return whether a take that is kept need not be generated: not where only another storyboard's folder has it.

        This storyboard's own is never generated twice, wherever it lies.
        """
        return kept.storyboard == self._run.storyboard or kept.place is None or kept.place in self._places

    def _claim(self, connection: Connection, request_key: str, attempt_id: int) -> None:
        """Take the lease on a take, from a dead run where one held it; the attempt's number is its fencing token."""
        ours = {"request_key": request_key, "run_id": self._run.run_id, "attempt_id": attempt_id}
        connection.execute(_CLAIM.for_use_on(connection), ours)

    def _enter(self, connection: Connection, request: AttemptRequest, *, send_at: int) -> int:
        take, frame = request.take, request.take.frame
        entered = connection.execute(
            _ENTER,
            {
                "run_id": self._run.run_id,
                "storyboard": self._run.storyboard,
                "frame": frame.number,
                "scene": frame.scene,
                "shot": frame.shot,
                "take": take.number,
                "try": request.number,
                "request_key": take.request_key,
                "endpoint": self._run.endpoint,
                "model": self._run.model,
                "simulated": self._run.simulated,
                "prompt": request.prompt,
                "steps": frame.steps,
                "aspect_ratio": frame.aspect.value,
                "reserved_usd": request.reserve_usd,
                "sent_at": send_at,
            },
        )
        return int(entered.scalar_one())


def raise_pace(connection: Connection, endpoint: str) -> None:
    """Raise an endpoint's pace by a thousandth of the full one, up to that, after it has made an image."""
    raised = gates.c.pace + _RAISED_BY
    lowered = (gates.c.endpoint == endpoint) & (gates.c.pace < FULL_PACE)
    connection.execute(update(gates).where(lowered).values(pace=case((raised > FULL_PACE, FULL_PACE), else_=raised)))


def current_pace(connection: Connection, endpoint: str) -> float:
    """Return the share of the rate limit that is aimed at for an endpoint now, from 0 to 1."""
    return int(connection.scalar(select(gates.c.pace).where(gates.c.endpoint == endpoint)) or FULL_PACE) / FULL_PACE
