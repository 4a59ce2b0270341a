"""`serve --engine upstream`: the processor time that it adds to a request, beside the same requests sent straight."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from benchmarks.assembling import paint_sketches
from benchmarks.measure import Kind, Row, gallery_server, get_json, own_processor_s, upstream_server

_PAINTED = 24
_REQUESTS = 400
# Until connections stand, and all that is imported late is there.
_WARM_UP = 40
_CLIENTS = 8


def rows(folder: Path) -> Iterator[Row]:
    """Measure in a folder that holds nothing else."""
    painted = folder / "painted"
    painted.mkdir()
    paint_sketches(painted, _PAINTED)
    with gallery_server(painted, (0.0, 0.0)) as url, upstream_server(url, folder / "book.db") as (passing_url, server):
        asking_s = _processor_s(own_processor_s, url)
        added_s = _processor_s(lambda: sum(server.cpu_times()[:2]), passing_url)
        book = get_json(f"{passing_url}/_stats")
    if book["by_status"] != {"200": _WARM_UP + _REQUESTS}:
        raise SystemExit(f"some requests were not passed on: {book}")
    against = f"to ask straight takes the client {1000 * asking_s:.1f} ms"
    yield Row("processor time that an upstream adds a request", 1000 * added_s, "ms", Kind.TIME, against, "5 ms")


def _processor_s(taken_s: Callable[[], float], url: str) -> float:
    """Return the processor time that something took for each of many requests, in seconds."""
    with httpx.Client(timeout=60) as client, ThreadPoolExecutor(_CLIENTS) as pool:

        def ask(number: int) -> None:
            body = {"prompt": f"a harbor, view {number}", "aspectRatio": "16:9"}
            client.post(url, json=body).raise_for_status()

        list(pool.map(ask, range(_WARM_UP)))
        before_s = taken_s()
        list(pool.map(ask, range(_REQUESTS)))
        return (taken_s() - before_s) / _REQUESTS
