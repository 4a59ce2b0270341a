"""An image API of our own making, one function long: whatever an endpoint may answer, over real sockets."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: its status, its body, and its headers besides the length."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def refusal(status: int, error: str, **headers: str) -> Answer:
    """Return an error in the API's own form."""
    return Answer(status, json.dumps({"error": error}).encode(), headers)


# Answers a request's body; the number counts requests from 1.
Answering = Callable[[dict[str, Any], int], Answer]


@dataclass
class Endpoint:
    """An endpoint that is being served.

    Attributes:
        url: its address.
        requests: the bodies that it was asked with, in the order of their coming.
        headers: those that came with each of them.
    """

    url: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Message] = field(default_factory=list)


@contextlib.contextmanager
def served(answering: Answering) -> Iterator[Endpoint]:
    """Serve an endpoint on loopback for as long as the block lasts."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                endpoint.requests.append(body)
                endpoint.headers.append(self.headers)
                number = len(endpoint.requests)
            answer = answering(body, number)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            # A client may have had enough by now.
            with contextlib.suppress(OSError):
                self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        endpoint = Endpoint(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield endpoint
        finally:
            server.shutdown()
            thread.join()
