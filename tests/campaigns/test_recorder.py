"""A run of 10,000 frames on a real Prefect server, as fast as they come: its recorder keeps up."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.campaigns.tally import LONG, Tally
from tests.conftest import BIN, clean_environment, serving
from tests.support.patience import WAIT_S
from tests.support.postgres import Postgres, database_for
from tests.support.prefect_server import ask, free_port, server_environment, serving_prefect

FRAMES = 10_000
DATABASE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.skipif(not LONG, reason="takes a quarter of an hour: make campaign"),
]


@pytest.fixture(params=["sqlite", "postgres"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Return the environment of a Prefect server and its clients, on each kind of database."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    variables = server_environment(clean_environment(PATH=path, PYTHONPATH=str(ROOT)), tmp_path, port=free_port())
    if request.param == "postgres":
        postgres: Postgres = request.getfixturevalue("postgres")
        url = database_for(tmp_path, postgres.port).replace("+psycopg", "+asyncpg")
        variables[DATABASE] = url
    return variables


def test_no_message_of_ten_thousand_frames_is_dropped(
    open_tally: Callable[[str], Tally], environment: dict[str, str], tmp_path: Path
) -> None:
    """Each task run is recorded, and none is left unfinished."""
    tally = open_tally(f"{FRAMES} frames on {'Postgres' if DATABASE in environment else 'SQLite'}")
    tally.trials = FRAMES
    board = tmp_path / "long.yaml"
    prompts = "".join(f"  - view {number}\n" for number in range(FRAMES))
    board.write_text(
        "output: {fps: 24, size: 64x64}\n"
        f"defaults: {{aspect: 1:1, steps: 1, hold: 1f}}\nmax_frames: {FRAMES}\nprompts:\n{prompts}"
    )
    log = tmp_path / "server.log"

    with serving_prefect(environment, log) as api, serving(rate_limit=1_000_000) as url:
        began = time.monotonic()
        settings = {"ENDPOINT": url, "MODEL": "sketch", "RATE_LIMIT": "1000000", "OUTPUT": str(tmp_path / "outputs")}
        subprocess.run(
            [sys.executable, "-m", "pipelines", "render", str(board), "--quiet"],
            env={**environment, **{f"STORYREEL_{name}": value for name, value in settings.items()}},
            check=True,
            timeout=10 * WAIT_S,
        )
        rendered_s = time.monotonic() - began
        states = states_at_rest(api)
        tally.remarks = f"rendered in {rendered_s:.0f} s, recorded {time.monotonic() - began - rendered_s:.0f} s later"

    assert states == {"COMPLETED": 1000}
    assert "queue is full" not in log.read_text()


def states_at_rest(api: str) -> dict[str, int]:
    """Return how many task runs there are in each type of state, once all are in a final one, or nothing changes."""
    deadline = time.monotonic() + 2 * WAIT_S
    while time.monotonic() < deadline:
        counts = dict(counted(api))
        if set(counts) == {"COMPLETED"} and counts["COMPLETED"] == 1000:
            break
        time.sleep(2)
    return counts


def counted(api: str) -> Iterator[tuple[str, int]]:
    for kind in ("SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "CRASHED"):
        if count := ask(f"{api}/task_runs/count", {"task_runs": {"state": {"type": {"any_": [kind]}}}}):
            yield kind, count
