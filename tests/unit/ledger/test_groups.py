"""The groups of runs: who is in them, and who may join."""

from dataclasses import replace
from typing import Any

import pytest

from pipelines.common.errors import GroupEndedError, UsageError
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import Run, RunState
from pipelines.ledger.schema import runs
from tests.support.builders import run
from tests.support.ledger import Clock, admit, kill, new_take, nth_request, table_rows

pytestmark = pytest.mark.usefixtures("database")


def started(ledger: Ledger, run_id: str, *, lane: str = "") -> Run:
    """Enter a run that makes the same as the others here."""
    return ledger.start_run(replace(run(run_id), lane=lane), plan="plan", encoder="ffmpeg")


def test_the_members_of_a_group_are_its_runs_with_what_each_has_done(ledger: Ledger, clock: Clock) -> None:
    """The conductor first, then the others by age; those that have ended too, and no run of another group."""
    conductor = started(ledger, "z", lane="a")
    ledger.start_run(replace(run("alone"), place="elsewhere"), plan="plan")
    for name in ("y", "x"):
        clock.turn(1)
        started(ledger, name, lane="b")
    gate = ledger.gate(conductor, rate_limit=720)
    ledger.keep_take(admit(gate).attempt_id, new_take())
    admit(gate, nth_request(1))
    ledger.finish_run("y", state=RunState.COMPLETED)

    members = ledger.group_members("z")

    assert [
        (member.run.run_id, member.run.lane, member.state, member.totals.requests, member.totals.open)
        for member in members
    ] == [
        ("z", "a", RunState.RUNNING, 2, 1),
        ("y", "b", RunState.COMPLETED, 0, 0),
        ("x", "b", RunState.RUNNING, 0, 0),
    ]


def test_a_run_joins_the_group_that_it_names(ledger: Ledger) -> None:
    """Not the one that began first, which it would join otherwise."""
    started(ledger, "first")
    named = ledger.start_run(replace(run("named"), place="elsewhere"), plan="plan")

    joined = ledger.start_run(replace(run("lane"), place="elsewhere", group="named"), plan="plan")

    assert (named.conducts, joined.conducts, joined.group_id) == (True, False, "named")


@pytest.mark.parametrize("end", ["finished", "killed", "stopped"])
def test_a_run_whose_group_has_ended_is_not_entered(ledger: Ledger, end: str) -> None:
    """It must not conduct in its stead: what it was begun for is over."""
    conductor = started(ledger, "conductor")
    match end:
        case "finished":
            ledger.finish_run("conductor", state=RunState.COMPLETED)
        case "killed":
            kill(ledger, "conductor")
        case _:
            ledger.stop_group(conductor, state=RunState.CANCELLED, reason="Ctrl-C")

    with pytest.raises(GroupEndedError) as raised:
        ledger.start_run(replace(run("lane"), group="conductor"), plan="plan")

    assert str(raised.value) == "run conductor has ended: nothing was left to do here; nothing was sent"
    assert table_rows(ledger, runs, "run_id") == [("conductor",)]


@pytest.mark.parametrize(
    ("unlike", "plan", "words"),
    [
        ({"endpoint": "http://other.test"}, "plan", "another endpoint"),
        ({"model": "sketch", "place": "elsewhere"}, "plan", "another model and another output folder"),
        ({}, "other plan", "another list of frames or films"),
    ],
)
def test_a_run_that_would_make_something_else_is_not_entered(
    ledger: Ledger, unlike: dict[str, Any], plan: str, words: str
) -> None:
    """Its machine is not set up as the conductor's is, and the message says in what."""
    started(ledger, "conductor")

    with pytest.raises(UsageError) as raised:
        ledger.start_run(replace(run("lane"), group="conductor", **unlike), plan=plan)

    assert str(raised.value) == (
        f"run conductor cannot be joined from here: this machine has {words}; give it the same storyboard file, "
        "endpoint, model and output folder; nothing was sent"
    )
    assert table_rows(ledger, runs, "run_id") == [("conductor",)]


def test_a_group_of_another_ledger_is_not_joined(ledger: Ledger) -> None:
    """Machines with ledgers of their own would generate every take twice."""
    with pytest.raises(UsageError, match=r"^the ledger here has no run conductor: give this machine the ledger of"):
        ledger.start_run(replace(run("lane"), group="conductor"), plan="plan")
