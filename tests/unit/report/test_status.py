"""The status of a storyboard's runs, from the ledger alone: their stage, their cost, when they end."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import update

from pipelines.common.errors import UsageError
from pipelines.common.processes import this_host
from pipelines.common.settings import Settings
from pipelines.ledger.gate import Gate
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import AttemptStatus, Billed, Outcome, RunCounters, RunState
from pipelines.ledger.schema import runs
from pipelines.report.status import StoryboardStatus, status_of
from tests.support.builders import run
from tests.support.ledger import Clock, admit, gate_of, kill, new_take, nth_request, url_of

pytestmark = pytest.mark.usefixtures("database")

PRICE = Decimal("0.000652")
# 20 frames, of which 4 were there; 6 of 16 are generated.
HALFWAY = RunCounters("generating frames", 20, 4, 16, 6, 0, 3, 1, 60, 16 * PRICE, seconds_left=20.0)
Ask = Callable[[], StoryboardStatus]


@pytest.fixture
def ask(tmp_path: Path, clock: Clock) -> Ask:
    """Return a function that reads the status of harbor, at the time of the test's clock."""
    settings = settings_of(tmp_path)
    return lambda: status_of(settings, "harbor", clock=clock)


def settings_of(folder: Path) -> Settings:
    return Settings(output=folder, database_url=SecretStr(url_of(folder)))


def generate(ledger: Ledger, gate: Gate, clock: Clock, count: int, *, first: int = 0) -> None:
    """Generate frames one after another, two seconds each."""
    for number in range(first, first + count):
        attempt_id = admit(gate, nth_request(number)).attempt_id
        ledger.settle_bill(attempt_id, Billed(PRICE))
        clock.turn(2)
        ledger.keep_take(attempt_id, new_take(f"takes/{number}.png"))


def rewrite(ledger: Ledger, values: Mapping[str, Any], run_id: str = "run-1") -> None:
    """Change a run's entry."""
    with ledger.database.transaction() as connection:
        connection.execute(update(runs).where(runs.c.run_id == run_id).values(values))


def halfway(ledger: Ledger, clock: Clock, **of_run: Any) -> None:
    """Leave a run in the middle of its work: six frames kept, one request in flight."""
    gate = gate_of(ledger, run(**of_run), rate_limit=60)
    generate(ledger, gate, clock, 6)
    admit(gate, nth_request(6))
    ledger.record_heartbeat("run-1", HALFWAY)


def test_a_running_run_has_a_stage_a_cost_and_an_end(ledger: Ledger, clock: Clock, ask: Ask) -> None:
    """What it says itself of its end: it knows its encoders' pace as well."""
    halfway(ledger, clock, budget_usd=Decimal("0.25"))
    snapshot = ask().runs[0].snapshot

    assert ask().lines(UTC) == [
        f"harbor: running since 08:00:00 as process {snapshot.pid}: generating frames",
        "  frames  10 of 20: 6 generated, 4 reused",
        "  rate    30 of 60 requests a minute, 1 in flight",
        "  spent   0.003912 of 0.25 USD and at most 0.000652 uncertain for 7 requests",
        "  film    1 of 3 segments",
        "  left    20 s: ends at 08:00:32",
    ]


def test_a_program_reads_the_same(ledger: Ledger, clock: Clock, ask: Ask) -> None:
    """One object, amounts as decimal strings, times in UTC."""
    halfway(ledger, clock, budget_usd=Decimal("0.25"))

    assert ask().as_json() == {
        "storyboard": "harbor",
        "runs": [
            {
                "run_id": "run-1",
                "state": "running",
                "stage": "generating frames",
                "frames": 20,
                "reused": 4,
                "to_buy": 16,
                "bought": 6,
                "failed": 0,
                "pieces": 3,
                "pieces_done": 1,
                "rate_limit": 60,
                "endpoint": "http://flux.test",
                "simulated": False,
                "requests": 7,
                "open": 1,
                "requests_per_minute": 30.0,
                "kept_per_minute": 30.0,
                "pace": 1.0,
                "quote_usd": "0.010432",
                "budget_usd": "0.25",
                "spent_usd": "0.004564",
                "uncertain_usd": "0.000652",
                "started_at": "2027-01-15T08:00:00Z",
                "seen_at": "2027-01-15T08:00:12Z",
                "finished_at": None,
                "elapsed_s": 12.0,
                "seconds_left": 20.0,
                "ends_at": "2027-01-15T08:00:32Z",
                "lane": "",
                "group_id": "run-1",
            }
        ],
    }


def test_a_run_that_has_only_begun_is_starting(ledger: Ledger, ask: Ask) -> None:
    """Before its first report nothing is known of its frames; sketches cost nothing real."""
    ledger.start_run(run(simulated=True))
    (status,) = ask().runs

    assert status.lines(UTC) == [
        f"harbor: running since 08:00:00 as process {status.snapshot.pid}: starting",
        "  spent   0 USD for 0 requests, simulated",
    ]
    assert (status.seconds_left, status.as_json()["frames"], status.as_json()["quote_usd"]) == (None, None, None)


def test_the_rate_is_that_of_the_last_minute(ledger: Ledger, clock: Clock, ask: Ask) -> None:
    """A run that stands still promises no time left, however fast it was; its pace is named."""
    halfway(ledger, clock)
    ledger.gate(run(), rate_limit=60).slow_down(sent_at=clock.now_us)
    clock.turn(70)
    ledger.record_heartbeat("run-1", replace(HALFWAY, seconds_left=None))
    (status,) = ask().runs

    assert (status.snapshot.rates.sent, status.snapshot.rates.kept, status.seconds_left) == (0, 0, None)
    assert "0 of 60 requests a minute, 1 in flight, slowed to " in status.lines(UTC)[2]


@pytest.mark.parametrize(("since_s", "left_s"), [(3, 17.0), (19.5, 1.0), (40, 1.0)])
def test_between_two_reports_the_time_left_goes_by(
    ledger: Ledger, clock: Clock, ask: Ask, since_s: float, left_s: float
) -> None:
    """A run that is late is not done: it has a second left, not none."""
    halfway(ledger, clock)
    clock.turn(since_s)

    assert ask().runs[0].seconds_left == left_s


def test_a_run_on_another_machine_is_known_by_its_heartbeat(ledger: Ledger, clock: Clock, ask: Ask) -> None:
    """The machine is named, and how long it has been silent."""
    halfway(ledger, clock)
    rewrite(ledger, {"host": "attic 9f2c pid:[4026531836]"})
    clock.turn(5)
    (status,) = ask().runs

    assert status.snapshot.state == "running_elsewhere"
    assert status.lines(UTC)[0] == ("harbor: running since 08:00:00 on attic, heard of 5 s ago: generating frames")


def test_a_run_on_another_machine_that_fell_silent_is_taken_for_dead(ledger: Ledger, clock: Clock, ask: Ask) -> None:
    """After a minute without a heartbeat."""
    halfway(ledger, clock)
    rewrite(ledger, {"host": "attic 9f2c pid:[4026531836]"})
    clock.turn(61)

    assert ask().lines(UTC)[0] == (
        "harbor: died: generating frames; nothing is heard of it on attic, last seen at 08:00:12"
    )


def test_a_run_that_died_has_its_remains_listed(ledger: Ledger, clock: Clock, ask: Ask) -> None:
    """When it was last seen, its frames and cost, the requests without an answer, and what to do."""
    halfway(ledger, clock)
    kill(ledger, "run-1")
    clock.turn(24 * 3600)

    assert ask().lines(UTC) == [
        "harbor: died: generating frames; its process is gone, last seen at 08:00:12 on 2027-01-15",
        "  frames  10 of 20: 6 generated, 4 reused",
        "  spent   0.003912 USD and at most 0.000652 uncertain for 7 requests",
        "  open    1 request without an answer; the next run sees what came of it",
        "  next    what was generated is kept; run again to complete",
    ]


def test_a_killed_process_is_seen_at_once(tmp_path: Path) -> None:
    """A real one: it runs, it is killed with SIGKILL and reaped, it has died."""
    program = (
        "from pipelines.ledger.ledger import Ledger\n"
        "from pipelines.ledger.models import RunCounters\n"
        "from tests.support.builders import run\n"
        "from tests.support.ledger import admit, gate_of, nth_request\n"
        f"ledger = Ledger.open({url_of(tmp_path)!r})\n"
        "admit(gate_of(ledger, run()), nth_request(1))\n"
        "ledger.record_heartbeat('run-1', RunCounters('generating frames', frames=3, to_generate=3))\n"
        "print('ready', flush=True)\n"
        "input()\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        before = status_of(settings_of(tmp_path), "harbor")
        process.kill()
        process.wait()
        after = status_of(settings_of(tmp_path), "harbor")

    found = [(status.runs[0].snapshot.state, status.runs[0].snapshot.totals.open) for status in (before, after)]
    assert found == [("running", 1), ("died", 1)]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (RunState.COMPLETED, "completed"),
        (RunState.INCOMPLETE, "incomplete"),
        (RunState.OVER_BUDGET, "stopped by the budget"),
        (RunState.ENDPOINT_UNAVAILABLE, "stopped by the endpoint"),
        (RunState.CANCELLED, "cancelled"),
        (RunState.FAILED, "failed"),
    ],
)
def test_a_run_that_ended_has_its_end_and_its_state(
    ledger: Ledger, clock: Clock, ask: Ask, state: RunState, words: str
) -> None:
    """How long it took, its frames and its cost; what to do, unless it is complete."""
    more = [] if state is RunState.COMPLETED else ["  next    what was generated is kept; run again to complete"]
    gate = gate_of(ledger, run())
    generate(ledger, gate, clock, 2)
    ledger.close_attempt(admit(gate, nth_request(2)).attempt_id, Outcome(AttemptStatus.FAILED, "500", 500, Decimal(0)))
    ledger.finish_run("run-1", state=state, counters=RunCounters("assembling the film", 4, 1, 3, 2, 1))

    assert ask().lines(UTC) == [
        f"harbor: {words} at 08:00:04, after 4 s",
        "  frames  3 of 4: 2 generated, 1 reused, 1 failed",
        "  spent   0.001304 USD for 3 requests",
        *more,
    ]


def test_runs_at_once_have_a_paragraph_each(ledger: Ledger, clock: Clock, ask: Ask) -> None:
    """Oldest first; another storyboard's are none of them."""
    for run_id, storyboard in (("run-1", "harbor"), ("run-2", "harbor"), ("run-3", "forest")):
        ledger.start_run(run(run_id, storyboard=storyboard))
        clock.turn(1)
    heads = [line.partition(" as ")[0] for line in ask().lines(UTC)]

    assert heads == [
        "harbor: running since 08:00:00",
        "  spent   0 USD for 0 requests",
        "",
        "harbor: running since 08:00:01",
        "  spent   0 USD for 0 requests",
    ]


def in_two_lanes(ledger: Ledger, clock: Clock) -> None:
    """Leave two runs of one storyboard in the middle of their work; the second one has joined the first."""
    budget_usd = Decimal("0.25")
    for run_id, lane, first in (("run-1", "a", 0), ("run-2", "b", 6)):
        entered = ledger.start_run(replace(run(run_id, budget_usd=budget_usd), lane=lane), plan="plan")
        generate(ledger, ledger.gate(entered, rate_limit=60), clock, 4, first=first)
    ledger.record_heartbeat("run-1", replace(HALFWAY, reused=6, generated=4))
    ledger.record_heartbeat("run-2", replace(HALFWAY, reused=8, generated=4, to_generate=12, seconds_left=10.0))


def test_runs_in_lanes_are_added_up(ledger: Ledger, clock: Clock, ask: Ask) -> None:
    """Each has its lane; the budget is that of all, and the time left that of the run that makes the film."""
    in_two_lanes(ledger, clock)
    pid = ask().runs[0].snapshot.pid

    assert ask().lines(UTC) == [
        f"harbor: running since 08:00:00 as process {pid} in lane a: generating frames",
        "  frames  10 of 20: 4 generated, 6 reused or by other runs",
        "  rate    11 of 60 requests a minute",
        "  spent   0.002608 USD for 4 requests",
        "  film    1 of 3 segments",
        "  left    20 s: ends at 08:00:36",
        "",
        f"harbor: running since 08:00:08 as process {pid} in lane b: generating frames",
        "  frames  12 of 20: 4 generated, 8 reused or by other runs",
        "  rate    22 of 60 requests a minute",
        "  spent   0.002608 USD for 4 requests",
        "  film    1 of 3 segments",
        "  left    10 s: ends at 08:00:26",
        "",
        "harbor: 2 runs together",
        "  frames  12 of 20",
        "  rate    34 of 120 requests a minute: a 11, b 22",
        "  spent   0.005216 of 0.25 USD for 8 requests",
        "  lanes   a 4 for 0.002608 USD, b 4 for 0.002608 USD",
        "  left    20 s: ends at 08:00:36",
    ]


def test_a_program_reads_the_sums_too(ledger: Ledger, clock: Clock, ask: Ask) -> None:
    """Of a group of several runs, with what each has done: those too that have ended."""
    in_two_lanes(ledger, clock)
    ledger.finish_run("run-2", state=RunState.FAILED)
    values: Any = ask().as_json()
    [group] = values["groups"]
    lanes = group.pop("lanes")

    assert [(each["lane"], each["group_id"]) for each in values["runs"]] == [("a", "run-1"), ("b", "run-1")]
    assert group == {
        "group_id": "run-1",
        "frames": 20,
        "done": 12,
        "generated": 8,
        "requests": 8,
        "requests_per_minute": 11.2,
        "rate_limit": 60,
        "budget_usd": "0.25",
        "spent_usd": "0.005216",
        "uncertain_usd": "0",
        "seconds_left": 20.0,
        "ends_at": "2027-01-15T08:00:36Z",
    }
    assert lanes[1] == {
        "lane": "b",
        "run_id": "run-2",
        "host": this_host().partition(" ")[0],
        "generated": 4,
        "requests": 4,
        "cost_usd": "0.002608",
        "uncertain_usd": "0",
        "state": "Failed",
        "conducts": False,
        "failed": 0,
        "requests_per_minute": None,
        "pace": 1.0,
    }


def test_a_lane_is_named_however_its_run_is_found(ledger: Ledger, clock: Clock, ask: Ask) -> None:
    """Elsewhere, dead, ended."""
    halfway(ledger, clock)
    rewrite(ledger, {"host": "attic 9f2c", "lane": "b"})
    elsewhere = ask().lines(UTC)[0]
    clock.turn(61)
    died = ask().lines(UTC)[0]
    ledger.finish_run("run-1", state=RunState.CANCELLED)

    assert elsewhere == "harbor: running since 08:00:00 on attic in lane b, heard of 0 s ago: generating frames"
    assert died == ("harbor: died in lane b: generating frames; nothing is heard of it on attic, last seen at 08:00:12")
    assert ask().lines(UTC)[0] == "harbor: cancelled in lane b at 08:01:13, after 1 min 13 s"


def test_runs_of_the_past_are_left_out(ledger: Ledger, clock: Clock, ask: Ask) -> None:
    """Runs that ended, and those that died and left nothing open, give way to the last one."""
    for run_id in ("ended", "died", "left-one", "last"):
        gate = gate_of(ledger, run(run_id))
        if run_id == "left-one":
            admit(gate)
        if run_id == "ended":
            ledger.finish_run(run_id, state=RunState.COMPLETED)
        else:
            kill(ledger, run_id)
        clock.turn(1)

    assert [status.snapshot.run.run_id for status in ask().runs] == ["left-one", "last"]


def test_a_storyboard_that_was_never_rendered_is_an_error(ledger: Ledger, ask: Ask) -> None:
    """With the cure."""
    ledger.start_run(run(storyboard="forest"))

    with pytest.raises(UsageError) as caught:
        ask()

    assert str(caught.value) == "harbor: was never rendered here; see `storyreel render`, or choose its --output"


def test_asking_waits_for_no_writer(ledger: Ledger, ask: Ask) -> None:
    """A run in the middle of a transaction is read as it was before."""
    ledger.start_run(run())
    with ledger.database.transaction() as connection:
        connection.execute(update(runs).values(stage="generating frames"))
        snapshot = ask().runs[0].snapshot

    assert (snapshot.counters, snapshot.host) == (None, this_host())
