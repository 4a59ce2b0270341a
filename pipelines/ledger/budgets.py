"""The budgets: what is spent or reserved, added up for each group of runs, storyboard and day.

The sums change in the attempts' own transactions. Simulated costs and real ones have sums of their own. An attempt
counts on the day, UTC, on which it was sent: at midnight UTC the endpoint's own daily allocation starts anew.

All machines add to the same sums, so their locks are short: what no budget caps is added as a transaction ends.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BindParameter, Connection, Executable, String, bindparam, select, true, union_all
from sqlalchemy.dialects import postgresql, sqlite

from pipelines.common.budgets import BudgetScope
from pipelines.ledger.batches import Answer, Batch
from pipelines.ledger.models import OverBudget, Run
from pipelines.ledger.schema import Upsert, spending


@dataclass(frozen=True, slots=True)
class Reservation:
    """An amount that is reserved for an attempt of a run, as yet only in the sums that budgets cap.

    Attributes:
        run: the run, with its budgets.
        amount_usd: what is reserved.
        scopes: the names of all sums.
        capped: those that it is in, with it.
    """

    run: Run
    amount_usd: Decimal
    scopes: Mapping[BudgetScope, str]
    capped: Mapping[str, Decimal]

    @property
    def passed(self) -> OverBudget | None:
        """The first budget that the amount passes: then the transaction is to be rolled back."""
        for scope, budget_usd in self.run.budgets.caps.items():
            total = self.capped[self.scopes[scope]]
            if total > budget_usd:
                return OverBudget(scope, budget_usd, total - self.amount_usd)
        return None

    def complete(self, batch: Batch) -> None:
        """Add the amount to the sums that no budget caps."""
        _add(batch, [name for name in _ordered(self.scopes) if name not in self.capped], self.amount_usd)


def reserve(connection: Connection, run: Run, amount_usd: Decimal, *, sent_at: int) -> Reservation:
    """Add an amount to the sums that cap an attempt of `run`, sent at `sent_at`, to see whether they can pay for it.

    Until the transaction ends, the locks of these rows keep other runs out.
    """
    scopes = _scopes(run.group_id, run.storyboard, simulated=run.simulated, sent_at=sent_at)
    # The narrower ones with them: transactions that lock the same rows in the same order cannot deadlock.
    first = list(BudgetScope)[: max((list(BudgetScope).index(scope) + 1 for scope in run.budgets.caps), default=0)]
    batch = Batch(connection)
    added = _add(batch, _ordered({scope: scopes[scope] for scope in first}), amount_usd)
    batch.send()
    return Reservation(run, amount_usd, scopes, {row["scope"]: row["committed_usd"] for row in added.rows})


def charged_usd(attempt: Mapping[Any, Any]) -> Decimal:
    """Return what an attempt counts for: its cost where that is known, else what was reserved."""
    return Decimal(attempt["reserved_usd"] if attempt["cost_usd"] is None else attempt["cost_usd"])


def charge(batch: Batch, attempt: Mapping[Any, Any], difference_usd: Decimal) -> None:
    """Add to an attempt's sums the difference between its new cost and what it was charged at before."""
    if difference_usd:
        _add(batch, _ordered(scopes_of(attempt)), difference_usd)


def remaining(connection: Connection, run: Run, *, now: int) -> dict[BudgetScope, Decimal]:
    """Return what is left of each budget that `run` has, in US dollars."""
    scopes = _scopes(run.group_id, run.storyboard, simulated=run.simulated, sent_at=now)
    found = select(spending).where(spending.c.scope.in_(scopes.values()))
    committed = {row.scope: row.committed_usd for row in connection.execute(found)}
    return {scope: budget_usd - committed.get(scopes[scope], 0) for scope, budget_usd in run.budgets.caps.items()}


def scopes_of(attempt: Mapping[Any, Any]) -> dict[BudgetScope, str]:
    """Return the names of the sums in which an attempt counts."""
    group_id = attempt["group_id"] or attempt["run_id"]
    return _scopes(group_id, attempt["storyboard"], simulated=attempt["simulated"], sent_at=attempt["sent_at"])


def add_up(connection: Connection, rows: Iterable[Mapping[Any, Any]]) -> None:
    """Fill the sums from attempts that are older than the table of sums."""
    for row in rows:
        batch = Batch(connection)
        charge(batch, row, charged_usd(row))
        batch.send()


def _scopes(group_id: str, storyboard: str, *, simulated: bool, sent_at: int) -> dict[BudgetScope, str]:
    """Return the names of the three sums: `run 0a1b`, `storyboard real harbor`, `day real 2026-11-23`."""
    kind = "simulated" if simulated else "real"
    day = datetime.fromtimestamp(sent_at // 1_000_000, UTC).date().isoformat()
    return {
        # The runs of a group share its budget. It bears the name of the run that conducts it.
        BudgetScope.RUN: f"run {group_id}",
        BudgetScope.STORYBOARD: f"storyboard {kind} {storyboard}",
        BudgetScope.DAY: f"day {kind} {day}",
    }


def _ordered(scopes: Mapping[BudgetScope, str]) -> list[str]:
    """Return the names of sums in the order in which all transactions lock them."""
    return [scopes[scope] for scope in BudgetScope if scope in scopes]


def _added(names: Sequence[str], insert: sqlite.Insert | postgresql.Insert) -> Executable:
    """Return the statement that adds an amount to several sums at once, made of SELECTs."""
    amount: BindParameter[Decimal] = bindparam("amount", type_=spending.c.committed_usd.type)
    # SQLAlchemy caches no compiled VALUES of several rows; and SQLite takes an ON CONFLICT after a SELECT without a
    # WHERE for a join's condition: https://www.sqlite.org/lang_upsert.html, "Parsing Ambiguity".
    rows = [select(bindparam(name, type_=String), amount).where(true()) for name in names]
    added = insert.from_select(["scope", "committed_usd"], union_all(*rows) if len(rows) > 1 else rows[0])
    total = spending.c.committed_usd + added.excluded.committed_usd
    return added.on_conflict_do_update(index_elements=["scope"], set_={"committed_usd": total}).returning(*spending.c)


# Parameters must not have the names of columns.
_NAMES = ("first", "second", "third")
# By how many sums it adds to.
_ADD = {count: Upsert.of(spending, functools.partial(_added, _NAMES[:count])) for count in (1, 2, 3)}


def _add(batch: Batch, scopes: Sequence[str], amount_usd: Decimal) -> Answer:
    """Add an amount to up to three sums, each made on first use; the answer has the new ones."""
    if not scopes:
        return Answer()
    statement = _ADD[len(scopes)].for_use_on(batch.connection)
    return batch.add(statement, {**dict(zip(_NAMES, scopes, strict=False)), "amount": amount_usd})
