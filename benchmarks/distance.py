"""A database that is far away: round trips a frame, and what a few milliseconds for each of them cost."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.lanes import client_settings, render
from benchmarks.measure import Kind, Row, prefect_server, ratio_row
from benchmarks.rendering import write_board
from tests.campaigns.metered_seller import metered_seller
from tests.support.postgres import Postgres, database_for, find_binaries, serving_postgres
from tests.support.slow_network import SlowNetwork, slow_network

# flux-api.md's.
_LIMIT_A_MINUTE = 720
_FRAMES = 1_000
# Between two regions of one continent.
_ROUND_TRIP_S = 0.015


def rows(folder: Path) -> Iterator[Row]:
    """Measure in a folder that holds nothing else; nothing where Postgres is not installed."""
    binaries = find_binaries()
    if binaries is None:
        return
    with contextlib.ExitStack() as stack:
        env = stack.enter_context(prefect_server(folder / "prefect-of-distance"))
        server = stack.enter_context(serving_postgres(binaries, durable=True))
        near_s, near = _rendered(folder / "near", env, server, round_trip_s=0)
        beside = f"{_FRAMES:,} frames at {_LIMIT_A_MINUTE}/min"
        yield Row("round trips to the database a frame", near.round_trips / _FRAMES, "a frame", Kind.RATIO, beside, "8")
        far_s, _ = _rendered(folder / "far", env, server, round_trip_s=_ROUND_TRIP_S)
    name = f"{beside}, {1000 * _ROUND_TRIP_S:.0f} ms from the database: over none"
    yield ratio_row(name, far_s / near_s, f"{near_s:.0f} s", "1.03", detail=f"{far_s:.0f} s")


def _rendered(at: Path, env: Mapping[str, str], server: Postgres, *, round_trip_s: float) -> tuple[float, SlowNetwork]:
    """Render through a network; return how long it took, in seconds, and the network."""
    at.mkdir()
    board = write_board(at / "far.yaml", _FRAMES)
    with slow_network(server.port, round_trip_s=round_trip_s) as network, metered_seller() as seller:
        database = network.url(database_for(at, server.port))
        cost = render(board, {**env, **client_settings(seller.url, database, rate_limit=_LIMIT_A_MINUTE)})
    return float(json.loads(cost.stdout)["elapsed_s"]), network
