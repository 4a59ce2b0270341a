"""A seller of images: what every one of them has, whatever it speaks."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

TOKEN = "a-token-of-the-account"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request.

    Attributes:
        number: counted from 1.
        method: GET or POST.
        path: with its query.
        headers: a mapping that ignores case.
        body: the body, as it came.
    """

    number: int
    method: str
    path: str
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        """The body, if it is JSON; an empty object for anything else."""
        try:
            return json.loads(self.body)
        except ValueError:
            return {}


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer.

    Attributes:
        status: HTTP's.
        body: as it is sent.
        headers: besides the length.
        cost_usd: what is billed for it; None for an answer that is free.
        sent: how much of the body is sent before the connection is closed; None for all.
        delay_s: how long it takes, in seconds.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cost_usd: Decimal | None = None
    sent: int | None = None
    delay_s: float = 0

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def json_reply(status: int, body: object, headers: dict[str, str] | None = None, **more: Any) -> Reply:
    """Return an answer in JSON."""
    content = json.dumps(body).encode()
    return Reply(status, content, {"Content-Type": "application/json", **(headers or {})}, **more)


def colour_of(asked: Asked) -> tuple[int, int, int]:
    """Return the colour of the picture for a request: far enough from the next one's to be another in a JPEG."""
    return asked.number * 67 % 256, asked.number * 29 % 256, 160


# Makes another answer of the one that is due to a request: a fault.
Fault = Callable[[Asked, Reply], Reply]


def none(_: Asked, due: Reply) -> Reply:
    """Answer as it is due."""
    return due


def on(numbers: dict[int, Fault]) -> Fault:
    """Return the fault that befalls requests by their numbers, and no other."""
    return lambda asked, due: numbers.get(asked.number, none)(asked, due)


def instead(reply: Reply) -> Fault:
    """Return a fault that answers so, and bills nothing but what that answer costs."""
    return lambda _, due: reply


def broken_off(_: Asked, due: Reply) -> Reply:
    """Send half of what is due, all of which is billed."""
    return replace(due, sent=len(due.body) // 2)


class Shop(Protocol):
    """What a seller answers with."""

    def reply(self, asked: Asked) -> Reply:
        """Return the answer that is due, and its price."""
        ...

    def unauthorized(self) -> Reply:
        """Return the answer to a token that is not known."""
        ...


@dataclass
class Seller:
    """A seller that is being served.

    Attributes:
        shop: what it answers with.
        url: where it is served; its clients know what comes after.
        tokens: those of the account; all are one account's.
        fault: what befalls its answers.
        asked: the requests, in the order of their coming.
        book: what was billed for each image, in US dollars.
    """

    shop: Shop
    url: str
    tokens: set[str] = field(default_factory=lambda: {TOKEN})
    fault: Fault = none
    asked: list[Asked] = field(default_factory=list)
    book: list[Decimal] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def billed_usd(self) -> Decimal:
        """What was billed in all."""
        return sum(self.book, Decimal(0))

    def answer(self, method: str, path: str, headers: Message, body: bytes) -> Reply:
        """Return the answer to a request, and enter it in the book."""
        with self._lock:
            asked = Asked(len(self.asked) + 1, method, path, headers, body)
            self.asked.append(asked)
            known = headers.get("Authorization", "").removeprefix("Bearer ") in self.tokens
            reply = self.fault(asked, self.shop.reply(asked) if known else self.shop.unauthorized())
            if reply.cost_usd is not None:
                self.book.append(reply.cost_usd)
        time.sleep(reply.delay_s)
        return reply


@contextlib.contextmanager
def serving_seller(shop: Shop, *, fault: Fault = none) -> Iterator[Seller]:
    """Serve a seller on loopback for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def do_GET(self) -> None:
            self._answer(b"")

        def _answer(self, body: bytes) -> None:
            reply = seller.answer(self.command, self.path, self.headers, body)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            # A client may have had enough by now.
            with contextlib.suppress(OSError):
                self.wfile.write(reply.body[: reply.sent])
            self.close_connection = self.close_connection or reply.sent is not None

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        seller = Seller(shop, f"http://127.0.0.1:{server.server_address[1]}", fault=fault)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield seller
        finally:
            server.shutdown()
            thread.join()
