"""Runs the cutting room for a person until Ctrl-C: a loopback port, a token of this start, a browser."""

import contextlib
import logging
import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from pipelines.common.errors import UsageError
from pipelines.common.settings import Settings
from pipelines.review.app import addresses_in, build_app
from pipelines.review.security import OriginGuard
from pipelines.review.service import ReviewService

_HOST = "127.0.0.1"
_TOKEN_BYTES = 24
_DRAIN_S = 2


@dataclass(frozen=True, slots=True)
class ReviewServer:
    """A cutting room, ready to be served; `address` is its page's, token and all."""

    server: uvicorn.Server
    listener: socket.socket
    address: str

    def serve(self) -> None:
        """Serve until Ctrl-C or SIGTERM, or until the server is told to exit."""
        with contextlib.suppress(KeyboardInterrupt):
            self.server.run(sockets=[self.listener])


@contextlib.contextmanager
def open_review(board: Path, settings: Settings, *, port: int) -> Iterator[ReviewServer]:
    """Lay a storyboard on the table, and listen for its page.

    Args:
        board: the storyboard's file.
        settings: where everything is, and of whom to buy.
        port: on loopback; 0 for a free one.

    Raises:
        UsageError: the storyboard is wrong, the books cannot be opened, or the port is taken.
    """
    room = ReviewService(board, settings, addresses_in(settings.output))
    with _listen(port) as listener:
        number = listener.getsockname()[1]
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        hosts = {f"{name}:{number}" for name in (_HOST, "localhost")}
        # A client that goes away in the middle of a film is no error worth a traceback.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
        server = uvicorn.Server(
            uvicorn.Config(
                OriginGuard(build_app(room, settings.output), token=token, hosts=hosts),
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=_DRAIN_S,
                lifespan="on",
            )
        )
        yield ReviewServer(server, listener, f"http://{_HOST}:{number}/{token}/")


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((_HOST, port))
    except OSError as exc:
        raise UsageError(f"--port {port}: cannot be listened on: {exc.strerror}; choose another, or 0") from exc
