"""A real Prefect server, as `prefect server start` starts it, and its API as anything but Prefect's client sees it."""

import contextlib
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.patience import WAIT_S

# Each look costs the server time that it needs for the run itself.
POLL_S = 0.2


# Prefect's worker looks for runs every ten seconds, its scheduler for schedules every minute. Here each look costs
# little, and so they look often. Nor need a hundred runs be planned ahead.
SHORT_WAITS = {
    "PREFECT_WORKER_QUERY_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
    "PREFECT_SERVER_SERVICES_SCHEDULER_MIN_SCHEDULED_TIME": "PT1M",
}


def free_port() -> int:
    """Return a port of this machine that nothing listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for_server(url: str, server: "subprocess.Popen[bytes]") -> None:
    """Wait until the API at this address answers."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"Prefect's server did not start, its exit code is {server.poll()}")


def reap(process: "subprocess.Popen[bytes]") -> None:
    """End a process, and wait until it has ended."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def serving_prefect(environment: dict[str, str], log: Path) -> Iterator[str]:
    """Run a server for as long as the block lasts, as the environment configures it; yield its API's address.

    What it logs goes to the file `log`.
    """
    url = environment["PREFECT_API_URL"]
    with log.open("wb") as written:
        server = subprocess.Popen(["prefect", "server", "start"], env=environment, stdout=written, stderr=written)
        try:
            wait_for_server(url, server)
            yield url
        finally:
            reap(server)


def server_environment(
    environment: dict[str, str], home: Path, *, port: int, host: str = "127.0.0.1"
) -> dict[str, str]:
    """Return what a server and its clients need in their environment, besides `environment`."""
    return {
        **environment,
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://{host}:{port}/api",
        "PREFECT_SERVER_API_HOST": host,
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PATH": environment.get("PATH", os.environ["PATH"]),
    }


def ask(url: str, body: object = None, *, method: str | None = None) -> Any:
    """Send a request, a POST if it has a body; return the answer, which is None if it is empty."""
    request = urllib.request.Request(
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method=method,
    )
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
                said = answer.read()
            return json.loads(said) if said else None
        except urllib.error.HTTPError as refusal:
            # Prefect's database was busy, and nothing was done. Prefect's own client tries again, too.
            if refusal.code != 503 or time.monotonic() > deadline:
                raise
            time.sleep(POLL_S)
