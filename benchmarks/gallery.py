"""A FLUX API that paints nothing: its pictures were painted before, so that no measurement has that work in it."""

import asyncio
import random
import sys
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipelines.endpoints.dialects.flux import bill_headers, parse_request
from pipelines.endpoints.prices import price_list
from pipelines.server.engines.sketch import SKETCH_MODEL
from pipelines.server.stats import RateLimiter, Statistics


def build_gallery(pictures: Sequence[bytes], latency_s: tuple[float, float], rate_limit: int) -> Starlette:
    """Return the application; pictures are handed out in turn, whatever is asked for.

    Args:
        pictures: PNGs.
        latency_s: how long an answer takes, at least and at most.
        rate_limit: requests in any 60 s; 0 for no limit.
    """
    numbers, rng, rates = count(), random.Random(0), price_list("flux").model(SKETCH_MODEL).rates
    limiter, statistics = RateLimiter(rate_limit, time.monotonic), Statistics(time.monotonic)

    async def answer(request: Request) -> Response:
        statistics.count_request()
        refused = limiter.admit("anybody")
        response = JSONResponse({"error": "Rate limited"}, 429) if refused else await show(request)
        statistics.count_answer(response.status_code)
        return response

    async def show(request: Request) -> Response:
        asked = parse_request(await request.json())
        picture = pictures[next(numbers) % len(pictures)]
        await asyncio.sleep(rng.uniform(*latency_s))
        size = asked.aspect.size
        bill = bill_headers(rates.price(size, steps=asked.steps), size, steps=asked.steps, model=SKETCH_MODEL)
        return Response(picture, headers=bill, media_type="image/png")

    async def stats(_: Request) -> Response:
        return JSONResponse(statistics.as_json())

    return Starlette(routes=[Route("/_stats", stats), Route("/{path:path}", answer, methods=["POST"])])


if __name__ == "__main__":
    port, folder, fastest_s, slowest_s, limit = sys.argv[1:]
    painted = [path.read_bytes() for path in sorted(Path(folder).glob("*.png"))]
    app = build_gallery(painted, (float(fastest_s), float(slowest_s)), int(limit))
    uvicorn.run(app, port=int(port), log_config=None)
