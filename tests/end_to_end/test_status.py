"""A run as it is seen from another terminal: while it goes on, after it was killed, once it is complete."""

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BIN, Board, Storyreel, clean_environment, wait_until

pytestmark = pytest.mark.slow

PRICE = Decimal("0.000322")


@pytest.fixture
def slow_api() -> Iterator[str]:
    """Serve the FLUX API in a process of its own, a second and a half for each answer; yield its address."""
    command = [str(BIN / "storyreel"), "serve", "--port", "0", "--latency", "1-2", "--rate-limit", "240"]
    with subprocess.Popen(command, env=clean_environment(), stderr=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stderr is not None
            found = re.search(r"http://\S+", serving.stderr.readline())
            assert found is not None
            yield found[0]
        finally:
            serving.terminate()


@pytest.fixture
def status(storyreel_on_prefect: Storyreel) -> Callable[[], Any]:
    """Return a function that asks how the last run of film.yaml stands; None as long as there is none."""

    def ask() -> Any:
        asked = storyreel_on_prefect("status", "film.yaml", "--json")
        return asked.json["runs"][-1] if asked.exit_code == 0 else None

    return ask


def start(board: Path, api: str, endpoint: str) -> "subprocess.Popen[bytes]":
    """Start a render that goes on while the test does."""
    options = ["--endpoint", endpoint, "--model", "sketch", "--rate-limit", "240", "--budget", "0.25"]
    return subprocess.Popen(
        [BIN / "storyreel", "render", str(board), *options],
        cwd=board.parent,
        env=clean_environment(PREFECT_API_URL=api),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_a_run_is_watched_from_without(
    storyreel_on_prefect: Storyreel,
    board: Board,
    status: Callable[[], Any],
    prefect_api_url: str,
    slow_api: str,
) -> None:
    """Running with figures that hang together; killed, it has died; run again, it is complete."""
    path = board(frames=60)
    render = start(path, prefect_api_url, slow_api)
    wait_until(lambda: (told := status()) is not None and (told["bought"] or 0) >= 8 and told["seconds_left"])
    running = status()
    os.kill(render.pid, signal.SIGKILL)
    render.wait()
    died = status()
    said = storyreel_on_prefect("status", str(path))
    again = storyreel_on_prefect("render", str(path), "--endpoint", slow_api, "--model", "sketch", "--json")
    completed = status()

    assert (running["state"], running["stage"], running["frames"]) == ("running", "generating frames", 60)
    assert (running["rate_limit"], running["budget_usd"]) == (240, "0.25")
    assert (running["to_buy"], Decimal(running["quote_usd"]), running["simulated"]) == (60, 60 * PRICE, True)
    assert 8 <= running["bought"] < 60
    assert running["requests"] >= running["bought"] + running["open"]
    assert Decimal(running["spent_usd"]) == running["requests"] * PRICE
    assert 60 < running["requests_per_minute"] <= 260
    # Its own estimate, of some seconds ago.
    assert running["seconds_left"] > 0
    ends_at, seen_at = (datetime.fromisoformat(running[name]) for name in ("ends_at", "seen_at"))
    assert ends_at > seen_at

    assert (died["state"], died["run_id"]) == ("died", running["run_id"])
    assert (died["requests_per_minute"], died["seconds_left"]) == (None, None)
    assert died["open"] > 0
    assert said.stderr.startswith("film: died: generating frames; its process is gone, last seen at ")
    assert said.stderr.endswith("run again to complete\n")

    assert again.exit_code == 0, again.stderr
    assert (completed["state"], completed["run_id"]) == ("Completed", again.json["run_id"])
    assert (completed["reused"], completed["bought"]) == (again.json["reused"], again.json["generated"])
    assert (completed["spent_usd"], completed["open"]) == (again.json["cost_usd"], 0)
    assert completed["pieces_done"] == completed["pieces"] > 0
