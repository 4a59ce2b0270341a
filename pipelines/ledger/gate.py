"""The gate: the one door to the API. It grants an attempt its place in the rate limit and its share of the budget.

One short transaction does it all: it writes the attempt down, reserves its worst case against the budget, claims the
take so that no other run buys it too, and books a place by virtual scheduling (GCRA, ITU-T I.371):
`send_at = max(tat, now); tat = send_at + interval`. Nobody polls and nobody can burst; any number of processes on one
database share one limit.
"""

import math
from decimal import Decimal

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pipelines.ledger.books import Books
from pipelines.ledger.records import (
    Admission,
    Admitted,
    AlreadyKept,
    HeldElsewhere,
    Order,
    OverBudget,
    Run,
)
from pipelines.ledger.runs import is_alive
from pipelines.ledger.schema import attempts, gates, leases, runs

# The server counts arrivals: at exactly the limit, jitter puts one too many into some minute.
PACE = 0.98
_MINUTE_US = 60_000_000


class Gate:
    """Admits the attempts of one run to its endpoint, `rate_limit` a minute for all runs on these books together."""

    def __init__(self, books: Books, run: Run, *, rate_limit: int) -> None:
        self._books = books
        self._run = run
        self._row = gates.c.endpoint == run.endpoint
        self._interval = math.ceil(_MINUTE_US / (rate_limit * PACE))

    def admit(self, order: Order) -> Admission:
        """Enter `order` in the books as sent, or say why it must not be."""
        with self._books.transaction() as connection:
            now, tat, cool_until = self._lock(connection)
            if _is_kept(connection, order.spec.request_key):
                return AlreadyKept()
            if holder := self._claim(connection, order.spec.request_key, now=now):
                return HeldElsewhere(holder)
            if refusal := self._reserve(connection, order):
                return refusal
            send_at = max(tat, cool_until, now)
            self._book(connection, now, tat=send_at + self._interval, cool_until=cool_until)
            attempt_id = self._enter(connection, order, send_at=send_at)
        return Admitted(attempt_id, send_at, wait_s=(send_at - now) / 1_000_000)

    def cool_down(self, delay_s: float) -> None:
        """Let nobody send to this endpoint for `delay_s` seconds from now."""
        with self._books.transaction() as connection:
            now, tat, cool_until = self._lock(connection)
            until = now + int(delay_s * 1_000_000)
            self._book(connection, now, tat=tat, cool_until=max(until, cool_until))

    def withdraw(self, admitted: Admitted) -> None:
        """Strike out an attempt that was admitted and never sent; nothing was asked, so nothing is owed."""
        entry = attempts.c.attempt_id == admitted.attempt_id
        with self._books.transaction() as connection:
            reserved = connection.scalar(select(attempts.c.reserved_usd).where(entry))
            if reserved is not None:
                connection.execute(delete(attempts).where(entry))
                self._commit_usd(connection, -reserved)

    def release(self, request_key: str) -> None:
        """Let go of a take that this run will not buy after all."""
        with self._books.transaction() as connection:
            ours = (leases.c.request_key == request_key) & (leases.c.run_id == self._run.run_id)
            connection.execute(delete(leases).where(ours))

    def _lock(self, connection: Connection) -> tuple[int, int, int]:
        """Lock this endpoint's row, made on first use, and return the time, its tat and its cool_until."""
        insert_row = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        fresh = insert_row(gates).values(endpoint=self._run.endpoint, tat=0, cool_until=0, booked_at=0)
        connection.execute(fresh.on_conflict_do_nothing())
        row = connection.execute(select(gates).where(self._row).with_for_update()).one()
        now = self._books.now(connection)
        # A clock that was set back takes the bookings along: what was a second away still is, no minute gets overfull.
        set_back = max(row.booked_at - now, 0)
        return now, row.tat - set_back, row.cool_until - set_back

    def _book(self, connection: Connection, now: int, *, tat: int, cool_until: int) -> None:
        booked = {"tat": tat, "cool_until": cool_until, "booked_at": now}
        connection.execute(update(gates).where(self._row).values(booked))

    def _claim(self, connection: Connection, request_key: str, *, now: int) -> str | None:
        """Take the lease on a take; return the run that lives and holds it, or left it to be recovered."""
        ours = {"request_key": request_key, "run_id": self._run.run_id}
        holder = connection.scalar(select(leases.c.run_id).where(leases.c.request_key == request_key))
        if holder not in (None, self._run.run_id) and is_alive(connection, holder, now=now):
            return str(holder)
        if dead := self._left_open_by(connection, request_key):
            return dead
        if holder is None:
            connection.execute(insert(leases).values(ours))
        else:
            connection.execute(update(leases).where(leases.c.request_key == request_key).values(ours))
        return None

    def _left_open_by(self, connection: Connection, request_key: str) -> str | None:
        """Return the dead run whose attempt at the take is still open: its image may be here, whole and paid for."""
        is_open = (attempts.c.request_key == request_key) & attempts.c.status.is_(None)
        theirs = (attempts.c.storyboard == self._run.storyboard) & (attempts.c.run_id != self._run.run_id)
        run_id = connection.scalar(select(attempts.c.run_id).where(is_open & theirs).limit(1))
        return None if run_id is None else str(run_id)

    def _reserve(self, connection: Connection, order: Order) -> OverBudget | None:
        row = connection.execute(
            select(runs.c.budget_usd, runs.c.committed_usd).where(runs.c.run_id == self._run.run_id).with_for_update()
        ).one()
        if row.budget_usd is not None and row.committed_usd + order.reserve_usd > row.budget_usd:
            return OverBudget(budget_usd=row.budget_usd, committed_usd=row.committed_usd)
        self._commit_usd(connection, order.reserve_usd)
        return None

    def _enter(self, connection: Connection, order: Order, *, send_at: int) -> int:
        spec = order.spec
        entry = insert(attempts).values(
            {
                "run_id": self._run.run_id,
                "storyboard": self._run.storyboard,
                "frame": spec.number,
                "scene": spec.scene,
                "shot": spec.shot,
                "take": spec.take,
                "try": order.number,
                "request_key": spec.request_key,
                "endpoint": self._run.endpoint,
                "model": self._run.model,
                "simulated": self._run.simulated,
                "prompt": order.prompt,
                "steps": spec.steps,
                "aspect_ratio": spec.aspect.value,
                "reserved_usd": order.reserve_usd,
                "sent_at": send_at,
            }
        )
        key = connection.execute(entry).inserted_primary_key
        assert key is not None
        return int(key[0])

    def _commit_usd(self, connection: Connection, amount_usd: Decimal) -> None:
        row = runs.c.run_id == self._run.run_id
        connection.execute(update(runs).where(row).values(committed_usd=runs.c.committed_usd + amount_usd))


def _is_kept(connection: Connection, request_key: str) -> bool:
    kept = (attempts.c.request_key == request_key) & (attempts.c.status == "ok") & attempts.c.file.is_not(None)
    return connection.scalar(select(attempts.c.attempt_id).where(kept).limit(1)) is not None
