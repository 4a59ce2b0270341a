"""The deployments of prefect.yaml and the README's "Schedule it", line by line, on a real server and a real worker."""

import contextlib
import datetime
import itertools
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests import conftest
from tests.conftest import BIN, clean_environment, serving
from tests.support.accounts import rows as ledger_rows
from tests.support.deployments import call, in_background, is_over, run_of, runs, state_of, url_of, wait_for
from tests.support.prefect_server import POLL_S, SHORT_WAITS, ask, free_port, server_environment, wait_for_server

REPOSITORY = Path(__file__).parents[2]
_MOST_TRIES = 4
# Time for a run to begin, to end, and to be acted upon.
_PATIENCE_S = 45
wait_until = partial(conftest.wait_until, poll_s=POLL_S)


@dataclass(frozen=True, slots=True)
class Team:
    """A Prefect server, and a worker on what stands for another machine.

    Attributes:
        environment: of every command.
        root: the worker's STORYREEL_ROOT.
        worker: the worker's process.
        last_line: the README's last line, which runs a deployment.
    """

    environment: dict[str, str]
    root: Path
    worker: psutil.Process
    last_line: str

    def __getitem__(self, name: str) -> str:
        return self.environment[name]


def schedule_it() -> list[str]:
    """Return the lines of the README's "Schedule it", but for the address of the server: here each has its own."""
    section = (REPOSITORY / "README.md").read_text().split("## Schedule it")[1]
    block = section.split("```sh\n")[1].split("```")[0]
    return [line.split(" #")[0].strip() for line in block.splitlines() if not line.startswith("export ")]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    home = tmp_path_factory.mktemp("prefect")
    return server_environment({**clean_environment(), **SHORT_WAITS, "PATH": path}, home, port=free_port())


@pytest.fixture(scope="module")
def prefect(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """Carry out the README's lines: all but the worker in a checkout that is gone before anything runs."""
    serve, create_pool, deploy, work, run = schedule_it()
    checkout, elsewhere = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("elsewhere")
    shutil.copy(REPOSITORY / "prefect.yaml", checkout)
    for folder in (checkout, elsewhere):
        shutil.copytree(REPOSITORY / "configs", folder / "configs")
    with in_background(serve, cwd=checkout, environment=environment) as server:
        wait_for_server(environment["PREFECT_API_URL"], server)
        call(environment, create_pool, cwd=checkout)
        call(environment, f"{deploy.replace('prefect', 'prefect --no-prompt', 1)}", cwd=checkout)
        shutil.rmtree(checkout)
        with in_background(work, cwd=elsewhere, environment=environment) as worker:
            yield Team(environment, elsewhere, psutil.Process(worker.pid), run)


@pytest.mark.slow
def test_a_deployment_run_leaves_the_film_and_the_ledger(prefect: Team) -> None:
    """The README's last line renders a storyboard from the worker's own folder; the deployer's is gone."""
    assert end_of_run(prefect, prefect.last_line) == "Completed"

    folder = prefect.root / "outputs/harbor-at-dawn"
    assert {row["status"] for row in ledger_rows(folder)} == {"ok"}
    assert (folder / "harbor-at-dawn.mp4").is_file()


@pytest.mark.slow
def test_a_schedule_yields_runs_that_a_worker_carries_out(prefect: Team) -> None:
    """The nightly deployment has a run scheduled for each night; one that is due is carried out by itself."""
    scheduled = wait_for(lambda: runs(prefect, deployment="nightly", state="SCHEDULED"))
    assert {run["expected_start_time"][11:16] for run in scheduled} == {"02:15"}
    assert {run["state_name"] for run in scheduled} == {"Scheduled"}
    assert all(run["auto_scheduled"] for run in scheduled)

    # Due by the time that the worker is ready for it; if that has passed when it is planned, then half a minute later.
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=10)
    call(
        prefect.environment,
        "prefect deployment schedule create render-storyboard/nightly "
        f"--interval 30 --anchor-date {soon:%Y-%m-%dT%H:%M:%SZ}",
    )
    try:
        [done, *_] = wait_for(lambda: others(runs(prefect, deployment="nightly", state="COMPLETED"), than=scheduled))
    finally:
        clear_schedules(prefect, "render-storyboard/nightly")

    # No further run disturbs the other tests.
    wait_until(lambda: not runs(prefect, deployment="nightly", state="SCHEDULED"))
    assert done["auto_scheduled"]
    assert (prefect.root / "outputs/harbor-at-dawn/harbor-at-dawn.mp4").is_file()


@pytest.mark.slow
def test_more_takes_are_a_deployment_of_their_own(prefect: Team, board: Callable[..., Path], tmp_path: Path) -> None:
    """`reroll-takes/on-demand` generates what it was asked for, and nothing else."""
    again = (
        f"prefect deployment run reroll-takes/on-demand --param storyboard={board()} --param frames=1 --param takes=2 "
        f"--param output={tmp_path}"
    )
    assert end_of_run(prefect, again) == "Completed"

    assert [(row["frame"], row["take"], row["status"]) for row in ledger_rows(tmp_path / "film")] == [
        ("1", "1", "ok"), ("1", "2", "ok"),
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["render-storyboard/on-demand", "render-storyboard/nightly", "reroll-takes/on-demand", "render-lane/lane"]
)
def test_the_form_for_a_run_explains_each_parameter(prefect: Team, name: str) -> None:
    """Prefect takes the words from the flow's docstring; the deployment has a description and a tag."""
    deployment = ask(url_of(prefect, name))

    unexplained = [
        parameter
        for parameter, schema in deployment["parameter_openapi_schema"]["properties"].items()
        if not schema.get("description")
    ]
    assert (unexplained, deployment["tags"], bool(deployment["description"])) == ([], ["storyreel"], True)


@pytest.fixture
def automations(prefect: Team) -> Iterator[None]:
    """Create the example automations, with Prefect's own command, for the time of a test."""
    for file in sorted((REPOSITORY / "examples/automations").glob("*.yaml")):
        call(prefect.environment, f"prefect automation create --from-file {file}")
    yield
    url = f"{prefect['PREFECT_API_URL']}/automations"
    for automation in ask(f"{url}/filter", {}):
        ask(f"{url}/{automation['id']}", method="DELETE")


@pytest.mark.slow
@pytest.mark.usefixtures("automations")
def test_a_run_that_is_not_whole_has_a_state_that_automations_go_by(
    prefect: Team, board: Callable[..., Path], tmp_path: Path
) -> None:
    """All count as failed; by its name, what is incomplete is run once more, and what is over budget is paused."""
    path = board()
    deployment = url_of(prefect, "render-storyboard/on-demand")
    numbers = itertools.count()

    def over_budget() -> str:
        return begin(prefect, path, budget_usd=0.0001, output=str(tmp_path / "a"))

    with contextlib.ExitStack() as servers:

        def incomplete() -> str:
            url = servers.enter_context(serving("refused=1"))
            output = tmp_path / f"incomplete-{next(numbers)}"
            return begin(prefect, path, endpoint=url, model="sketch", output=str(output))

        nothing_here = f"{servers.enter_context(serving('refused=1'))}/nothing-here"
        begun = [
            acted_upon(incomplete, lambda run_id: run_of(prefect, run_id)["run_count"] == 2),
            begin(prefect, path, endpoint=nothing_here, output=str(tmp_path / "b")),
            begin(prefect, tmp_path / "missing.yaml", output=str(tmp_path / "c")),
        ]
        wait_until(lambda: all(is_over(prefect, run_id) for run_id in begun))
    # The last one: no run of a deployment that is paused begins.
    begun.append(acted_upon(over_budget, lambda _: ask(deployment)["paused"]))
    ask(f"{deployment}/resume_deployment", {})

    wait_until(lambda: is_over(prefect, begun[-1]))
    ended = [run_of(prefect, run_id) for run_id in begun]
    assert [(run["state_name"], run["state_type"], run["run_count"]) for run in ended] == [
        ("Incomplete", "FAILED", 2),
        ("EndpointUnavailable", "FAILED", 1),
        ("Failed", "FAILED", 1),
        ("OverBudget", "FAILED", 1),
    ]
    [*_, output] = sorted(tmp_path.glob("incomplete-*"))
    assert len({row["run_id"] for row in ledger_rows(output / "film")}) == 2


def acted_upon(begin_run: Callable[[], str], acted: Callable[[str], bool]) -> str:
    """Begin one run after another until an automation has acted upon one; return that one's id.

    Prefect's server sorts events by their causes, and now and then holds one back for a quarter of an hour: one that
    came in just before the event it follows had been dealt with. Another run's come through.
    """
    for _ in range(_MOST_TRIES):
        run_id = begin_run()
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            if acted(run_id):
                return run_id
            time.sleep(POLL_S)
    raise AssertionError(f"no automation acted upon any of {_MOST_TRIES} runs")


def others(runs: list[Any], *, than: list[Any]) -> list[Any]:
    """Return the runs that are not among those seen before."""
    seen = {run["id"] for run in than}
    return [run for run in runs if run["id"] not in seen]


def end_of_run(prefect: Team, line: str) -> str:
    """Begin a run with a command; return the name of the state it ends in."""
    [run_id] = set(re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", call(prefect.environment, line)))
    wait_until(lambda: is_over(prefect, run_id))
    return state_of(prefect, run_id)


def begin(prefect: Team, board: Path, **parameters: object) -> str:
    """Schedule a run of a storyboard, as `prefect deployment run` does; return its id."""
    parameters = {"storyboard": str(board), **parameters}
    deployment = url_of(prefect, "render-storyboard/on-demand")
    return str(ask(f"{deployment}/create_flow_run", {"parameters": parameters})["id"])


def clear_schedules(prefect: Team, name: str) -> None:
    """Remove the schedules of a deployment, and the runs they have planned, as `prefect deployment schedule clear`."""
    deployment = url_of(prefect, name)
    for schedule in ask(deployment)["schedules"]:
        ask(f"{deployment}/schedules/{schedule['id']}", method="DELETE")


def task_runs(prefect: Team, run_id: str, *types: str) -> int:
    """Return how many task runs of a flow run are in states of these types."""
    wanted = {"flow_runs": {"id": {"any_": [run_id]}}, "task_runs": {"state": {"type": {"any_": types}}}}
    return int(ask(f"{prefect['PREFECT_API_URL']}/task_runs/count", wanted))


def has_completed(prefect: Team, run_id: str) -> bool:
    """Run it again if it has crashed: the worker may report the crash once more, after it was scheduled anew."""
    state = state_of(prefect, run_id)
    if state == "Crashed":
        call(prefect.environment, f"prefect flow-run retry {run_id}")
    return state == "Completed"


@pytest.mark.slow
def test_a_cancelled_run_keeps_what_is_in_flight(prefect: Team, board: Callable[..., Path], tmp_path: Path) -> None:
    """After `prefect flow-run cancel` nothing new is sent, all that was asked is kept, no other take is Completed."""
    with serving(latency_s=(2, 3)) as url:
        # At this pace the run takes five minutes, so that it is cancelled in the middle, however long that takes.
        options = {"endpoint": url, "model": "sketch", "output": str(tmp_path), "rate_limit": 120}
        run_id = begin(prefect, board(frames=600), **options)
        wait_until(lambda: ask(f"{url}/_stats")["requests"] > 5)
        call(prefect.environment, f"prefect flow-run cancel {run_id}")
        wait_until(lambda: state_of(prefect, run_id) == "Cancelled")
        wait_until((tmp_path / "film/ledger.csv").exists)
        account = ask(f"{url}/_stats")

    rows = ledger_rows(tmp_path / "film")
    # They are recorded in the background.
    wait_until(lambda: task_runs(prefect, run_id, "COMPLETED") >= len(rows))
    wait_until(lambda: not task_runs(prefect, run_id, "PENDING", "RUNNING"))
    assert task_runs(prefect, run_id, "COMPLETED") == len(rows)
    assert 5 < len(rows) == account["images"] == account["requests"] < 600
    assert {row["status"] for row in rows} == {"ok"}


@pytest.mark.slow
def test_a_crashed_run_goes_on_where_it_was_when_prefect_runs_it_again(
    prefect: Team, board: Callable[..., Path], tmp_path: Path
) -> None:
    """Its process is killed; `prefect flow-run retry` resumes from the ledger."""
    takes = tmp_path / "film/takes"
    with serving(latency_s=(1, 2)) as url:
        # Six are in flight at any time, and it is killed long before the last.
        options = {"endpoint": url, "model": "sketch", "output": str(tmp_path), "rate_limit": 240}
        run_id = begin(prefect, board(frames=40), **options)
        wait_until(lambda: len(list(takes.glob("*.png"))) > 5)
        for process in psutil.process_iter(["environ"]):
            if (process.info["environ"] or {}).get("PREFECT__FLOW_RUN_ID") == run_id:
                process.send_signal(signal.SIGKILL)
        wait_until(lambda: state_of(prefect, run_id) == "Crashed")
        # The worker looks for what is to be done after a crash, and reports the crash once more when it has done it.
        wait_until(lambda: not prefect.worker.children())
        wait_until(lambda: has_completed(prefect, run_id))

    rows = ledger_rows(tmp_path / "film")
    kept = [row["request_key"] for row in rows if row["status"] == "ok"]
    assert len(kept) == len(set(kept)) == 40
    assert {row["status"] for row in rows} == {"ok", "unknown"}
    assert len({row["run_id"] for row in rows}) == 2
