"""The gate is exact: no minute overfull, no budget overspent, no take generated twice, whatever else is running."""

import math
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import Permit
from pipelines.ledger.schema import attempts
from tests.support.builders import frame_spec, run, take_spec
from tests.support.ledger import (
    NOW_US,
    SECOND_US,
    Clock,
    admit,
    attempt_request,
    committed_usd,
    gate_of,
    nth_request,
    opened,
    table_rows,
)
from tests.support.threads import in_threads

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


# The rate


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
        "lane": "",
        "group_id": "run-1",
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
