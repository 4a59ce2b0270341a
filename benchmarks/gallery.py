"""An image API that paints nothing: its pictures were painted before, so that no measurement has that work in it.

It speaks the dialect that it is addressed in.
"""

import asyncio
import base64
import mimetypes
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipelines.endpoints.dialects.flux import headers_of, image_bill, parse_request
from pipelines.endpoints.prices import price_list
from pipelines.server.engines.sketch import SKETCH_MODEL
from pipelines.server.stats import RateLimiter, Statistics

# What follows the server's address in that of each seller.
PATHS = {"flux": "", "cloudflare": "/client/v4/accounts/bench", "openai": "/v1"}

# A square in one step.
_NEURONS = {"cf-ai-neurons": "28.80"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture, and what an answer in JSON holds of it."""

    data: bytes
    media_type: str
    base64: str


def read_picture(path: Path) -> Picture:
    """Return the picture of a file."""
    data = path.read_bytes()
    return Picture(data, mimetypes.guess_type(path)[0] or "", base64.b64encode(data).decode())


def build_gallery(pictures: Sequence[Picture], latency_s: tuple[float, float], rate_limit: int) -> Starlette:
    """Return the application; pictures are handed out in turn, whatever is asked for.

    Args:
        pictures: those that there are.
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
        picture = pictures[next(numbers) % len(pictures)]
        await asyncio.sleep(rng.uniform(*latency_s))
        if request.url.path.startswith(PATHS["cloudflare"]):
            return JSONResponse({"result": {"image": picture.base64}, "success": True}, headers=_NEURONS)
        if request.url.path.startswith(PATHS["openai"]):
            return JSONResponse({"created": 1, "data": [{"b64_json": picture.base64}]})
        asked = parse_request(await request.json())
        size = asked.aspect.size
        bill = headers_of(image_bill(rates.price(size, steps=asked.steps), size, steps=asked.steps, model=SKETCH_MODEL))
        return Response(picture.data, headers=bill, media_type=picture.media_type)

    async def stats(_: Request) -> Response:
        return JSONResponse(statistics.as_json())

    return Starlette(routes=[Route("/_stats", stats), Route("/{path:path}", answer, methods=["POST"])])


if __name__ == "__main__":
    port, folder, fastest_s, slowest_s, limit = sys.argv[1:]
    painted = [read_picture(path) for path in sorted(Path(folder).iterdir())]
    app = build_gallery(painted, (float(fastest_s), float(slowest_s)), int(limit))
    uvicorn.run(app, port=int(port), log_config=None)
