"""An image API that limits each client's address by itself, and keeps a book; for a process of its own.

    python -m tests.campaigns.meter HOST PORT LIMIT LATENCY_S

It has no line of the client's code. A limit of 0 is none; latency is in seconds. `GET /_book` tells what it did. Its
pictures cost next to nothing: each size is painted once, and each copy says which one it is.
"""

import asyncio
import json
import math
import sys
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from itertools import count
from typing import Any

import uvicorn

from tests.campaigns.answers import Asked, bill, png
from tests.campaigns.book import SIZES, Book, Sale, price_usd, tiles_of
from tests.campaigns.raw_server import Header

MINUTE_S = 60
SOLD, RATE_LIMITED = "sold", "rate_limited"


class Meter:
    """The application: an image for whoever is within its own limit."""

    def __init__(self, limit: int, latency_s: float) -> None:
        self._limit = limit
        self._latency_s = latency_s
        self._book = Book()
        self._numbers = count()
        self._taken: dict[str, deque[float]] = defaultdict(deque)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        assert scope["type"] == "http"
        if scope["method"] == "GET":
            sales = [{**asdict(sale), "billed_usd": str(sale.billed_usd)} for sale in self._book.sales]
            await _send(send, 200, [("Content-Type", "application/json")], json.dumps(sales).encode())
            return
        fields = json.loads(await _body(receive))
        asked = Asked(fields["prompt"], fields["steps"], fields["aspectRatio"], next(self._numbers))
        await self._serve(asked, scope["client"][0], send)

    async def _serve(self, asked: Asked, client: str, send: Any) -> None:
        now = time.time()
        wait_s = self._wait_s(client, now)
        if wait_s:
            self._book.enter(Sale(asked.prompt, RATE_LIMITED, Decimal(0), now, client))
            headers = [("Content-Type", "application/json"), ("Retry-After", str(wait_s))]
            await _send(send, 429, headers, b'{"error": "Rate limited"}')
            return
        size = SIZES[asked.aspect]
        # Billed as it is taken on: a client that has gone by then pays all the same.
        self._book.enter(Sale(asked.prompt, SOLD, price_usd(tiles_of(size), asked.steps), now, client))
        await asyncio.sleep(self._latency_s)
        await _send(send, 200, [("Content-Type", "image/png"), *bill(asked)], png(f"{asked.number}", size))

    def _wait_s(self, client: str, now: float) -> int:
        """Take a place in the client's minute; or return in how many seconds there is one again."""
        taken = self._taken[client]
        while taken and taken[0] <= now - MINUTE_S:
            taken.popleft()
        if self._limit and len(taken) >= self._limit:
            return max(1, math.ceil(taken[0] + MINUTE_S - now))
        taken.append(now)
        return 0


async def _body(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _send(send: Any, status: int, headers: Sequence[Header], body: bytes) -> None:
    whole = (*headers, ("Content-Length", str(len(body))))
    raw = [(name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in whole]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    host, port, limit, latency_s = sys.argv[1:]
    meter = Meter(int(limit), float(latency_s))
    uvicorn.run(meter, host=host, port=int(port), log_config=None, lifespan="off", timeout_graceful_shutdown=1)
