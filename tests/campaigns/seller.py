"""The FLUX API in this process, with the seller's own record: when each request came, which prompts were billed."""

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.server import running
from pipelines.server.app import build_app
from pipelines.server.config import EngineKind, ServerConfig
from pipelines.server.connections import Connections
from tests.support.accounts import stats
from tests.support.patience import WAIT_S


@dataclass
class Seller:
    """The served API from the outside.

    Attributes:
        url: its address.
        arrivals: when each request came, in seconds since 1970, as the ledger counts.
        images: how often each prompt was billed.
    """

    url: str = ""
    arrivals: list[float] = field(default_factory=list)
    images: Counter[str] = field(default_factory=Counter)

    def stats(self) -> dict[str, Any]:
        """Return the API's own account."""
        return stats(self.url)

    def settled_stats(self) -> dict[str, Any]:
        """Return the account once every request is answered, those of dead clients too: they are billed all the same.

        Requests of a process that has just been killed may still lie in a socket, so the account must stand still.
        """
        deadline = time.monotonic() + WAIT_S
        before: dict[str, Any] = {}
        now = self.stats()
        while now != before or sum(now["by_status"].values()) < now["requests"]:
            assert time.monotonic() < deadline, f"the API is still at work: {now}"
            time.sleep(0.1)
            before, now = now, self.stats()
        return now


@contextlib.contextmanager
def selling(config: ServerConfig) -> Iterator[Seller]:
    """Serve the API, recorded, for as long as the block lasts."""
    seller = Seller()

    def build_recorded(config: ServerConfig, connections: Connections) -> ASGIApp:
        return _Recorder(build_app(config, connections), seller)

    # The API states how much it billed, not for what; only these tests need to know that.
    recorded = mock.patch.object(running, "build_app", build_recorded)
    with recorded, running.serve_in_thread(replace(config, engine=EngineKind.PLAIN)) as url:
        seller.url = url
        yield seller


def client_environment(seller: Seller, database_url: str, folder: Path, *, rate_limit: int) -> dict[str, str]:
    """Return the environment of a client of this API."""
    return {
        "STORYREEL_ENDPOINT": seller.url,
        "STORYREEL_MODEL": "sketch",
        "STORYREEL_DATABASE_URL": database_url,
        "STORYREEL_OUTPUT": str(folder / "outputs"),
        "STORYREEL_RATE_LIMIT": str(rate_limit),
    }


class _Recorder:
    def __init__(self, app: ASGIApp, seller: Seller) -> None:
        self._app = app
        self._seller = seller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, and note it."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        self._seller.arrivals.append(time.time())
        body = bytearray()
        await self._app(scope, _noting(receive, body), self._counting(send, body))

    def _counting(self, send: Send, body: bytearray) -> Send:
        async def count(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                self._seller.images[json.loads(body)["prompt"]] += 1
            await send(message)

        return count


def _noting(receive: Receive, body: bytearray) -> Callable[[], Any]:
    async def note() -> Message:
        message = await receive()
        body.extend(message.get("body", b""))
        return message

    return note
