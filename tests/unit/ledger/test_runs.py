"""Who is alive: this machine's processes are asked, other machines' runs must record_heartbeat."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, astuple, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import update

from pipelines.common.errors import StorageError
from pipelines.ledger.database import LedgerDatabase
from pipelines.ledger.gate import Gate
from pipelines.ledger.models import AttemptStatus, Billed, OpenAttempt, Outcome, RunCounters
from pipelines.ledger.runs import (
    finish_run,
    is_alive,
    keys_held_elsewhere,
    open_attempts,
    record_heartbeat,
    start_run,
    this_host,
)
from pipelines.ledger.schema import attempts, leases, runs
from pipelines.ledger.settlement import close_attempt, keep_take, settle_bill
from tests.support.builders import run
from tests.support.ledger import (
    NO_SUCH_PID,
    NOW_US,
    SECOND_US,
    Clock,
    admit,
    gate_of,
    kill,
    new_take,
    nth_order,
    order,
    table_rows,
    url_of,
)

pytestmark = pytest.mark.usefixtures("database")

ELSEWHERE = "another-machine"


def alive(books: LedgerDatabase, run_id: str = "run-1") -> bool:
    """Ask whether a run is alive now."""
    with books.reading() as connection:
        return is_alive(connection, run_id, now=books.now(connection))


def rewrite(books: LedgerDatabase, values: Mapping[str, Any], run_id: str = "run-1") -> None:
    """Let a run's entry say something else."""
    with books.transaction() as connection:
        connection.execute(update(runs).where(runs.c.run_id == run_id).values(values))


# The entry


def test_a_run_is_entered_whole(books: LedgerDatabase) -> None:
    """What it is, whose process it is, since when; nothing spent yet."""
    start_run(books, run(simulated=True, budget_usd=Decimal("0.25")))

    entry = {
        "run_id": "run-1",
        "storyboard": "harbor",
        "endpoint": "http://flux.test",
        "model": "flux-1-schnell",
        "simulated": True,
        "budget_usd": Decimal("0.25"),
        "host": this_host(),
        "pid": os.getpid(),
        "pid_started": int(psutil.Process().create_time() * SECOND_US),
        "alive_until": NOW_US + 60 * SECOND_US,
        "started_at": NOW_US,
        "finished_at": None,
        "state": None,
        **dict.fromkeys(asdict(RunCounters())),
    }
    assert table_rows(books, runs, *entry) == [tuple(entry.values())]
    assert list(entry) == runs.c.keys()


def test_a_run_is_entered_once(books: LedgerDatabase) -> None:
    """Two runs of one name would share a budget."""
    start_run(books, run())

    with pytest.raises(StorageError, match=r"(?i)the books cannot be written: .*unique constraint"):
        start_run(books, run())


def test_a_run_is_closed_with_its_state(books: LedgerDatabase, clock: Clock) -> None:
    """Other runs' entries stay open."""
    start_run(books, run("run-1"))
    start_run(books, run("run-2"))
    clock.turn(5)

    finish_run(books, "run-1", state="Cancelled")

    closed = ("run-1", "Cancelled", NOW_US + 5 * SECOND_US)
    assert table_rows(books, runs, "run_id", "state", "finished_at") == [closed, ("run-2", None, None)]


def test_a_run_says_how_far_it_is(books: LedgerDatabase) -> None:
    """With a record_heartbeat, and once more as it ends; a record_heartbeat that says nothing leaves what was said."""
    buying = RunCounters("buying frames", 20, 4, 16, 5, 1, 3, 2, 720, Decimal("0.010432"))
    start_run(books, run())
    record_heartbeat(books, "run-1", buying)
    record_heartbeat(books, "run-1")
    said = table_rows(books, runs, *asdict(buying))

    finish_run(books, "run-1", state="Completed", standing=replace(buying, bought=15))

    assert said == [astuple(buying)]
    assert table_rows(books, runs, "stage", "bought", "state") == [("buying frames", 15, "Completed")]


# Liveness


def test_the_run_of_this_process_is_alive(books: LedgerDatabase, clock: Clock) -> None:
    """It is, even when it has missed every record_heartbeat: a suspended process is not a dead one."""
    start_run(books, run())
    clock.turn(3600)

    assert alive(books)


def test_a_run_that_the_books_do_not_know_is_dead(books: LedgerDatabase) -> None:
    """Nobody entered it."""
    assert not alive(books, "nobody")


def test_a_finished_run_is_dead_though_its_process_lives(books: LedgerDatabase) -> None:
    """It sends no more."""
    start_run(books, run())
    finish_run(books, "run-1", state="Completed")

    assert not alive(books)


def test_a_run_whose_process_is_gone_is_dead_at_once(books: LedgerDatabase) -> None:
    """No minute of heartbeats is waited for."""
    start_run(books, run())
    rewrite(books, {"pid": NO_SUCH_PID})

    assert not alive(books)


@pytest.mark.parametrize("seconds", [-1, 1, 3600])
def test_a_process_number_given_to_another_process_is_not_the_run(books: LedgerDatabase, seconds: int) -> None:
    """The same number with another start is somebody else."""
    start_run(books, run())
    started = int(psutil.Process().create_time() * SECOND_US)
    rewrite(books, {"pid_started": started + seconds * SECOND_US})

    assert not alive(books)


def test_a_killed_process_that_nobody_has_reaped_is_dead(books: LedgerDatabase) -> None:
    """In a container whose first process reaps no children, a killed run stays in the process table for ever."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        start_run(books, run())
        started = int(psutil.Process(process.pid).create_time() * SECOND_US)
        rewrite(books, {"pid": process.pid, "pid_started": started})
        before = alive(books)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        assert (before, alive(books)) == (True, False)
    finally:
        process.communicate()


def test_a_process_that_may_not_be_asked_is_taken_to_live(
    books: LedgerDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To wait for another user's run is cheaper than to buy its frames twice."""

    def refuse(_: psutil.Process) -> str:
        raise psutil.AccessDenied

    start_run(books, run())
    monkeypatch.setattr(psutil.Process, "status", refuse)

    assert alive(books)


@pytest.mark.parametrize(("seconds", "lives"), [(0, True), (59.5, True), (60, False), (3600, False)])
def test_a_run_on_another_machine_lives_while_it_beats(
    books: LedgerDatabase, clock: Clock, seconds: float, lives: bool
) -> None:
    """Its process number means nothing here: six missed beats do."""
    start_run(books, run())
    rewrite(books, {"host": ELSEWHERE})
    clock.turn(seconds)

    assert alive(books) is lives


def test_each_beat_gives_a_run_another_minute(books: LedgerDatabase, clock: Clock) -> None:
    """And gives none to the others."""
    for run_id in ("run-1", "run-2"):
        start_run(books, run(run_id))
        rewrite(books, {"host": ELSEWHERE}, run_id)
    clock.turn(50)

    record_heartbeat(books, "run-1")
    clock.turn(50)

    assert (alive(books, "run-1"), alive(books, "run-2")) == (True, False)


# What dead runs left open


def test_only_dead_runs_leave_attempts_open(books: LedgerDatabase) -> None:
    """What a live run has in flight is its own business."""
    alive_gate, dead_gate = gate_of(books, run("alive")), gate_of(books, run("dead"))
    admit(alive_gate, nth_order(1))
    left = admit(dead_gate, nth_order(2))

    before = open_attempts(books, "harbor")
    kill(books, "dead")

    assert before == []
    assert open_attempts(books, "harbor") == [
        OpenAttempt(left.attempt_id, nth_order(2).spec.request_key, holds_lease=True)
    ]


def test_a_run_killed_at_each_step_leaves_what_can_be_told_apart(books: LedgerDatabase) -> None:
    """Sent, billed, kept and closed: the first two are open, and say whether they were billed."""
    gate = gate_of(books, run())
    sent, billed, kept, closed = (admit(gate, nth_order(n)).attempt_id for n in range(4))
    for attempt_id in (billed, kept):
        settle_bill(books, attempt_id, Billed(Decimal("0.000652")))
    keep_take(books, kept, new_take())
    close_attempt(books, closed, Outcome(AttemptStatus.FAILED, "500", 500, Decimal(0)))

    kill(books, "run-1")

    assert open_attempts(books, "harbor") == [
        OpenAttempt(sent, nth_order(0).spec.request_key, holds_lease=True),
        OpenAttempt(billed, nth_order(1).spec.request_key, holds_lease=True),
    ]


def test_a_finished_run_that_left_attempts_open_counts_as_dead(books: LedgerDatabase) -> None:
    """A run that was cancelled twice ends in order, its attempts may not."""
    gate = gate_of(books, run())
    left = admit(gate)
    finish_run(books, "run-1", state="Cancelled")

    assert [attempt.attempt_id for attempt in open_attempts(books, "harbor")] == [left.attempt_id]


def test_open_attempts_are_those_of_one_storyboard(books: LedgerDatabase) -> None:
    """Another storyboard's takes lie in another folder, and are recovered there."""
    admit(gate_of(books, run("run-1", storyboard="harbor")), nth_order(1))
    admit(gate_of(books, run("run-2", storyboard="forest")), nth_order(2))
    kill(books, "run-1")
    kill(books, "run-2")

    assert [attempt.request_key for attempt in open_attempts(books, "forest")] == [nth_order(2).spec.request_key]


def test_a_killed_process_leaves_its_attempts_to_the_next(tmp_path: Path) -> None:
    """A real one: admitted, killed with SIGKILL, reaped; what it held is found open and taken over."""
    program = (
        "from pipelines.ledger.database import LedgerDatabase\n"
        "from tests.support.builders import run\n"
        "from tests.support.ledger import admit, gate_of, nth_order\n"
        f"gate = gate_of(LedgerDatabase({url_of(tmp_path)!r}), run('killed'))\n"
        "print(admit(gate, nth_order(1)).attempt_id, flush=True)\n"
        "input()\n"
    )
    command = [sys.executable, "-c", program]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killed,
        LedgerDatabase(url_of(tmp_path)) as books,
    ):
        assert killed.stdout is not None
        attempt_id = int(killed.stdout.readline())
        start_run(books, run("next"))
        gate = Gate(books, run("next"), rate_limit=720)
        while_it_lives = gate.admit(nth_order(1)), open_attempts(books, "harbor")

        killed.kill()
        killed.wait()

        assert [type(each).__name__ for each in while_it_lives] == ["HeldElsewhere", "list"]
        assert while_it_lives[1] == []
        assert [attempt.attempt_id for attempt in open_attempts(books, "harbor")] == [attempt_id]
        close_attempt(books, attempt_id, Outcome(AttemptStatus.UNKNOWN, "killed"))
        assert admit(gate, nth_order(1)).attempt_id == attempt_id + 1


# What others hold


def test_what_other_live_runs_are_buying_is_held(books: LedgerDatabase) -> None:
    """Not our own, not a dead run's, not what we did not ask about."""
    ours, theirs, dead = (gate_of(books, run(run_id)) for run_id in ("ours", "theirs", "dead"))
    keys = [nth_order(n).spec.request_key for n in range(5)]
    for gate, n in ((ours, 0), (theirs, 1), (theirs, 2), (dead, 3)):
        admit(gate, nth_order(n))
    kill(books, "dead")

    held = keys_held_elsewhere(books, [keys[0], keys[1], keys[3], keys[4]], run_id="ours")

    assert held == {keys[1]}


def test_leases_name_the_take_and_its_buyer(books: LedgerDatabase) -> None:
    """One row for each take, however often it was tried."""
    gate = gate_of(books, run())
    admit(gate, order(number=1))
    admit(gate, order(number=2))

    assert table_rows(books, leases, "request_key", "run_id") == [(order().spec.request_key, "run-1")]
    assert len(table_rows(books, attempts, "attempt_id")) == 2
