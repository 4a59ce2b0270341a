"""Leases: which run is making something now, or will in a moment; each has one holder, of several that ask at once.

They are kept for takes, under their request keys, and for pieces of films, under the hashes that name them. A lease
whose run has died is anybody's.
"""

from collections.abc import Callable, Collection, Mapping

from sqlalchemy import BindParameter, String, bindparam, delete

from pipelines.ledger.batches import Batch
from pipelines.ledger.schema import Upsert, leases

# Built once: to build a statement takes longer than to run it on SQLite. These are no names of columns.
_OF: BindParameter[str] = bindparam("of", type_=String)
_BY: BindParameter[str] = bindparam("by", type_=String)
_INSTEAD_OF: BindParameter[str] = bindparam("instead_of", type_=String)
_TAKE = Upsert.of(
    leases,
    lambda insert: insert.on_conflict_do_update(
        index_elements=["request_key"],
        set_={"run_id": insert.excluded.run_id, "attempt_id": 0},
        where=leases.c.run_id == _INSTEAD_OF,
    ).returning(leases.c.request_key),
)
_DROP = delete(leases).where(leases.c.request_key == _OF, leases.c.run_id == _BY)


def take_leases(batch: Batch, wanted: Mapping[str, str], *, run_id: str) -> Callable[[], frozenset[str]]:
    """Take the leases that nobody has, or one certain run; return a function that tells which this run got.

    Args:
        batch: what is sent in a write transaction; the function may be called once it is.
        wanted: the keys of what is to be made, and for each the run that may have it: a dead one, or `run_id`.
        run_id: who makes it.
    """
    # Sorted: two transactions that lock the same rows in the same order cannot deadlock.
    taking = [
        batch.add(_TAKE.for_use_on(batch.connection), {"request_key": key, "run_id": run_id, "instead_of": wanted[key]})
        for key in sorted(wanted)
    ]
    return lambda: frozenset(row["request_key"] for answer in taking for row in answer.rows)


def drop_leases(batch: Batch, keys: Collection[str], *, run_id: str) -> None:
    """Give up those of some leases that a run has."""
    for key in sorted(keys):
        batch.add(_DROP, {"of": key, "by": run_id})
