"""Several lanes on one machine: the rate of two over that of one."""

import contextlib
import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from benchmarks.measure import BIN, Cost, Row, prefect_server, ratio_row, run
from benchmarks.rendering import write_board
from tests.campaigns.metered_seller import metered_seller
from tests.support.postgres import Postgres, database_for, find_binaries, serving_postgres

# Two cores, which Prefect's server and Postgres want too, serve two lanes of it.
_LIMIT_A_MINUTE = 240
_FRAMES = 160
_LATENCY_S = 0.3
# The part of the frames, in the order of their coming, over which a rate is taken.
_MIDDLE = (0.25, 0.75)


def rows(folder: Path) -> Iterator[Row]:
    """Measure in a folder that holds nothing else; on SQLite where Postgres is not installed."""
    with contextlib.ExitStack() as stack:
        env = stack.enter_context(prefect_server(folder / "prefect-of-lanes"))
        binaries = find_binaries()
        server = stack.enter_context(serving_postgres(binaries, durable=True)) if binaries else None
        alone, together = (_rate(folder / f"lanes-{len(lanes)}", env, server, lanes) for lanes in ("a", "ab"))
    name, against = f"rate of two lanes at {_LIMIT_A_MINUTE}/min each, over one", f"one lane ({alone:.1f}/s)"
    detail = f"{together:.1f}/s, on the same cores"
    yield ratio_row(name, together / alone, against, "1.9", detail=detail, higher_is_better=True)


def _rate(at: Path, env: Mapping[str, str], server: Postgres | None, lanes: Sequence[str]) -> float:
    """Render one storyboard in these lanes at once; return frames a second."""
    at.mkdir()
    board = write_board(at / "shared.yaml", _FRAMES)
    database = database_for(at, server.port) if server else f"sqlite:///{at}/ledger.db"
    with metered_seller(latency_s=_LATENCY_S) as seller, ThreadPoolExecutor(len(lanes)) as threads:
        asking = {**env, **client_settings(seller.url, database, rate_limit=_LIMIT_A_MINUTE)}
        started = [threads.submit(render, board, {**asking, "STORYREEL_LANE": lane}) for lane in lanes]
        for each in started:
            each.result()
    return _middle_rate(at / "outputs/shared/ledger.csv")


def client_settings(endpoint: str, database: str, *, rate_limit: int) -> dict[str, str]:
    """Return the settings of a render."""
    return {
        "STORYREEL_ENDPOINT": endpoint,
        "STORYREEL_DATABASE_URL": database,
        "STORYREEL_RATE_LIMIT": str(rate_limit),
        # The board's folder is where the outputs go; the product is imported from here.
        "PYTHONPATH": str(Path.cwd()),
    }


def render(board: Path, env: Mapping[str, str]) -> Cost:
    """Render a storyboard beside its file; the output is JSON."""
    command = [str(BIN / "python"), "-m", "pipelines", "render", board.name, "--json"]
    return run(command, cwd=board.parent, env={**os.environ, **env})


def _middle_rate(ledger: Path) -> float:
    """Return frames a second, without the first and the last to come."""
    with ledger.open(newline="") as file:
        kept = [row["finished_at"] for row in csv.DictReader(file) if row["status"] == "ok"]
    moments = sorted(datetime.fromisoformat(moment).timestamp() for moment in kept)
    first, last = (round(share * len(moments)) for share in _MIDDLE)
    return (last - first) / (moments[last] - moments[first])
