"""Ways to run the API: on loopback in a thread for the length of a block, or in the foreground until Ctrl-C."""

import asyncio
import contextlib
import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from pipelines.common.addresses import normalize, without_secrets
from pipelines.common.errors import StoryreelError, UsageError
from pipelines.common.listening import is_of_this_machine, listen
from pipelines.server.app import build_app
from pipelines.server.config import ServerConfig
from pipelines.server.connections import Connections

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 30.0
# The time that requests in flight have to end once the server is stopped. A hanging one never would.
_DRAIN_S = 1

# Builds the application that is served.
Build = Callable[[ServerConfig, Connections], ASGIApp]


@contextlib.contextmanager
def serve_in_thread(config: ServerConfig, *, build: Build = build_app) -> Iterator[str]:
    """Serve on a free loopback port from a thread of its own; yield the address, `http://127.0.0.1:PORT`.

    Args:
        config: what to serve.
        build: builds the application, by default the API alone.

    Raises:
        StoryreelError: the server did not start within 30 s.
    """
    # The socket is opened here, so that the port is known before the thread starts and no other program can take it.
    with listen("127.0.0.1", 0) as listener:
        server = _server(config, build)
        thread = threading.Thread(target=_run, args=(server, listener), name="flux-api", daemon=True)
        thread.start()
        try:
            _await_start(server, thread)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_STOP_TIMEOUT_S)


def serve_forever(
    config: ServerConfig, *, host: str, port: int, on_listening: Callable[[str], None] = lambda _: None
) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        config: what to serve.
        host: an address of this machine; one beyond loopback needs a token in `config`.
        port: the port to listen on; 0 for a free one.
        on_listening: called with the address, once connections to it are taken.

    Raises:
        UsageError: other machines could ask without a token, the port is taken, or the engine cannot work.
    """
    with _listen(config, host, port) as listener:
        _require_no_loop(config, listener)
        server = _server(config, build_app)
        name, number = listener.getsockname()[:2]
        # The socket takes connections from here on, though the first may wait a moment.
        on_listening(f"http://[{name}]:{number}" if ":" in name else f"http://{name}:{number}")
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])


def _listen(config: ServerConfig, host: str, port: int) -> socket.socket:
    address = "127.0.0.1" if host == "localhost" else host
    try:
        loopback = ipaddress.ip_address(address).is_loopback
    except ValueError:
        raise UsageError(f"--host {host}: must be an IP address of this machine, like 127.0.0.1 or 0.0.0.0") from None
    if not loopback and config.token is None:
        raise UsageError(
            f"--host {host}: other machines could ask this API too; set STORYREEL_SERVE_TOKEN, a token that their "
            "requests must then carry, or use 127.0.0.1"
        )
    return listen(address, port)


def _require_no_loop(config: ServerConfig, listener: socket.socket) -> None:
    """Refuse an upstream that is this very server: each request would be sent on for ever."""
    if config.upstream is None:
        return
    url = config.upstream.endpoint.url
    parts = urlsplit(normalize(url))
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if port == listener.getsockname()[1] and is_of_this_machine(parts.hostname or ""):
        raise UsageError(f"--endpoint {without_secrets(url)}: is this server itself; name the one that it is to ask")


def _server(config: ServerConfig, build: Build) -> uvicorn.Server:
    connections = Connections()
    # Connections are cut on purpose here: no error worth a traceback on the user's terminal.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
    return uvicorn.Server(
        uvicorn.Config(
            build(config, connections),
            http=_tracking(connections),
            log_config=None,
            access_log=False,
            # An answer that is paid for is awaited; a second Ctrl-C does not.
            timeout_graceful_shutdown=None if config.upstream else _DRAIN_S,
            lifespan="on",
        )
    )


def _tracking(connections: Connections) -> type[H11Protocol]:
    """Return an HTTP protocol that keeps `connections` up to date.

    uvicorn makes a protocol object a connection and hands it no arguments of ours, hence a class made for the occasion.
    """

    class TrackingProtocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if self.client is not None:
                connections.transports[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if self.client is not None:
                connections.transports.pop(self.client, None)

    return TrackingProtocol


def _run(server: uvicorn.Server, listener: socket.socket) -> None:
    asyncio.run(server.serve(sockets=[listener]))


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    # uvicorn has no event for it, only a flag.
    while thread.is_alive() and time.monotonic() < deadline:
        if server.started:
            return
        time.sleep(0.01)
    raise StoryreelError("the embedded FLUX API did not start")
