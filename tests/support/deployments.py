"""Deployments on a real Prefect server: commands beside it, and what its API says of their runs."""

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from tests.support.patience import WAIT_S
from tests.support.prefect_server import POLL_S, ask, reap


class Environment(Protocol):
    """The variables of commands that use the server."""

    def __getitem__(self, name: str, /) -> str: ...


@contextlib.contextmanager
def in_background(line: str, *, cwd: Path, environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a line in a terminal of its own for as long as the block lasts."""
    # The shell gives way to the command, which is then the one that is ended.
    command = line.replace("prefect ", "exec prefect ", 1)
    process = subprocess.Popen(
        ["bash", "-c", command], cwd=cwd, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        reap(process)


def call(environment: dict[str, str], line: str, *, cwd: Path | None = None) -> str:
    """Run a line to its end; return what it printed."""
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def wait_for(found: Callable[[], list[Any]]) -> list[Any]:
    """Wait until something is found; return it."""
    deadline = time.monotonic() + WAIT_S
    while not (there := found()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(POLL_S)
    return there


def runs(prefect: Environment, *, deployment: str, state: str) -> list[Any]:
    """Return the runs of a deployment that are in a state of this type."""
    wanted = {"deployments": {"name": {"any_": [deployment]}}, "flow_runs": {"state": {"type": {"any_": [state]}}}}
    return list(ask(f"{prefect['PREFECT_API_URL']}/flow_runs/filter", wanted))


def is_over(prefect: Environment, run_id: str) -> bool:
    return run_of(prefect, run_id)["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


def url_of(prefect: Environment, name: str) -> str:
    """Return the address of a deployment in Prefect's API."""
    deployments = f"{prefect['PREFECT_API_URL']}/deployments"
    return f"{deployments}/{ask(f'{deployments}/name/{name}')['id']}"


def state_of(prefect: Environment, run_id: str) -> str:
    return str(run_of(prefect, run_id)["state_name"])


def run_of(prefect: Environment, run_id: str) -> Any:
    """Return a flow run as Prefect's API has it."""
    return ask(f"{prefect['PREFECT_API_URL']}/flow_runs/{run_id}")
