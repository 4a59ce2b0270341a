"""Which runs are alive: this machine's processes are looked up, other machines' runs need a heartbeat."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from pipelines.common.errors import StorageError
from pipelines.common.geometry import Size
from pipelines.common.processes import start_of, this_host
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import (
    AbandonedAttempt,
    AttemptStatus,
    Billed,
    HeldElsewhere,
    Outcome,
    RunCounters,
    RunState,
)
from pipelines.ledger.runs import COUNTER_COLUMNS, is_alive
from pipelines.ledger.schema import attempts, leases, runs
from tests.support.builders import run
from tests.support.ledger import (
    NO_SUCH_PID,
    NOW_US,
    SECOND_US,
    Clock,
    admit,
    attempt_request,
    gate_of,
    kill,
    new_take,
    nth_request,
    table_rows,
    url_of,
)

pytestmark = pytest.mark.usefixtures("database")

ELSEWHERE = "another-machine"
ASKED = Size(1024, 1024)


def alive(ledger: Ledger, run_id: str = "run-1") -> bool:
    """Return whether a run is alive now."""
    with ledger.database.reading() as connection:
        return is_alive(connection, run_id, now=ledger.database.now(connection))


def rewrite(ledger: Ledger, values: Mapping[str, Any], run_id: str = "run-1") -> None:
    """Change a run's entry."""
    with ledger.database.transaction() as connection:
        connection.execute(update(runs).where(runs.c.run_id == run_id).values(values))


# The entry


def test_the_last_real_run_is_the_newest_that_is_not_simulated(ledger: Ledger, clock: Clock) -> None:
    """Of its storyboard, whether it has ended or not; None where there is none."""
    before = ledger.last_real_run("harbor")
    real = [run(f"real-{number}", endpoint=f"http://flux-{number}.test") for number in range(2)]
    others = [run("sketched", model="sketch", simulated=True), run("elsewhere", storyboard="forest")]
    for each in [*real, *others]:
        ledger.start_run(each)
        clock.turn(1)

    assert before is None
    assert ledger.last_real_run("harbor") == real[1]


def test_a_run_is_entered_whole(ledger: Ledger) -> None:
    """The run, its process, since when; no counters yet."""
    entered = run(simulated=True, budget_usd=Decimal("0.25"))
    ledger.start_run(replace(entered, address="http://flux.test/", dialect="flux", model_id="@cf/b/flux-1-schnell"))

    entry = {
        "run_id": "run-1",
        "storyboard": "harbor",
        "endpoint": "http://flux.test",
        "address": "http://flux.test/",
        "dialect": "flux",
        "model": "flux-1-schnell",
        "model_id": "@cf/b/flux-1-schnell",
        "simulated": True,
        "budget_usd": Decimal("0.25"),
        "host": this_host(),
        "pid": os.getpid(),
        "pid_started": start_of(os.getpid()),
        "alive_until": NOW_US + 60 * SECOND_US,
        "started_at": NOW_US,
        "finished_at": None,
        "state": None,
        **dict.fromkeys(COUNTER_COLUMNS.values()),
        "lane": "",
        "place": None,
        "group_id": "run-1",
    }
    assert table_rows(ledger, runs, *entry) == [tuple(entry.values())]
    assert list(entry) == runs.c.keys()


def test_a_run_is_entered_once(ledger: Ledger) -> None:
    """Two runs of one name would share a budget."""
    ledger.start_run(run())

    with pytest.raises(StorageError, match=r"(?i)the ledger cannot be written: .*unique constraint"):
        ledger.start_run(run())


def test_a_run_is_closed_with_its_state(ledger: Ledger, clock: Clock) -> None:
    """Other runs' entries stay open."""
    ledger.start_run(run("run-1"))
    ledger.start_run(run("run-2"))
    clock.turn(5)

    ledger.finish_run("run-1", state=RunState.CANCELLED)

    closed = ("run-1", "Cancelled", NOW_US + 5 * SECOND_US)
    assert table_rows(ledger, runs, "run_id", "state", "finished_at") == [closed, ("run-2", None, None)]


def test_a_run_reports_its_progress(ledger: Ledger) -> None:
    """With a heartbeat, and once more as it ends; a heartbeat without counters leaves the last ones."""
    counters = RunCounters(
        "generating frames", 20, 4, 16, 5, 1, 3, 2, 720, Decimal("0.010432"), seconds_left=12.5, megapixels_per_s=60.25
    )
    ledger.start_run(run())
    ledger.record_heartbeat("run-1", counters)
    ledger.record_heartbeat("run-1")
    reported = table_rows(ledger, runs, *COUNTER_COLUMNS.values())

    ledger.finish_run("run-1", state=RunState.COMPLETED, counters=replace(counters, generated=15))

    assert reported == [("generating frames", 20, 4, 16, 5, 1, 3, 2, 720, Decimal("0.010432"), 12.5, 60.25)]
    assert table_rows(ledger, runs, "stage", "bought", "state") == [("generating frames", 15, "Completed")]


def test_every_counter_but_the_costs_has_a_column() -> None:
    """They are added up from the attempts."""
    assert {*COUNTER_COLUMNS, "cost_usd", "uncertain_usd"} == {each.name for each in fields(RunCounters)}


# Liveness


def test_the_run_of_this_process_is_alive(ledger: Ledger, clock: Clock) -> None:
    """Even when it has missed every heartbeat: a suspended process is not a dead one."""
    ledger.start_run(run())
    clock.turn(3600)

    assert alive(ledger)


def test_a_run_that_is_not_in_the_ledger_is_dead(ledger: Ledger) -> None:
    """It was never entered."""
    assert not alive(ledger, "run-9")


def test_a_finished_run_is_dead_though_its_process_lives(ledger: Ledger) -> None:
    """It sends no more."""
    ledger.start_run(run())
    ledger.finish_run("run-1", state=RunState.COMPLETED)

    assert not alive(ledger)


def test_a_run_whose_process_is_gone_is_dead_at_once(ledger: Ledger) -> None:
    """No minute of heartbeats is waited for."""
    ledger.start_run(run())
    rewrite(ledger, {"pid": NO_SUCH_PID})

    assert not alive(ledger)


@pytest.mark.parametrize("ticks", [-1, 1, 360_000])
def test_a_process_number_given_to_another_process_is_not_the_run(ledger: Ledger, ticks: int) -> None:
    """The same number with another start is another process."""
    ledger.start_run(run())
    rewrite(ledger, {"pid_started": start_of(os.getpid()) + ticks})

    assert not alive(ledger)


def test_a_killed_process_that_was_not_reaped_is_dead(ledger: Ledger) -> None:
    """In a container whose first process reaps no children, a killed run stays in the process table for ever."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        ledger.start_run(run())
        rewrite(ledger, {"pid": process.pid, "pid_started": start_of(process.pid)})
        before = alive(ledger)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        assert (before, alive(ledger)) == (True, False)
    finally:
        process.communicate()


def test_a_process_that_may_not_be_looked_up_counts_as_alive(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """To wait for another user's run is cheaper than to generate its frames twice."""

    def refuse(_: int) -> int:
        raise PermissionError

    ledger.start_run(run())
    monkeypatch.setattr("pipelines.ledger.runs.start_of", refuse)

    assert alive(ledger)


@pytest.mark.parametrize(("seconds", "lives"), [(0, True), (61, False)])
def test_a_run_of_an_older_version_lives_while_its_heartbeat_comes(
    ledger: Ledger, clock: Clock, seconds: float, lives: bool
) -> None:
    """It wrote down a time of day as its start, which tells nothing once the clock is set."""
    ledger.start_run(run())
    rewrite(ledger, {"pid_started": NOW_US})
    clock.turn(seconds)

    assert alive(ledger) is lives


@pytest.mark.parametrize(("seconds", "lives"), [(0, True), (59.5, True), (60, False), (3600, False)])
def test_a_run_on_another_machine_lives_while_its_heartbeat_comes(
    ledger: Ledger, clock: Clock, seconds: float, lives: bool
) -> None:
    """Its process number means nothing here: a minute without a heartbeat does."""
    ledger.start_run(run())
    rewrite(ledger, {"host": ELSEWHERE})
    clock.turn(seconds)

    assert alive(ledger) is lives


def test_each_heartbeat_gives_a_run_another_minute(ledger: Ledger, clock: Clock) -> None:
    """And no other run."""
    for run_id in ("run-1", "run-2"):
        ledger.start_run(run(run_id))
        rewrite(ledger, {"host": ELSEWHERE}, run_id)
    clock.turn(50)

    ledger.record_heartbeat("run-1")
    clock.turn(50)

    assert (alive(ledger, "run-1"), alive(ledger, "run-2")) == (True, False)


# What dead runs left open


def test_only_dead_runs_leave_attempts_open(ledger: Ledger) -> None:
    """What a live run has in flight is not abandoned."""
    alive_gate, dead_gate = gate_of(ledger, run("alive")), gate_of(ledger, run("dead"))
    admit(alive_gate, nth_request(1))
    left = admit(dead_gate, nth_request(2))

    before = ledger.abandoned_attempts("harbor")
    kill(ledger, "dead")

    assert before == []
    assert ledger.abandoned_attempts("harbor") == [
        AbandonedAttempt(left.attempt_id, nth_request(2).take.request_key, ASKED, holds_lease=True)
    ]


def test_a_run_killed_at_each_step_leaves_open_what_was_not_closed(ledger: Ledger) -> None:
    """Sent, billed, kept and closed: the first two are open."""
    gate = gate_of(ledger, run())
    sent, billed, kept, closed = (admit(gate, nth_request(n)).attempt_id for n in range(4))
    for attempt_id in (billed, kept):
        ledger.settle_bill(attempt_id, Billed(Decimal("0.000652")))
    ledger.keep_take(kept, new_take())
    ledger.close_attempt(closed, Outcome(AttemptStatus.FAILED, "500", 500, Decimal(0)))

    kill(ledger, "run-1")

    assert ledger.abandoned_attempts("harbor") == [
        AbandonedAttempt(sent, nth_request(0).take.request_key, ASKED, holds_lease=True),
        AbandonedAttempt(billed, nth_request(1).take.request_key, ASKED, holds_lease=True),
    ]


def test_a_finished_run_that_left_attempts_open_counts_as_dead(ledger: Ledger) -> None:
    """A run that was cancelled twice ends in order; its attempts may not."""
    gate = gate_of(ledger, run())
    left = admit(gate)
    ledger.finish_run("run-1", state=RunState.CANCELLED)

    assert [attempt.attempt_id for attempt in ledger.abandoned_attempts("harbor")] == [left.attempt_id]


def test_open_attempts_are_those_of_one_storyboard(ledger: Ledger) -> None:
    """Another storyboard's takes lie in another folder, and are recovered there."""
    admit(gate_of(ledger, run("run-1", storyboard="harbor")), nth_request(1))
    admit(gate_of(ledger, run("run-2", storyboard="forest")), nth_request(2))
    kill(ledger, "run-1")
    kill(ledger, "run-2")

    assert [attempt.request_key for attempt in ledger.abandoned_attempts("forest")] == [nth_request(2).take.request_key]


def test_a_killed_process_leaves_its_attempts_to_the_next(tmp_path: Path) -> None:
    """A real one: admitted, killed with SIGKILL, reaped; its attempt is found open, and its take taken over."""
    program = (
        "from pipelines.ledger.ledger import Ledger\n"
        "from tests.support.builders import run\n"
        "from tests.support.ledger import admit, gate_of, nth_request\n"
        f"gate = gate_of(Ledger.open({url_of(tmp_path)!r}), run('killed'))\n"
        "print(admit(gate, nth_request(1)).attempt_id, flush=True)\n"
        "input()\n"
    )
    command = [sys.executable, "-c", program]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killed,
        Ledger.open(url_of(tmp_path)) as ledger,
    ):
        assert killed.stdout is not None
        attempt_id = int(killed.stdout.readline())
        ledger.start_run(run("next"))
        gate = ledger.gate(run("next"), rate_limit=720)
        admission, abandoned = gate.admit(nth_request(1)), ledger.abandoned_attempts("harbor")

        killed.kill()
        killed.wait()

        assert (admission, abandoned) == (HeldElsewhere("killed"), [])
        assert [attempt.attempt_id for attempt in ledger.abandoned_attempts("harbor")] == [attempt_id]
        ledger.close_attempt(attempt_id, Outcome(AttemptStatus.UNKNOWN, "killed"))
        assert admit(gate, nth_request(1)).attempt_id == attempt_id + 1


# Leases


def test_leases_name_the_take_and_its_run(ledger: Ledger) -> None:
    """One row for each take, however often it was tried."""
    gate = gate_of(ledger, run())
    admit(gate, attempt_request(number=1))
    admit(gate, attempt_request(number=2))

    assert table_rows(ledger, leases, "request_key", "run_id") == [(attempt_request().take.request_key, "run-1")]
    assert len(table_rows(ledger, attempts, "attempt_id")) == 2
