"""A ledger on a server far away: few round trips a take, and no lock that lanes share is held during one."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from pipelines.common.settings import Settings
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import Permit, Run
from pipelines.run.local import run_locally
from pipelines.run.result import RunResult
from pipelines.server.config import EngineKind, ServerConfig
from pipelines.server.running import serve_in_thread
from pipelines.storyboard.loader import load_storyboard
from tests.support.builders import take_spec
from tests.support.ledger import attempt_request
from tests.support.postgres import Postgres, database_for
from tests.support.slow_network import SlowNetwork, slow_network

# Fast enough that the work between the takes, which goes by the second, hardly counts.
RATE_LIMIT = 3000
# So long that a machine which is busy with other things still waits for the network most of the time.
ROUND_TRIP_S = 0.05
SECONDS = 3.0


def rendered(folder: Path, url: str, endpoint: str, *, frames: int) -> RunResult:
    """Render so many frames with the ledger at an address."""
    folder.mkdir()
    board = folder / "pets.yaml"
    prompts = "".join(f"- cat {frames} {n}\n" for n in range(frames))
    board.write_text(f"output: {{size: 64x64}}\ndefaults: {{hold: 0.1s}}\nprompts:\n{prompts}")
    settings = Settings(
        output=folder / "outputs", endpoint=endpoint, model="sketch", rate_limit=RATE_LIMIT, database_url=url
    )
    return asyncio.run(run_locally(load_storyboard(board), settings, handle_signals=False))


def test_a_take_is_eight_round_trips_at_most(postgres: Postgres, tmp_path: Path) -> None:
    """From its claim to the commit that keeps it; what a run does once, and by the second, is left out."""
    database = database_for(tmp_path, postgres.port)
    counts: list[int] = []
    with (
        serve_in_thread(ServerConfig(EngineKind.PLAIN, rate_limit=0)) as endpoint,
        slow_network(postgres.port) as network,
    ):
        for frames in (10, 110):
            before = network.round_trips
            result = rendered(tmp_path / str(frames), network.url(database), endpoint, frames=frames)
            counts.append(network.round_trips - before)
            assert result.generated == frames

    few, many = counts
    assert (many - few) / 100 <= 8


def admissions(network: SlowNetwork, database: str, lane: str) -> int:
    """Return how many attempts one lane gets admitted in a time, one after another, without a limit that counts."""
    admitted = 0
    run = Run(f"{lane}-run", "harbor", "http://flux.test", "flux-1-schnell", simulated=False, lane=lane)
    with Ledger.open(network.url(database)) as ledger:
        ledger.start_run(run)
        gate = ledger.gate(run, rate_limit=1_000_000)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            request = attempt_request(take_spec(admitted, prompt=f"{lane} {admitted}"))
            admitted += isinstance(gate.admit(request), Permit)
    return admitted


def test_lanes_do_not_wait_for_each_other(postgres: Postgres, tmp_path: Path) -> None:
    """They add to the same sums; were these locked during a round trip, four lanes would admit no more than two."""
    database = database_for(tmp_path, postgres.port)
    with slow_network(postgres.port, round_trip_s=ROUND_TRIP_S) as network:
        alone = admissions(network, database, "alone")
        with ThreadPoolExecutor(4) as lanes:
            together = sum(lanes.map(partial(admissions, network, database), "abcd"))

    assert together / alone > 2.5
