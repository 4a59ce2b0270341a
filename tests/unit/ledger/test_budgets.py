"""Budgets of a run, of a storyboard and of a day hold together."""

from decimal import Decimal

import pytest

from pipelines.common.budgets import Budgets, BudgetScope
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import AttemptStatus, Outcome, OverBudget, Permit, Run
from tests.support.builders import frame_spec
from tests.support.ledger import Clock, admit, gate_of, nth_request

pytestmark = pytest.mark.usefixtures("database")

PRICE_USD = frame_spec().price.usd
DAY_S = 24 * 3600


def capped(
    name: str,
    *,
    storyboard: str = "harbor",
    simulated: bool = False,
    run_usd: Decimal | None = None,
    storyboard_usd: Decimal | None = None,
    daily_usd: Decimal | None = None,
) -> Run:
    budgets = Budgets(run_usd, storyboard_usd, daily_usd)
    return Run(name, storyboard, "http://flux.test", "flux-1-schnell", simulated, budgets)


def test_a_storyboards_budget_is_for_all_its_runs(ledger: Ledger) -> None:
    """Two images by one run leave one for the next; another storyboard has its own."""
    first = gate_of(ledger, capped("run-1", storyboard_usd=3 * PRICE_USD))
    second = gate_of(ledger, capped("run-2", storyboard_usd=3 * PRICE_USD))
    other = gate_of(ledger, capped("run-3", storyboard="cats", storyboard_usd=PRICE_USD))
    for n, gate in enumerate((first, first, second, other)):
        admit(gate, nth_request(n))

    assert second.admit(nth_request(9)) == OverBudget(BudgetScope.STORYBOARD, 3 * PRICE_USD, 3 * PRICE_USD)


def test_a_daily_budget_is_for_all_storyboards_until_midnight_utc(ledger: Ledger, clock: Clock) -> None:
    """What is used up today is there again tomorrow."""
    runs = [capped(f"run-{n}", storyboard=name, daily_usd=2 * PRICE_USD) for n, name in enumerate(("harbor", "cats"))]
    ours, theirs = (gate_of(ledger, each) for each in runs)
    admit(ours, nth_request(1))
    admit(theirs, nth_request(2))
    today = ours.admit(nth_request(3))
    clock.turn(DAY_S)

    tomorrow = ours.admit(nth_request(3))

    assert today == OverBudget(BudgetScope.DAY, 2 * PRICE_USD, 2 * PRICE_USD)
    assert isinstance(tomorrow, Permit)


def test_an_answer_after_midnight_counts_on_the_day_it_was_asked(ledger: Ledger, clock: Clock) -> None:
    """A 429 that comes tomorrow frees what was reserved today, and nothing of tomorrow's budget."""
    clock.turn(DAY_S - clock.now_us / 1e6 % DAY_S - 1)
    asking = capped("run-1", daily_usd=PRICE_USD)
    sent = admit(gate_of(ledger, asking), nth_request(1))
    clock.turn(2)

    ledger.close_attempt(sent.attempt_id, Outcome(AttemptStatus.RATE_LIMITED, "429", 429, Decimal(0)))

    assert ledger.remaining_budgets(asking) == {BudgetScope.DAY: PRICE_USD}
    clock.turn(-3)
    assert ledger.remaining_budgets(asking) == {BudgetScope.DAY: PRICE_USD}


def test_sketches_never_use_up_a_real_budget(ledger: Ledger) -> None:
    """Simulated costs have sums of their own."""
    rehearsal = gate_of(ledger, capped("run-1", simulated=True, daily_usd=PRICE_USD, storyboard_usd=PRICE_USD))
    admit(rehearsal, nth_request(1))

    real = gate_of(ledger, capped("run-2", daily_usd=PRICE_USD, storyboard_usd=PRICE_USD))

    assert isinstance(real.admit(nth_request(2)), Permit)
    assert isinstance(rehearsal.admit(nth_request(3)), OverBudget)


def test_the_narrowest_budget_refuses_and_none_is_charged(ledger: Ledger) -> None:
    """What one budget refuses is not reserved in another."""
    asking = capped("run-1", run_usd=5 * PRICE_USD, storyboard_usd=4 * PRICE_USD, daily_usd=PRICE_USD)
    gate = gate_of(ledger, asking)
    admit(gate, nth_request(1))

    refused = gate.admit(nth_request(2))

    assert refused == OverBudget(BudgetScope.DAY, PRICE_USD, PRICE_USD)
    assert ledger.remaining_budgets(asking) == {
        BudgetScope.RUN: 4 * PRICE_USD,
        BudgetScope.STORYBOARD: 3 * PRICE_USD,
        BudgetScope.DAY: 0,
    }
