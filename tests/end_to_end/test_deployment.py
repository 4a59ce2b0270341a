"""The deployments of prefect.yaml, run by a real Prefect server and a real process worker."""

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import psutil
import pytest

from tests.conftest import serving, wait_until

REPOSITORY = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
TIMEOUT_S = 240


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for_server(url: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"Prefect's server did not start, its exit code is {server.poll()}")


def reap(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    port = free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "STORYREEL_"))}
    return {
        **inherited,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "PREFECT_HOME": str(tmp_path_factory.mktemp("prefect")),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "FREE_PORT": str(port),
    }


@pytest.fixture(scope="module")
def prefect(environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """A server that knows the deployments, and a worker of their pool."""
    serve = ["prefect", "server", "start", "--no-ui", "--host", "127.0.0.1", "--port", environment["FREE_PORT"]]
    server = subprocess.Popen(serve, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_server(environment["PREFECT_API_URL"], server)
        call(environment, "prefect", "work-pool", "create", "storyreel", "--type", "process")
        call(environment, "prefect", "--no-prompt", "deploy", "--all")
        work = ["prefect", "worker", "start", "--pool", "storyreel"]
        worker = subprocess.Popen(work, cwd="/", env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield environment
        finally:
            reap(worker)
    finally:
        reap(server)


def call(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_a_deployment_run_leaves_the_film_and_the_ledger(prefect: dict[str, str], tmp_path: Path) -> None:
    """`prefect deployment run` on the on-demand deployment renders a storyboard of the repository."""
    call(
        prefect,
        "prefect",
        "deployment",
        "run",
        "render-storyboard/on-demand",
        "--param",
        f"output={tmp_path}",
        "--watch",
    )

    folder = tmp_path / "cat-in-a-garden"
    with (folder / "ledger.csv").open(newline="") as ledger:
        assert [row["status"] for row in csv.DictReader(ledger)] == ["ok"] * 3
    assert imageio_ffmpeg.count_frames_and_secs(str(folder / "cat-in-a-garden.mp4")) == (288, 12.0)


@pytest.mark.slow
def test_the_nightly_deployment_has_its_schedule(prefect: dict[str, str]) -> None:
    """Deploying prefect.yaml sets the nightly cron schedule with its time zone."""
    shown = call(prefect, "prefect", "deployment", "inspect", "render-storyboard/nightly")

    assert "15 2 * * *" in shown
    assert "UTC" in shown


def begin(prefect: dict[str, str], board: Path, **parameters: object) -> str:
    """Schedule a run of a storyboard; return its id."""
    given = [f"--param={name}={json.dumps(value)}" for name, value in {"storyboard": str(board), **parameters}.items()]
    return str(re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", run_deployment(prefect, given))[0])


def run_deployment(prefect: dict[str, str], parameters: list[str]) -> str:
    return call(prefect, "prefect", "deployment", "run", "render-storyboard/on-demand", *parameters)


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def state_of(prefect: dict[str, str], run_id: str) -> str:
    return str(get(f"{prefect['PREFECT_API_URL']}/flow_runs/{run_id}")["state_name"])


def has_completed(prefect: dict[str, str], run_id: str) -> bool:
    """Run it again if it has crashed: the worker may report the crash once more, after it was scheduled anew."""
    state = state_of(prefect, run_id)
    if state == "Crashed":
        call(prefect, "prefect", "flow-run", "retry", run_id)
    return state == "Completed"


def ledger_of(output: Path) -> list[dict[str, str]]:
    with (output / "film/ledger.csv").open(newline="") as ledger:
        return list(csv.DictReader(ledger))


@pytest.mark.slow
def test_a_cancelled_run_keeps_what_is_in_flight(
    prefect: dict[str, str], board: Callable[..., Path], tmp_path: Path
) -> None:
    """After `prefect flow-run cancel` nothing new is sent, all that was asked is kept, and the state says Cancelled."""
    with serving(latency_s=(2, 3)) as url:
        run_id = begin(prefect, board(frames=200), endpoint=url, model="sketch", output=str(tmp_path))
        wait_until(lambda: get(f"{url}/_stats")["requests"] > 5, timeout_s=TIMEOUT_S)
        call(prefect, "prefect", "flow-run", "cancel", run_id)
        wait_until(lambda: state_of(prefect, run_id) == "Cancelled", timeout_s=TIMEOUT_S)
        wait_until((tmp_path / "film/ledger.csv").exists, timeout_s=TIMEOUT_S)
        account = get(f"{url}/_stats")

    rows = ledger_of(tmp_path)
    assert 5 < len(rows) == account["images"] == account["requests"] < 200
    assert {row["status"] for row in rows} == {"ok"}


@pytest.mark.slow
def test_a_crashed_run_goes_on_where_it_was_when_prefect_runs_it_again(
    prefect: dict[str, str], board: Callable[..., Path], tmp_path: Path
) -> None:
    """Its process is killed; `prefect flow-run retry` resumes from the ledger."""
    takes = tmp_path / "film/takes"
    with serving(latency_s=(0.5, 1)) as url:
        run_id = begin(prefect, board(frames=40), endpoint=url, model="sketch", output=str(tmp_path))
        wait_until(lambda: len(list(takes.glob("*.png"))) > 5, timeout_s=TIMEOUT_S)
        for process in psutil.process_iter(["environ"]):
            if (process.info["environ"] or {}).get("PREFECT__FLOW_RUN_ID") == run_id:
                process.send_signal(signal.SIGKILL)
        wait_until(lambda: state_of(prefect, run_id) == "Crashed", timeout_s=TIMEOUT_S)
        wait_until(lambda: has_completed(prefect, run_id), timeout_s=TIMEOUT_S)

    rows = ledger_of(tmp_path)
    kept = [row["request_key"] for row in rows if row["status"] == "ok"]
    assert len(kept) == len(set(kept)) == 40
    assert {row["status"] for row in rows} == {"ok", "unknown"}
    assert len({row["run_id"] for row in rows}) == 2
