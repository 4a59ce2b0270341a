"""The budgets: what is spent or reserved, added up for each run, storyboard and day in the attempts' own transactions.

Simulated costs and real ones have sums of their own. An attempt counts on the day, UTC, on which it was sent: at
midnight UTC the endpoint's own daily allocation starts anew.
"""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import BindParameter, Connection, Executable, RowMapping, String, bindparam, select, true, union_all
from sqlalchemy.dialects import postgresql, sqlite

from pipelines.common.budgets import BudgetScope
from pipelines.ledger.models import OverBudget, Run
from pipelines.ledger.schema import Upsert, spending


def reserve(connection: Connection, run: Run, amount_usd: Decimal, *, sent_at: int) -> OverBudget | None:
    """Reserve an amount for an attempt of `run`, sent at `sent_at`; return the first budget that it would pass."""
    scopes = _scopes(run.run_id, run.storyboard, simulated=run.simulated, sent_at=sent_at)
    # Added first, and taken back where it was too much: the row locks of the first statement keep other runs out.
    committed = _add(connection, scopes.values(), amount_usd)
    for scope, budget_usd in run.budgets.caps.items():
        total = committed[scopes[scope]]
        if total > budget_usd:
            _add(connection, scopes.values(), -amount_usd)
            return OverBudget(scope, budget_usd, total - amount_usd)
    return None


def charged_usd(attempt: RowMapping) -> Decimal:
    """Return what an attempt counts for: its cost where that is known, else what was reserved."""
    return Decimal(attempt["reserved_usd"] if attempt["cost_usd"] is None else attempt["cost_usd"])


def charge(connection: Connection, attempt: RowMapping, difference_usd: Decimal) -> None:
    """Add to an attempt's sums the difference between its new cost and what it was charged at before."""
    if difference_usd:
        _add(connection, scopes_of(attempt).values(), difference_usd)


def remaining(connection: Connection, run: Run, *, now: int) -> dict[BudgetScope, Decimal]:
    """Return what is left of each budget that `run` has, in US dollars."""
    scopes = _scopes(run.run_id, run.storyboard, simulated=run.simulated, sent_at=now)
    found = select(spending).where(spending.c.scope.in_(scopes.values()))
    committed = {row.scope: row.committed_usd for row in connection.execute(found)}
    return {scope: budget_usd - committed.get(scopes[scope], 0) for scope, budget_usd in run.budgets.caps.items()}


def scopes_of(attempt: RowMapping) -> dict[BudgetScope, str]:
    """Return the names of the sums in which an attempt counts."""
    return _scopes(attempt["run_id"], attempt["storyboard"], simulated=attempt["simulated"], sent_at=attempt["sent_at"])


def add_up(connection: Connection, rows: Iterable[RowMapping]) -> None:
    """Fill the sums from attempts that are older than the table of sums."""
    for row in rows:
        charge(connection, row, charged_usd(row))


def _scopes(run_id: str, storyboard: str, *, simulated: bool, sent_at: int) -> dict[BudgetScope, str]:
    """Return the names of the three sums: `run 0a1b`, `storyboard real harbor`, `day real 2026-11-23`."""
    kind = "simulated" if simulated else "real"
    day = datetime.fromtimestamp(sent_at // 1_000_000, UTC).date().isoformat()
    return {
        BudgetScope.RUN: f"run {run_id}",
        BudgetScope.STORYBOARD: f"storyboard {kind} {storyboard}",
        BudgetScope.DAY: f"day {kind} {day}",
    }


def _added(insert: sqlite.Insert | postgresql.Insert) -> Executable:
    """Return the statement that adds an amount to three sums at once, made of SELECTs."""
    amount: BindParameter[Decimal] = bindparam("amount", type_=spending.c.committed_usd.type)
    # SQLAlchemy caches no compiled VALUES of several rows; and SQLite takes an ON CONFLICT after a SELECT without a
    # WHERE for a join's condition: https://www.sqlite.org/lang_upsert.html, "Parsing Ambiguity".
    rows = union_all(*(select(bindparam(name, type_=String), amount).where(true()) for name in _THREE))
    added = insert.from_select(["scope", "committed_usd"], rows)
    total = spending.c.committed_usd + added.excluded.committed_usd
    return added.on_conflict_do_update(index_elements=["scope"], set_={"committed_usd": total}).returning(*spending.c)


_THREE = ("first", "second", "third")
_ADD = Upsert.of(spending, _added)


def _add(connection: Connection, scopes: Collection[str], amount_usd: Decimal) -> dict[str, Decimal]:
    """Add an amount to three sums, each made on first use; return the new sums by name."""
    # Sorted: two transactions that lock the same rows in the same order cannot deadlock.
    given = dict(zip(_THREE, sorted(scopes), strict=True))
    added = connection.execute(_ADD.for_use_on(connection), {**given, "amount": amount_usd})
    return {row.scope: row.committed_usd for row in added}
