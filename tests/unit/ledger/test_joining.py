"""Runs that are begun for a group: they join it, or are not entered."""

from dataclasses import replace
from typing import Any

import pytest

from pipelines.common.errors import GroupEndedError, UsageError
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import Run, RunState
from pipelines.ledger.schema import runs
from tests.support.builders import run
from tests.support.ledger import kill, table_rows

pytestmark = pytest.mark.usefixtures("database")


def started(ledger: Ledger, run_id: str) -> Run:
    """Enter a run that makes the same as the others here."""
    return ledger.start_run(run(run_id), plan="plan", encoder="ffmpeg")


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
