"""The groups of runs: who is in them."""

from dataclasses import replace

import pytest

from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import Run, RunState
from tests.support.builders import run
from tests.support.ledger import Clock, admit, new_take, nth_request

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
