"""Leases: which run is making something now, or will in a moment; each has one holder, of several that ask at once.

They are kept for takes, under their request keys, and for pieces of films, under the hashes that name them. A lease
whose run has died is anybody's.
"""

from collections.abc import Collection

from sqlalchemy import Connection, delete

from pipelines.ledger.schema import Upsert, leases


def take_leases(
    connection: Connection, keys: Collection[str], *, run_id: str, instead_of: Collection[str]
) -> frozenset[str]:
    """Take the leases that nobody has, or one of some runs; return the keys of those that this run got.

    Args:
        connection: in a write transaction.
        keys: of what is to be made.
        run_id: who makes it.
        instead_of: runs that are dead, or this one.
    """
    if not keys:
        return frozenset()
    # Sorted: two transactions that lock the same rows in the same order cannot deadlock.
    rows = [{"request_key": key, "run_id": run_id} for key in sorted(keys)]
    taking = Upsert.of(
        leases,
        lambda insert: (
            insert.values(rows)
            .on_conflict_do_update(
                index_elements=["request_key"],
                set_={"run_id": insert.excluded.run_id, "attempt_id": 0},
                where=leases.c.run_id.in_(instead_of),
            )
            .returning(leases.c.request_key)
        ),
    )
    return frozenset(connection.scalars(taking.for_use_on(connection)))


def drop_leases(connection: Connection, keys: Collection[str], *, run_id: str) -> None:
    """Give up those of some leases that a run has."""
    connection.execute(delete(leases).where(leases.c.request_key.in_(keys), leases.c.run_id == run_id))
