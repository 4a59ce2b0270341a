"""An image API in this process that speaks any dialect, with the seller's own book: what came when, what was billed."""

import contextlib
import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from email.message import Message as Headers
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.server.app import build_app
from pipelines.server.config import EngineKind, ServerConfig
from pipelines.server.connections import Connections
from pipelines.server.running import serve_in_thread
from tests.campaigns.book import Book, Sale
from tests.campaigns.meter import MINUTE_S, SOLD
from tests.campaigns.ways import FLUX, FormFault, Made, Way
from tests.support.patience import WAIT_S
from tests.support.sellers.seller import Asked, Reply

FREE = "free"


@dataclass
class Seller:
    """The served API from the outside.

    Attributes:
        way: the dialect that it speaks.
        url: its address, as clients are given it.
        arrivals: when each request was here whole, in seconds since 1970, as the ledger counts.
        book: the requests that are dealt with, in the order in which they were.
    """

    way: Way = FLUX
    url: str = ""
    arrivals: list[float] = field(default_factory=list)
    book: list[Sale] = field(default_factory=list)

    @property
    def sales(self) -> list[Sale]:
        """The requests that are dealt with, in the order of their arrival."""
        return sorted(self.book, key=lambda sale: sale.at_s)

    @property
    def images(self) -> Counter[str]:
        """How often each prompt was billed."""
        return Counter(sale.prompt for sale in self.sales if sale.kind == SOLD)

    def stats(self) -> dict[str, Any]:
        """Return the sums of the book."""
        book = Book(self.sales)
        return {
            "requests": len(self.arrivals),
            "images": sum(self.images.values()),
            "billed_usd": str(book.billed_usd),
            "max_requests_in_any_60s": book.fullest(MINUTE_S),
        }

    def settle(self) -> None:
        """Wait until every request is dealt with, those of dead clients too: they are billed all the same.

        Requests of a process that has just been killed may still lie in a socket, so the book must stand still.
        """
        deadline, before = time.monotonic() + WAIT_S, -1
        while len(self.book) != before or before < len(self.arrivals):
            assert time.monotonic() < deadline, f"{len(self.arrivals)} requests, {before} dealt with"
            before = len(self.book)
            time.sleep(0.1)


@contextlib.contextmanager
def selling(
    config: ServerConfig, *, way: Way = FLUX, form_faults: Mapping[FormFault, float] | None = None
) -> Iterator[Seller]:
    """Serve the API in a dialect for as long as the block lasts.

    Args:
        config: how the API behind it answers.
        way: the dialect.
        form_faults: the shares of requests that go wrong in form, before the API sees them.
    """
    seller, draw = Seller(way), FormFaultDraw(form_faults or {}, config.seed)

    def build(config: ServerConfig, connections: Connections) -> ASGIApp:
        return _Speaker(build_app(config, connections), seller, draw)

    with serve_in_thread(replace(config, engine=EngineKind.PLAIN), build=build) as address:
        seller.url = f"{address}{way.path}"
        yield seller


def client_environment(seller: Seller, database_url: str, folder: Path, *, rate_limit: int) -> dict[str, str]:
    """Return the environment of a client of this API."""
    return {
        "STORYREEL_ENDPOINT": seller.url,
        "STORYREEL_MODEL": seller.way.model,
        "STORYREEL_DATABASE_URL": database_url,
        "STORYREEL_OUTPUT": str(folder / "outputs"),
        "STORYREEL_RATE_LIMIT": str(rate_limit),
    }


class FormFaultDraw:
    """A source of form faults for one request after another; the same seed yields the same ones."""

    def __init__(self, shares: Mapping[FormFault, float], seed: int) -> None:
        self._kinds: tuple[FormFault | None, ...] = (*shares, None)
        self._shares = (*shares.values(), max(0.0, 1 - sum(shares.values())))
        self._rng = random.Random(f"form faults {seed}")

    def draw(self) -> FormFault | None:
        """Return the form fault of the next request, or None."""
        return self._rng.choices(self._kinds, self._shares)[0]


class _Speaker:
    """ASGI middleware that hears and answers in the seller's dialect, and keeps its book."""

    def __init__(self, app: ASGIApp, seller: Seller, draw: FormFaultDraw) -> None:
        self._app = app
        self._seller = seller
        self._draw = draw

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; pass on what is none for an image."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body, at_s = await _body(receive), time.time()
        # Of a client that died while it asked.
        if body is None:
            return
        self._seller.arrivals.append(at_s)
        asked = Asked(len(self._seller.arrivals), "POST", scope["path"], _headers_of(scope), body)
        due = self._seller.way.due(asked)
        reply = await self._reply(due, asked, scope, receive)
        # Without an answer, the image is lost once it is billed.
        self._enter(asked.json["prompt"], (reply or due).cost_usd, at_s)
        if reply:
            await _send(reply, send)

    async def _reply(self, due: Reply, asked: Asked, scope: Scope, receive: Receive) -> Reply | None:
        fault = self._draw.draw()
        if fault:
            return self._seller.way.misformed(due, fault)
        if due.status != 200:
            return due
        made = await self._make(asked.json, scope, receive)
        return self._seller.way.reply(due, made) if made else None

    def _enter(self, prompt: str, cost_usd: Decimal | None, at_s: float) -> None:
        kind = FREE if cost_usd is None else SOLD
        self._seller.book.append(Sale(prompt, kind, cost_usd or Decimal(0), at_s))

    async def _make(self, fields: Mapping[str, Any], scope: Scope, receive: Receive) -> Made | None:
        """Return what the API makes of these fields; None where it leaves them unanswered."""
        asked = {"prompt": fields["prompt"], "steps": fields.get("steps", 1), "aspectRatio": "1:1"}
        first: list[Message] = [{"type": "http.request", "body": json.dumps(asked).encode(), "more_body": False}]
        answered: list[Message] = []

        async def hear() -> Message:
            return first.pop() if first else await receive()

        async def note(message: Message) -> None:
            answered.append(message)

        await self._app({**scope, "path": "/", "raw_path": b"/"}, hear, note)
        if not answered:
            return None
        start, *bodies = answered
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        body = b"".join(message.get("body", b"") for message in bodies)
        return Made(start["status"], headers, body, whole=not bodies[-1].get("more_body", False))


def _headers_of(scope: Scope) -> Headers:
    headers = Headers()
    for name, value in scope["headers"]:
        headers[name.decode("latin-1")] = value.decode("latin-1")
    return headers


async def _body(receive: Receive) -> bytes | None:
    """Return the body of a request; None where its client is gone before that is here whole."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body, more = body + message["body"], message["more_body"]
    return body


async def _send(reply: Reply, send: Send) -> None:
    """Send an answer, or as much of it as is sent before the connection ends."""
    headers = {**reply.headers, "Content-Length": str(len(reply.body))}
    named = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": named})
    # More is announced than is sent, and then the call is over: the server can only close the connection.
    await send({"type": "http.response.body", "body": reply.body[: reply.sent], "more_body": reply.sent is not None})
