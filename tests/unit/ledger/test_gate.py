"""The gate is exact: no minute overfull, no budget overspent, no take generated twice, whatever else is running."""

import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.common.budgets import BudgetScope
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import (
    Admission,
    AlreadyKept,
    AttemptStatus,
    HeldElsewhere,
    Outcome,
    OverBudget,
    Permit,
    RunState,
)
from pipelines.ledger.schema import attempts, leases
from tests.support.builders import frame_spec, run, take_spec
from tests.support.ledger import (
    NOW_US,
    SECOND_US,
    Clock,
    admit,
    alter,
    attempt_request,
    committed_usd,
    gate_of,
    kill,
    new_take,
    nth_request,
    opened,
    table_rows,
)

pytestmark = pytest.mark.usefixtures("database")

PRICE_USD = frame_spec().price.usd
MINUTE_US = 60 * SECOND_US


def interval_us(rate_limit: int) -> int:
    """Return the exact gap between two sends: 98% of the limit, rounded up to a whole microsecond."""
    return -(-MINUTE_US * 100 // (rate_limit * 98))


def fullest_minute(sent_us: list[int]) -> int:
    """Return how many sends the fullest window of 60 s holds."""
    sent = sorted(sent_us)
    return max(sum(start <= other < start + MINUTE_US for other in sent) for start in sent)


# The pace


@pytest.mark.parametrize("rate_limit", [1, 7, 719, 720, 1_000_000])
def test_sends_are_exactly_one_interval_apart(ledger: Ledger, rate_limit: int) -> None:
    """Gaps are ceil(60 s / (98% of the limit)), to the microsecond, however many ask at once."""
    gate = gate_of(ledger, run(), rate_limit=rate_limit)

    sent = [admit(gate, nth_request(n)).send_at for n in range(10)]

    assert sent == [NOW_US + n * interval_us(rate_limit) for n in range(10)]


def test_the_wait_is_the_time_until_the_place(ledger: Ledger, clock: Clock) -> None:
    """`wait_s` counts from the moment of admission."""
    gate = gate_of(ledger, run(), rate_limit=60)
    first = admit(gate, nth_request(1))
    clock.turn(0.25)

    second = admit(gate, nth_request(2))

    assert first == Permit(first.attempt_id, NOW_US, wait_s=0)
    assert second == Permit(second.attempt_id, NOW_US + 1_020_409, wait_s=0.770409)


def test_idle_time_is_not_saved_up(ledger: Ledger, clock: Clock) -> None:
    """After an hour of silence the next two are still one interval apart."""
    gate = gate_of(ledger, run())
    admit(gate, nth_request(1))
    clock.turn(3600)

    sent = [admit(gate, nth_request(n)).send_at for n in (2, 3)]

    assert sent == [clock.now_us, clock.now_us + interval_us(720)]


def test_two_gates_on_one_database_share_one_limit(tmp_path: Path, ledger: Ledger, clock: Clock) -> None:
    """Two runs on two connections to the file take turns; together they never pass the limit."""
    with opened(tmp_path, clock=clock) as others:
        gates = gate_of(ledger, run("run-1")), gate_of(others, run("run-2"))

        sent = [admit(gates[n % 2], nth_request(n)).send_at for n in range(10)]

    assert sent == [NOW_US + n * interval_us(720) for n in range(10)]


def test_endpoints_do_not_share_a_limit(ledger: Ledger) -> None:
    """Attempts at one endpoint delay none at another."""
    here = gate_of(ledger, run("run-1", endpoint="http://flux.test"))
    there = gate_of(ledger, run("run-2", endpoint="http://flux.example"))

    sent = [admit(gate, nth_request(n)).send_at for n, gate in enumerate((here, here, there))]

    assert sent == [NOW_US, NOW_US + interval_us(720), NOW_US]


def test_a_run_with_a_lower_limit_leaves_the_wider_gap(ledger: Ledger) -> None:
    """Each attempt pushes the next one away by its own run's interval."""
    slow = gate_of(ledger, run("slow"), rate_limit=60)
    fast = gate_of(ledger, run("fast"), rate_limit=720)

    sent = [admit(gate, nth_request(n)).send_at - NOW_US for n, gate in enumerate((fast, slow, fast))]

    assert sent == [0, interval_us(720), interval_us(720) + interval_us(60)]


def test_threads_that_ask_at_once_get_places_of_their_own(tmp_path: Path) -> None:
    """Eight threads on eight connections book 80 places, no two the same."""
    clock, sent = Clock(), list[int]()
    with opened(tmp_path, clock=clock) as ledger:
        gate_of(ledger, run())

    def book(thread: int) -> None:
        with opened(tmp_path, clock=clock) as ledger:
            gate = ledger.gate(run(), rate_limit=720)
            sent.extend(admit(gate, nth_request(thread * 10 + n)).send_at for n in range(10))

    in_threads(*(lambda n=n: book(n) for n in range(8)))

    assert sorted(sent) == [NOW_US + n * interval_us(720) for n in range(80)]


@given(
    rate_limit=st.integers(1, 30),
    arrivals=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([0, 0, 1 / 64, 0.5, 3, 59, 61, 200])), min_size=2, max_size=25
    ),
    cool_downs=st.dictionaries(st.integers(0, 20), st.sampled_from([0.5, 60, 61, 900]), max_size=3),
)
@settings(max_examples=12, deadline=None)
def test_no_minute_ever_holds_more_than_the_limit(
    rate_limit: int, arrivals: list[tuple[int, float]], cool_downs: dict[int, float]
) -> None:
    """For any limit, any pattern of arrivals of any runs, and cool-downs between them."""
    clock = Clock()
    with TemporaryDirectory() as folder, opened(Path(folder), clock=clock) as ledger:
        gates = [gate_of(ledger, run(f"run-{n}"), rate_limit=rate_limit) for n in range(4)]
        sent = []
        for n, (asking, pause_s) in enumerate(arrivals):
            clock.turn(pause_s)
            if n in cool_downs:
                gates[asking].slow_down(sent_at=0, cool_down_s=cool_downs[n])
            sent.append(admit(gates[asking], nth_request(n)).send_at)

    assert fullest_minute(sent) <= rate_limit
    assert all(after - before >= interval_us(rate_limit) for before, after in pairwise(sent))


@given(
    arrivals=st.lists(
        st.tuples(st.sampled_from([0, 1 / 64, 1, 30, 100]), st.sampled_from([0, 0, 0, 0.5, 45, 3600])),
        min_size=2,
        max_size=15,
    )
)
@settings(max_examples=12, deadline=None)
def test_no_minute_is_overfull_while_clocks_are_set_back(arrivals: list[tuple[float, float]]) -> None:
    """True time goes on while the clock is set back again and again: true gaps never shrink, waits never grow."""
    clock, true_us, sent, waits = Clock(), 0, list[int](), list[float]()
    with TemporaryDirectory() as folder, opened(Path(folder), clock=clock) as ledger:
        gate = gate_of(ledger, run(), rate_limit=60)
        for n, (elapsed_s, set_back_s) in enumerate(arrivals):
            true_us += round(elapsed_s * SECOND_US)
            clock.turn(elapsed_s - set_back_s)
            wait_s = admit(gate, nth_request(n)).wait_s
            waits.append(wait_s)
            sent.append(true_us + round(wait_s * SECOND_US))

    assert all(after - before >= interval_us(60) for before, after in pairwise(sent))
    assert all(wait_s <= n * interval_us(60) / SECOND_US for n, wait_s in enumerate(waits))


# Clocks that are set back


@pytest.mark.parametrize("hours", [1, 24, 24 * 365])
def test_a_clock_set_back_makes_no_attempt_wait_longer(ledger: Ledger, clock: Clock, hours: int) -> None:
    """The next places follow the last one as if the clock had not been touched."""
    gate = gate_of(ledger, run())
    admit(gate, nth_request(1))
    clock.turn(-3600 * hours)

    waits = [admit(gate, nth_request(n)).wait_s for n in (2, 3, 4)]

    assert waits == [n * interval_us(720) / SECOND_US for n in (1, 2, 3)]


def test_a_clock_set_back_does_not_stretch_a_cool_down(ledger: Ledger, clock: Clock) -> None:
    """Half a minute to wait is half a minute, whatever the clock shows."""
    gate = gate_of(ledger, run())
    gate.slow_down(sent_at=0, cool_down_s=30)
    clock.turn(-3600)

    waits = [admit(gate, nth_request(n)).wait_s for n in (1, 2)]

    assert waits == [30, 30 + interval_us(720) / SECOND_US]


def test_places_more_than_a_minute_ahead_stay_apart(ledger: Ledger) -> None:
    """At one request a minute, five runs that ask at once get five minutes, not one moment."""
    gates = [gate_of(ledger, run(f"run-{n}"), rate_limit=1) for n in range(5)]

    sent = [admit(gate, nth_request(n)).send_at for n, gate in enumerate(gates)]

    assert sent == [NOW_US + n * interval_us(1) for n in range(5)]


# Cooling down


def test_no_run_sends_while_the_endpoint_cools_down(ledger: Ledger) -> None:
    """Every run waits for it, and then they go one interval apart, not all at once."""
    ours, theirs = gate_of(ledger, run("run-1")), gate_of(ledger, run("run-2"))
    ours.slow_down(sent_at=0, cool_down_s=90)

    sent = [admit(gate, nth_request(n)).send_at for n, gate in enumerate((theirs, ours, theirs))]

    assert sent == [NOW_US + 90 * SECOND_US + n * interval_us(720) for n in range(3)]


def test_a_shorter_cool_down_does_not_cut_a_longer_one(ledger: Ledger, clock: Clock) -> None:
    """The latest end counts, whichever answer came last."""
    gate = gate_of(ledger, run())
    gate.slow_down(sent_at=0, cool_down_s=30)
    clock.turn(1)
    gate.slow_down(sent_at=0, cool_down_s=2)

    assert admit(gate).wait_s == 29


def test_a_cool_down_holds_one_endpoint_only(ledger: Ledger) -> None:
    """Another endpoint did not ask for it."""
    gate_of(ledger, run("run-1")).slow_down(sent_at=0, cool_down_s=30)

    assert admit(gate_of(ledger, run("run-2", endpoint="http://flux.example"))).wait_s == 0


def test_a_cool_down_that_is_over_delays_no_attempt(ledger: Ledger, clock: Clock) -> None:
    """At its very end the next one may go."""
    gate = gate_of(ledger, run())
    gate.slow_down(sent_at=0, cool_down_s=30)
    clock.turn(30)

    assert admit(gate).wait_s == 0


# The budget


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


# Leases


def test_a_take_that_a_live_run_is_generating_is_held(ledger: Ledger) -> None:
    """The second run neither generates it nor takes a place in the rate limit for it."""
    first, second = gate_of(ledger, run("run-1")), gate_of(ledger, run("run-2"))
    admit(first)

    admission = second.admit(attempt_request())

    assert admission == HeldElsewhere("run-1")
    assert table_rows(ledger, attempts, "run_id") == [("run-1",)]
    assert committed_usd(ledger, "run-2") == 0


def test_a_run_may_try_its_own_take_again(ledger: Ledger) -> None:
    """A lease keeps others out, not its holder."""
    gate = gate_of(ledger, run())
    admit(gate, attempt_request(number=1))

    assert isinstance(gate.admit(attempt_request(number=2)), Permit)


GIVEN_UP = Outcome(AttemptStatus.UNKNOWN, "no answer")


def test_a_take_held_by_a_dead_run_is_taken_over_once_its_attempt_is_closed(ledger: Ledger) -> None:
    """A killed process holds nothing up for long: once its attempt was recovered, the take is free."""
    first, second = gate_of(ledger, run("run-1")), gate_of(ledger, run("run-2"))
    admitted = admit(first)
    kill(ledger, "run-1")

    unrecovered = second.admit(attempt_request())
    ledger.close_attempt(admitted.attempt_id, GIVEN_UP)
    recovered = second.admit(attempt_request())

    assert unrecovered == HeldElsewhere("run-1")
    assert isinstance(recovered, Permit)
    assert table_rows(ledger, leases, "run_id") == [("run-2",)]


def test_a_lease_of_a_run_that_is_not_in_the_ledger_is_taken_over(ledger: Ledger) -> None:
    """No run is there to generate its take."""
    first, second = gate_of(ledger, run("run-1")), gate_of(ledger, run("run-2"))
    ledger.close_attempt(admit(first).attempt_id, GIVEN_UP)
    alter(ledger, leases, {"run_id": "run-9"})

    assert isinstance(second.admit(attempt_request()), Permit)


def test_a_finished_run_lets_go_of_its_takes(ledger: Ledger) -> None:
    """Its process may well live on: a worker runs one after another."""
    first, second = gate_of(ledger, run("run-1")), gate_of(ledger, run("run-2"))
    ledger.close_attempt(admit(first, nth_request(1)).attempt_id, GIVEN_UP)
    admit(second, nth_request(2))

    ledger.finish_run("run-1", state=RunState.COMPLETED)

    assert table_rows(ledger, leases, "request_key", "run_id") == [(nth_request(2).take.request_key, "run-2")]
    assert isinstance(second.admit(nth_request(1)), Permit)


def test_a_take_that_is_kept_is_not_generated_again(ledger: Ledger) -> None:
    """Neither by another run nor by the one that generated it."""
    first, second = gate_of(ledger, run("run-1")), gate_of(ledger, run("run-2"))
    ledger.keep_take(admit(first).attempt_id, new_take())

    admissions = [gate.admit(attempt_request()) for gate in (first, second)]

    assert admissions == [AlreadyKept(), AlreadyKept()]
    assert table_rows(ledger, leases, "request_key") == []


def test_a_kept_take_whose_file_is_gone_may_be_generated_again(ledger: Ledger) -> None:
    """Once the ledger has noted that it was lost."""
    gate = gate_of(ledger, run())
    generated = admit(gate)
    ledger.keep_take(generated.attempt_id, new_take())
    ledger.forget_lost_takes([generated.attempt_id])

    assert isinstance(gate.admit(attempt_request()), Permit)


def test_a_released_take_is_free_for_another_run(ledger: Ledger) -> None:
    """A run that gives a frame up delays no other."""
    first, second = gate_of(ledger, run("run-1")), gate_of(ledger, run("run-2"))
    ledger.close_attempt(admit(first).attempt_id, GIVEN_UP)
    first.release(attempt_request().take.request_key)

    assert isinstance(second.admit(attempt_request()), Permit)


def test_a_run_cannot_release_what_another_holds(ledger: Ledger) -> None:
    """To give up a take that another run holds changes nothing."""
    first, second = gate_of(ledger, run("run-1")), gate_of(ledger, run("run-2"))
    admit(first)
    second.release(attempt_request().take.request_key)

    assert second.admit(attempt_request()) == HeldElsewhere("run-1")


def test_two_runs_that_race_for_a_take_generate_it_once(tmp_path: Path) -> None:
    """Of two threads with a run each, for each of 20 takes, one is admitted and the other learns which run holds it."""
    clock, admissions = Clock(), list[Admission]()
    with opened(tmp_path, clock=clock) as ledger:
        gate_of(ledger, run("run-1"))
        gate_of(ledger, run("run-2"))

    def race(run_id: str) -> None:
        with opened(tmp_path, clock=clock) as ledger:
            gate = ledger.gate(run(run_id), rate_limit=720)
            admissions.extend(gate.admit(nth_request(n)) for n in range(20))

    in_threads(lambda: race("run-1"), lambda: race("run-2"))

    assert sum(isinstance(admission, Permit) for admission in admissions) == 20
    assert sum(isinstance(admission, HeldElsewhere) for admission in admissions) == 20


# What an admitted attempt leaves in the ledger


def test_an_admitted_attempt_is_in_the_ledger_at_once(ledger: Ledger) -> None:
    """Every column that is known before the request is sent."""
    spec = take_spec(7, fallback_prompts=("a quiet sea",), take=2, steps=8)
    gate = gate_of(ledger, run(simulated=True, model="sketch"))

    admitted = admit(gate, attempt_request(spec, prompt="a quiet sea", number=3))

    known = {
        "attempt_id": admitted.attempt_id,
        "run_id": "run-1",
        "storyboard": "harbor",
        "frame": 7,
        "scene": "arrival",
        "shot": "wide",
        "take": 2,
        "try": 3,
        "request_key": spec.request_key,
        "endpoint": "http://flux.test",
        "model": "sketch",
        "simulated": True,
        "prompt": "a quiet sea",
        "steps": 8,
        "aspect_ratio": "1:1",
        "reserved_usd": spec.price.usd,
        "sent_at": NOW_US,
    }
    columns = [column.name for column in attempts.c]
    assert table_rows(ledger, attempts, *columns) == [tuple(known.get(column) for column in columns)]


def test_an_attempt_that_was_never_sent_is_withdrawn(ledger: Ledger) -> None:
    """Its row goes and its reservation comes back; a second withdrawal changes nothing more."""
    gate = gate_of(ledger, run(budget_usd=2 * PRICE_USD))
    admit(gate, nth_request(1))
    second = admit(gate, nth_request(2))

    gate.withdraw(second)
    gate.withdraw(second)

    assert table_rows(ledger, attempts, "frame") == [(1,)]
    assert committed_usd(ledger) == PRICE_USD


def test_the_interval_is_the_ceiling_of_the_documented_formula() -> None:
    """The exact integer arithmetic here and the formula of the design agree for every limit that a setting allows."""
    limits = [*range(1, 5000), 9_999, 123_457, 999_999, 1_000_000]

    assert all(math.ceil(60e6 / (limit * 0.98)) == interval_us(limit) for limit in limits)


def in_threads(*work: Callable[[], object]) -> None:
    """Call every function at the same moment, each in a thread of its own; raise what one of them raised."""
    start = threading.Barrier(len(work))

    def go(each: Callable[[], object]) -> None:
        start.wait()
        each()

    with ThreadPoolExecutor(len(work)) as pool:
        started = [pool.submit(go, each) for each in work]
    for each in started:
        each.result()
