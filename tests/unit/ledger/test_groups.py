"""Groups of runs in the ledger: who joins whom, what stops them all, who encodes what."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import GivenUp, GroupStop, OverBudget, Permit, Run, RunState
from pipelines.ledger.schema import gates
from tests.support.builders import run
from tests.support.ledger import Clock, admit, attempt_request, gate_of, kill, nth_request, opened, table_rows
from tests.support.pictures import PRICE_USD

pytestmark = pytest.mark.usefixtures("database")


def start(ledger: Ledger, name: str, plan: str | None = "plan", **other: Any) -> Run:
    """Enter a run that makes a plan; `other` is what it does otherwise than runs usually do here."""
    return ledger.start_run(replace(run(name), **other), plan=plan)


def test_the_first_conducts_and_others_join(ledger: Ledger) -> None:
    """However many there are."""
    entered = [start(ledger, name) for name in ("first", "second", "third")]

    assert [(each.group_id, each.conducts) for each in entered] == [("first", True), ("first", False), ("first", False)]


@pytest.mark.parametrize(
    "other",
    [
        {"storyboard": "forest"},
        {"endpoint": "http://other.test"},
        {"model": "flux-2"},
        {"simulated": True},
        {"place": "b5a9"},
        {"plan": "another"},
        {"plan": None},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_run_that_makes_something_else_is_alone(ledger: Ledger, other: dict[str, Any]) -> None:
    """Whatever the difference is."""
    start(ledger, "first")

    assert start(ledger, "second", **other).conducts


def test_nobody_joins_a_group_that_has_ended_or_stops(ledger: Ledger) -> None:
    """Nor one whose conductor was killed."""
    first = start(ledger, "first")
    ledger.finish_run("first", state=RunState.COMPLETED)
    second = start(ledger, "second")
    ledger.stop_group(second, state=RunState.CANCELLED, reason="Ctrl-C")
    third = start(ledger, "third")
    kill(ledger, "third")
    fourth = start(ledger, "fourth")

    assert [each.conducts for each in (first, second, third, fourth)] == [True] * 4


def test_of_several_that_begin_at_once_one_conducts(tmp_path: Path, ledger: Ledger) -> None:
    """The others join it."""

    def begin(n: int) -> Run:
        with opened(tmp_path) as own:
            return start(own, f"run-{n}")

    with ThreadPoolExecutor(6) as machines:
        entered = list(machines.map(begin, range(6)))

    assert len({each.group_id for each in entered}) == 1
    assert sum(each.conducts for each in entered) == 1


def test_a_stop_is_told_to_all_with_its_first_reason(ledger: Ledger) -> None:
    """Whoever it comes from."""
    first, second = start(ledger, "first"), start(ledger, "second")

    ledger.stop_group(second, state=RunState.OVER_BUDGET, reason="no money left")
    ledger.stop_group(first, state=RunState.CANCELLED, reason="Ctrl-C")

    stop = GroupStop(RunState.OVER_BUDGET, "no money left", "second")
    assert [ledger.group_news(each).stop for each in (first, second)] == [stop, stop]


def test_the_conductors_end_is_told(ledger: Ledger) -> None:
    """Also one without a word."""
    second = [start(ledger, name) for name in ("first", "second")][1]
    running = ledger.group_news(second).conductor
    kill(ledger, "first")
    died = ledger.group_news(second).conductor
    ledger.finish_run("first", state=RunState.INCOMPLETE)

    assert (running, died) == (RunState.RUNNING, RunState.DIED)
    assert ledger.group_news(second).conductor is RunState.INCOMPLETE


def test_a_budget_is_that_of_the_group(ledger: Ledger) -> None:
    """What one run spends is not left for another; a run of its own has one of its own."""
    gates_of_group = [
        ledger.gate(ledger.start_run(run(name, budget_usd=2 * PRICE_USD), plan="plan"), rate_limit=720)
        for name in ("first", "second")
    ]
    alone = gate_of(ledger, run("alone", budget_usd=2 * PRICE_USD))
    for n, gate in enumerate(gates_of_group):
        admit(gate, nth_request(n))

    over = gates_of_group[1].admit(nth_request(2))

    assert isinstance(over, OverBudget)
    assert over.committed_usd == 2 * PRICE_USD
    assert isinstance(alone.admit(nth_request(3)), Permit)


def test_the_smaller_of_two_budgets_stops_its_run(ledger: Ledger) -> None:
    """It counts what the others spend."""
    first = ledger.start_run(run("first", budget_usd=Decimal(1)), plan="plan")
    second = ledger.start_run(run("second", budget_usd=PRICE_USD), plan="plan")
    admit(ledger.gate(first, rate_limit=720), nth_request(0))

    assert isinstance(ledger.gate(second, rate_limit=720).admit(nth_request(1)), OverBudget)


def test_a_run_that_joins_is_held_by_the_budget_of_the_first(ledger: Ledger) -> None:
    """Also where it was given none."""
    first = ledger.start_run(run("first", budget_usd=PRICE_USD), plan="plan")
    second = ledger.start_run(run("second"), plan="plan")
    admit(ledger.gate(first, rate_limit=720), nth_request(0))

    assert isinstance(ledger.gate(second, rate_limit=720).admit(nth_request(1)), OverBudget)


def test_the_quota_of_resends_is_that_of_the_group(ledger: Ledger) -> None:
    """Only those count that may have been billed before."""
    first, second = start(ledger, "first"), start(ledger, "second")
    ledger.bound_group(first, retry_quota=1)
    gate_a, gate_b = (ledger.gate(each, rate_limit=720) for each in (first, second))
    resend = replace(attempt_request(number=2), resend=True)

    granted = gate_a.admit(resend)
    refused = gate_b.admit(replace(nth_request(1), number=2, resend=True))
    waited = gate_b.admit(replace(nth_request(2), number=2))

    assert isinstance(granted, Permit)
    assert refused == GivenUp("the retry quota is used up")
    assert isinstance(waited, Permit)


def test_each_lane_has_a_gate_of_its_own(ledger: Ledger, clock: Clock) -> None:
    """Two addresses reach twice the limit; runs of one lane share it."""
    lanes = [ledger.gate(start(ledger, name, lane=name[0]), rate_limit=60) for name in ("a-1", "b-1", "a-2")]

    waits = [admit(gate, nth_request(n)).wait_s for n, gate in enumerate(lanes)]

    assert waits == [0, 0, pytest.approx(1 / 0.98, rel=1e-3)]
    rows = sorted(table_rows(ledger, gates, "endpoint", "lane"))
    assert rows == [("http://flux.test", "a"), ("http://flux.test", "b")]


def test_one_lane_slows_down_alone(ledger: Ledger) -> None:
    """Its address has sent too much, others' have not."""
    one, other = (ledger.gate(start(ledger, name, lane=name), rate_limit=720) for name in ("a", "b"))
    permit = admit(one, nth_request(0))

    one.slow_down(sent_at=permit.send_at + 1)

    assert (admit(one, nth_request(1)).pace, admit(other, nth_request(2)).pace) == (0.7, 1.0)


def test_a_piece_is_encoded_by_one_run(ledger: Ledger) -> None:
    """Until it is released, or its run has died; what a run has, it is granted again."""
    first, second = start(ledger, "first"), start(ledger, "second")
    names = ["a" * 64, "b" * 64, "c" * 64]

    granted = ledger.claim_pieces(first, names[:2])
    again = ledger.claim_pieces(first, names[:1])
    rest = ledger.claim_pieces(second, names)
    ledger.release_pieces(first, names[:1])
    released = ledger.claim_pieces(second, names)
    kill(ledger, "first")

    assert (granted, again) == (frozenset(names[:2]), frozenset(names[:1]))
    assert (rest, released) == (frozenset(names[2:]), frozenset({names[0], names[2]}))
    assert ledger.claim_pieces(second, names) == frozenset(names)
