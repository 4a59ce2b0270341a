"""Serves the review app until Ctrl-C: on a loopback port, under an address with a token of this start."""

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn

from pipelines.common.errors import InterruptedRunError
from pipelines.common.listening import listen
from pipelines.common.settings import Settings
from pipelines.review.app import build_app, served_addresses
from pipelines.review.jobs import ShowStopping
from pipelines.review.opening import OpeningFile
from pipelines.review.security import OriginGuard
from pipelines.review.service import ReviewService
from pipelines.run.progress import Progress

_HOST = "127.0.0.1"
_TOKEN_BYTES = 24
# Open pages listen for events without end; they are not waited for longer than that.
_SHUTDOWN_TIMEOUT_S = 2


def _show_nothing(_: Progress) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


@dataclass(frozen=True, slots=True)
class ReviewServer:
    """The review app of one storyboard, ready to be served.

    Attributes:
        server: serves it.
        listener: the port that it listens on.
        address: the URL of its page, with the token.
        opening: leads a browser there; it is removed as soon as one has come, or as the review ends.
    """

    server: uvicorn.Server
    service: ReviewService
    listener: socket.socket
    address: str
    opening: OpeningFile

    def serve(self) -> InterruptedRunError | None:
        """Serve until Ctrl-C or SIGTERM, or until the server's `should_exit` is set.

        Returns:
            How the run ended that was at work then; None without one.
        """
        with contextlib.suppress(KeyboardInterrupt):
            self.server.run(sockets=[self.listener])
        return self.service.interruption


class _SignalledServer(uvicorn.Server):
    """A server that hands on signals at once: the first stops the service's run, the second gives up its answers."""

    def __init__(self, config: uvicorn.Config, service: ReviewService) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Handle a signal."""
        act = self._service.give_up if self.should_exit else self._service.interrupt
        # From between any two steps of the event loop, which this wakes.
        asyncio.get_running_loop().call_soon_threadsafe(act)
        # All that uvicorn's own does besides is to leave at the second without leaving the service, and to raise the
        # signal again in the end, before that has been told.
        self.should_exit = True


@contextlib.contextmanager
def open_review(
    board: Path, settings: Settings, *, port: int, show_stopping: ShowStopping = _show_nothing
) -> Iterator[ReviewServer]:
    """Open a storyboard for review, and listen on its port for as long as the block lasts.

    Args:
        board: the storyboard's file.
        settings: where everything is, and which endpoint is asked.
        port: on loopback; 0 for a free one.
        show_stopping: shows the progress of the run at work while it is being stopped.

    Raises:
        UsageError: the storyboard is wrong, the ledger cannot be opened, or the port is taken.
    """
    service = ReviewService(board, settings, served_addresses(settings.output), show_stopping=show_stopping)
    with listen(_HOST, port) as listener:
        listening_port = listener.getsockname()[1]
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        hosts = {f"{name}:{listening_port}" for name in (_HOST, "localhost")}
        # A player that drops its connection in the middle of a film is no error worth a traceback.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
        address = f"http://{_HOST}:{listening_port}/{token}/"
        opening = OpeningFile(service.folder, address)
        server = _SignalledServer(
            uvicorn.Config(
                OriginGuard(build_app(service, settings.output), token=token, hosts=hosts, on_passed=opening.remove),
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT_S,
                # With "auto", an error of the service at its start would be ignored.
                lifespan="on",
            ),
            service,
        )
        try:
            yield ReviewServer(server, service, listener, address, opening)
        finally:
            opening.remove()
