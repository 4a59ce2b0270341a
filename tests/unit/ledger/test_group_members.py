"""The groups of runs: who is in them, and what each has done."""

from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy import update

from pipelines.common.processes import this_host
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import AttemptStatus, Billed, GroupMember, Outcome, Run, RunCounters, RunState
from pipelines.ledger.schema import runs
from tests.support.builders import run
from tests.support.ledger import Clock, admit, new_take, nth_request

pytestmark = pytest.mark.usefixtures("database")

PRICE = Decimal("0.000652")


def started(ledger: Ledger, run_id: str, *, lane: str) -> Run:
    """Enter a run that makes the same as the others here."""
    return ledger.start_run(replace(run(run_id), lane=lane), plan="plan")


def test_the_runs_of_a_group_are_told_with_what_each_has_done(ledger: Ledger, clock: Clock) -> None:
    """The conductor first, though its id is the last; a lane's pace is its own, a cost that is not known counts."""
    conductor = started(ledger, "z", lane="a")
    clock.turn(1)
    joined = started(ledger, "b", lane="b")
    theirs, ours = ledger.gate(conductor, rate_limit=60), ledger.gate(joined, rate_limit=60)
    for number in range(3):
        ledger.settle_bill((kept := admit(theirs, nth_request(number))).attempt_id, Billed(PRICE))
        ledger.keep_take(kept.attempt_id, new_take())
        clock.turn(1)
    admit(ours, nth_request(3))
    refused = admit(ours, nth_request(4))
    clock.turn(2)
    ledger.close_attempt(refused.attempt_id, Outcome(AttemptStatus.RATE_LIMITED, "429", 429, Decimal(0)))
    ours.slow_down(sent_at=refused.send_at)
    ours.give_up(nth_request(4).take.request_key, reason="too much")
    ledger.record_heartbeat("b", RunCounters("generating frames", rate_limit=60))
    with ledger.database.transaction() as connection:
        connection.execute(update(runs).where(runs.c.run_id == "b").values(host="attic 9f2c"))

    first, second = (
        replace(member, requests_per_minute=round(member.requests_per_minute)) for member in ledger.group_members("z")
    )

    assert first == GroupMember(
        "z",
        "a",
        this_host(),
        here=True,
        state=RunState.RUNNING,
        conducts=True,
        kept=3,
        requests=3,
        cost_usd=3 * PRICE,
        requests_per_minute=24,
    )
    assert second == GroupMember(
        "b",
        "b",
        "attic 9f2c",
        here=False,
        state=RunState.RUNNING_ELSEWHERE,
        conducts=False,
        failed=1,
        requests=2,
        uncertain_usd=nth_request(3).reserve_usd,
        requests_per_minute=30,
        rate_limit=60,
        pace=second.pace,
    )
    assert second.pace < 1


def test_a_run_alone_is_the_one_of_its_group(ledger: Ledger) -> None:
    """Nor is a run of another group told, or one of another storyboard."""
    started(ledger, "ours", lane="a")
    ledger.finish_run("ours", state=RunState.COMPLETED)
    started(ledger, "next", lane="a")

    told = [(member.run_id, member.state) for member in ledger.group_members("ours")]

    assert told == [("ours", RunState.COMPLETED)]
    assert ledger.group_members("none") == []
