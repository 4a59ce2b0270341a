"""The deployments of prefect.yaml, run by a real Prefect server and a real process worker."""

import csv
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import pytest

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
