"""Budgets of a run, of a storyboard and of a day hold together, to the last digit."""

from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.common.budgets import Budgets, BudgetScope
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import Admission, AttemptStatus, Outcome, OverBudget, Permit, Run
from pipelines.ledger.schema import attempts
from tests.support.builders import frame_spec, run
from tests.support.ledger import Clock, admit, committed_usd, gate_of, nth_request, opened, table_rows
from tests.support.threads import in_threads

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


# Of a run


def test_a_budget_is_exact_at_equality(ledger: Ledger) -> None:
    """A budget of three images pays for three, and not for a fourth."""
    gate = gate_of(ledger, run(budget_usd=3 * PRICE_USD))

    admissions = [gate.admit(nth_request(n)) for n in range(4)]

    assert [type(admission) for admission in admissions[:3]] == [Permit] * 3
    assert admissions[3] == OverBudget(BudgetScope.RUN, budget_usd=3 * PRICE_USD, committed_usd=3 * PRICE_USD)
    assert committed_usd(ledger) == 3 * PRICE_USD


def test_a_picodollar_short_is_too_little(ledger: Ledger) -> None:
    """Money is compared exactly, never within a tolerance."""
    budget_usd = 2 * PRICE_USD - Decimal("1e-12")
    gate = gate_of(ledger, run(budget_usd=budget_usd))
    admit(gate, nth_request(1))

    assert gate.admit(nth_request(2)) == OverBudget(BudgetScope.RUN, budget_usd, committed_usd=PRICE_USD)


def test_a_refused_attempt_leaves_nothing_behind(ledger: Ledger) -> None:
    """No row, no reservation, and no place in the rate limit."""
    gate = gate_of(ledger, run(budget_usd=Decimal(0)))
    free = gate_of(ledger, run("run-2"))

    gate.admit(nth_request(1))

    assert table_rows(ledger, attempts, "attempt_id") == []
    assert committed_usd(ledger) == 0
    assert admit(free, nth_request(2)).wait_s == 0


def test_without_a_budget_nothing_is_refused(ledger: Ledger) -> None:
    """What is committed is counted all the same."""
    gate = gate_of(ledger, run(budget_usd=None))

    for n in range(5):
        admit(gate, nth_request(n))

    assert committed_usd(ledger) == 5 * PRICE_USD


def test_an_answer_that_costs_less_lets_another_in(ledger: Ledger) -> None:
    """A 429 costs nothing: its reservation is free again for the next attempt."""
    gate = gate_of(ledger, run(budget_usd=PRICE_USD))
    first = admit(gate, nth_request(1))
    refused = gate.admit(nth_request(2))

    ledger.close_attempt(first.attempt_id, Outcome(AttemptStatus.RATE_LIMITED, "429", 429, Decimal(0)))

    assert refused == OverBudget(BudgetScope.RUN, PRICE_USD, PRICE_USD)
    assert isinstance(gate.admit(nth_request(2)), Permit)
    assert committed_usd(ledger) == PRICE_USD


def test_an_attempt_without_an_answer_stays_charged(ledger: Ledger) -> None:
    """It may have been billed: its reservation is never freed by itself."""
    gate = gate_of(ledger, run(budget_usd=PRICE_USD))
    first = admit(gate, nth_request(1))

    ledger.close_attempt(first.attempt_id, Outcome(AttemptStatus.UNKNOWN, "no answer"))

    assert gate.admit(nth_request(2)) == OverBudget(BudgetScope.RUN, PRICE_USD, PRICE_USD)


def test_budgets_of_runs_are_their_own(ledger: Ledger) -> None:
    """What one run reserves takes nothing from another's budget."""
    gates = [gate_of(ledger, run(f"run-{n}", budget_usd=PRICE_USD)) for n in range(3)]

    admissions = [gate.admit(nth_request(n)) for n, gate in enumerate(gates)]

    assert [type(admission) for admission in admissions] == [Permit] * 3


def test_threads_of_one_run_cannot_overspend_together(tmp_path: Path) -> None:
    """Two gates of one run on two connections race for a budget of 25 images, and get 25."""
    clock, admissions = Clock(), list[Admission]()
    with opened(tmp_path, clock=clock) as ledger:
        gate_of(ledger, run(budget_usd=25 * PRICE_USD))

    def spend(thread: int) -> None:
        with opened(tmp_path, clock=clock) as ledger:
            gate = ledger.gate(run(budget_usd=25 * PRICE_USD), rate_limit=720)
            admissions.extend(gate.admit(nth_request(thread * 100 + n)) for n in range(25))

    in_threads(lambda: spend(0), lambda: spend(1))

    assert sum(isinstance(admission, Permit) for admission in admissions) == 25
    assert admissions.count(OverBudget(BudgetScope.RUN, 25 * PRICE_USD, 25 * PRICE_USD)) == 25
    with opened(tmp_path) as ledger:
        assert committed_usd(ledger) == 25 * PRICE_USD


@given(st.data())
@settings(max_examples=12, deadline=None)
def test_reservations_never_pass_the_budget(data: st.DataObject) -> None:
    """Whatever is admitted, withdrawn or settled in whatever order, the total is the sum of its parts."""
    budget_usd = data.draw(st.decimals(0, 8 * PRICE_USD, places=6))
    with TemporaryDirectory() as folder, opened(Path(folder)) as ledger:
        gate = gate_of(ledger, run(budget_usd=budget_usd))
        admitted = list[Permit]()
        for n in range(data.draw(st.integers(1, 10))):
            match data.draw(st.sampled_from(["admit", "admit", "withdraw", "settle"])):
                case "withdraw" if admitted:
                    gate.withdraw(admitted.pop())
                case "settle" if admitted:
                    cost_usd = data.draw(st.decimals(0, PRICE_USD, places=14) | st.none())
                    outcome = Outcome(AttemptStatus.UNUSABLE, "", 200, cost_usd)
                    ledger.close_attempt(admitted.pop(0).attempt_id, outcome)
                case _:
                    admission = gate.admit(nth_request(n, steps=data.draw(st.integers(1, 8))))
                    admitted += [admission] if isinstance(admission, Permit) else []
            charged = table_rows(ledger, attempts, "reserved_usd", "cost_usd")
            total_usd = sum((reserved if cost is None else cost for reserved, cost in charged), Decimal(0))

            assert committed_usd(ledger) == total_usd
            assert total_usd <= budget_usd


# Of a storyboard and of a day


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
