"""The claims of runs on takes: what stands against generating one, and which of several a run may have."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    CompoundSelect,
    Connection,
    RowMapping,
    String,
    bindparam,
    func,
    literal,
    null,
    select,
    union_all,
)

from pipelines.ledger.batches import Answer, Batch
from pipelines.ledger.leasing import take_leases
from pipelines.ledger.models import AlreadyKept, GivenUp, HeldElsewhere, Run, TakeClaims
from pipelines.ledger.runs import is_alive
from pipelines.ledger.schema import attempts, given_up, leases

_OF: BindParameter[str] = bindparam("of", type_=String)
_IN_GROUP: BindParameter[str] = bindparam("in_group", type_=String)
_AMONG: BindParameter[Sequence[str]] = bindparam("among", expanding=True)


def _concerned(which: Callable[[ColumnElement[str]], ColumnElement[bool]]) -> CompoundSelect[Any]:
    """Return the query for all that may stand against an attempt at some takes.

    Those are kept takes, open attempts, leases, and that this group has given them up.
    """
    found = func.coalesce(attempts.c.status, "open").label("how")
    by, of, where = attempts.c.run_id, attempts.c.storyboard, attempts.c.place
    of_a_take = attempts.c.status.is_(None) | ((attempts.c.status == "ok") & attempts.c.file.is_not(None))
    return union_all(
        select(attempts.c.request_key, found, by, of, where, null().label("reason")).where(
            which(attempts.c.request_key), of_a_take
        ),
        select(leases.c.request_key, literal("lease"), leases.c.run_id, null(), null(), null()).where(
            which(leases.c.request_key)
        ),
        select(given_up.c.request_key, literal("given up"), given_up.c.run_id, null(), null(), given_up.c.reason).where(
            which(given_up.c.request_key), given_up.c.group_id == _IN_GROUP
        ),
    )


# Built once: to build a statement takes longer than to run it on SQLite.
_CONCERNED = _concerned(lambda request_key: request_key == _OF)
_ALL_CONCERNED = _concerned(lambda request_key: request_key.in_(_AMONG))
# What may have been billed and left no take, of attempts in this group.
_RESENDS = (
    select(attempts.c.request_key, func.count().label("made"))
    .where(attempts.c.request_key.in_(_AMONG), attempts.c.group_id == _IN_GROUP)
    .where(attempts.c.status.in_(("unknown", "unusable", "failed")))
    .group_by(attempts.c.request_key)
)


@dataclass(frozen=True, slots=True)
class Claimant:
    """A run that asks for takes.

    Attributes:
        run: already entered in the ledger.
        places: the ids of the output folder that it generates takes for.
    """

    run: Run
    places: Collection[str]

    def ask(self, batch: Batch, request_key: str) -> Answer:
        """Ask for all that may stand against an attempt at a take; see `refusal`."""
        return batch.add(_CONCERNED, {"of": request_key, "in_group": self.run.group_id})

    def refusal(
        self, connection: Connection, concerned: Sequence[Mapping[Any, Any]], *, now: int
    ) -> AlreadyKept | HeldElsewhere | GivenUp | None:
        """Return why a take is not to be generated: it is kept, given up, or another run generates it, or died over it.

        A dead run may have left an image that was paid for: its open attempts have to be recovered first.
        """
        if any(each["how"] == "ok" and self._may_serve(each) for each in concerned):
            return AlreadyKept()
        for each in concerned:
            if each["how"] == "given up":
                return GivenUp(each["reason"])
            # An open attempt always stands against it; a lease only while the run that holds it lives. Of another
            # storyboard only the lease counts: what its runs left open is recovered in its own folder.
            theirs = each["run_id"] != self.run.run_id and each["storyboard"] in (None, self.run.storyboard)
            if theirs and (each["how"] == "open" or is_alive(connection, each["run_id"], now=now)):
                return HeldElsewhere(each["run_id"])
        return None

    def claim(self, connection: Connection, request_keys: Sequence[str], *, limit: int, now: int) -> TakeClaims:
        """Claim the first of some takes that no other run has; see `Gate.claim`."""
        of_group = {"among": list(request_keys), "in_group": self.run.group_id}
        concerned: defaultdict[str, list[RowMapping]] = defaultdict(list)
        for row in connection.execute(_ALL_CONCERNED, of_group).mappings():
            concerned[row["request_key"]].append(row)
        refusals = {key: self.refusal(connection, rows, now=now) for key, rows in concerned.items()}
        free = [key for key in request_keys if refusals.get(key) is None][:limit]
        # Whoever had them is dead, or is this run itself.
        before = {key: row["run_id"] for key in free for row in concerned[key] if row["how"] == "lease"}
        taking = Batch(connection)
        taken = take_leases(taking, dict.fromkeys(free, self.run.run_id) | before, run_id=self.run.run_id)
        taking.send()
        claimed = taken()
        taken_over = [key for key in claimed if concerned[key]]
        resends = connection.execute(_RESENDS, {**of_group, "among": taken_over}) if taken_over else ()
        return TakeClaims(
            tuple(key for key in free if key in claimed),
            frozenset(key for key, refusal in refusals.items() if isinstance(refusal, AlreadyKept)),
            # And those that another run has claimed in this very moment.
            frozenset(key for key, refusal in refusals.items() if isinstance(refusal, HeldElsewhere))
            | frozenset(free).difference(claimed),
            {key: refusal.reason for key, refusal in refusals.items() if isinstance(refusal, GivenUp)},
            {row.request_key: row.made for row in resends},
        )

    def _may_serve(self, kept: Mapping[Any, Any]) -> bool:
        """Return whether a take that is kept need not be generated: not where only another storyboard's folder has it.

        This storyboard's own is never generated twice, wherever it lies.
        """
        return kept["storyboard"] == self.run.storyboard or kept["place"] is None or kept["place"] in self.places
