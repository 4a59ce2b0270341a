"""A network between clients and a server on loopback: it takes its time, and counts round trips."""

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import sqlalchemy

_LOOPBACK = "127.0.0.1"
_CHUNK_BYTES = 1 << 16
# Each connection has two, and two more for what is on its way.
_MOST_THREADS = 400

# What is on its way: when it is due, and the bytes; none at the end.
_Waiting = queue.SimpleQueue[tuple[float, bytes]]


@dataclass
class SlowNetwork:
    """A network that is up.

    Attributes:
        host: the address where it listens, in the server's place.
        port: the port there.
        round_trip_s: how long it takes to the server and back. Bytes that follow each other travel side by side.
        connections: how many were made.
        round_trips: how often a client sent something that it could not have sent before it heard from the server,
            and once for each connection. Many messages that are sent in one go are one.
    """

    host: str
    port: int
    round_trip_s: float
    connections: int = 0
    round_trips: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, database_url: str) -> str:
        """Return a database's address as it is reached through this network."""
        url = sqlalchemy.make_url(database_url).set(host=self.host, port=self.port)
        return url.render_as_string(hide_password=False)

    def count_connection(self) -> None:
        """Count a connection."""
        with self._lock:
            self.connections += 1

    def count_round_trip(self) -> None:
        """Count a round trip."""
        with self._lock:
            self.round_trips += 1


@contextlib.contextmanager
def slow_network(server_port: int, *, round_trip_s: float = 0, host: str = _LOOPBACK) -> Iterator[SlowNetwork]:
    """Put a network before a server on loopback for as long as the block lasts; what is still on its way is lost.

    Args:
        server_port: the server's.
        round_trip_s: see `SlowNetwork`.
        host: the address of this host where clients reach it.
    """
    with ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="network") as threads, contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((host, 0)))
        network = SlowNetwork(host, listener.getsockname()[1], round_trip_s)
        router = _Router(network, server_port, threads, stack)
        threads.submit(router.accept, listener)
        try:
            yield network
        finally:
            router.close(listener)


class _Router:
    """The threads of a network and the connections that they serve."""

    def __init__(
        self, network: SlowNetwork, server_port: int, threads: ThreadPoolExecutor, stack: contextlib.ExitStack
    ) -> None:
        self._network = network
        self._server_port = server_port
        self._threads = threads
        self._stack = stack
        self._sockets: list[socket.socket] = []

    def accept(self, listener: socket.socket) -> None:
        """Connect whoever comes with the server, until the listener is shut down."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                try:
                    server = socket.create_connection((_LOOPBACK, self._server_port))
                except ConnectionRefusedError:
                    client.close()
                else:
                    self._connect(client, server)

    def _connect(self, client: socket.socket, server: socket.socket) -> None:
        self._sockets += (self._stack.enter_context(client), self._stack.enter_context(server))
        self._network.count_connection()
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        heard = threading.Event()
        heard.set()

        def sent() -> None:
            if heard.is_set():
                heard.clear()
                self._network.count_round_trip()

        self._carry(client, server, on_received=sent, on_delivered=_nothing)
        self._carry(server, client, on_received=_nothing, on_delivered=heard.set)

    def _carry(
        self,
        source: socket.socket,
        target: socket.socket,
        *,
        on_received: Callable[[], None],
        on_delivered: Callable[[], None],
    ) -> None:
        waiting = _Waiting()
        self._threads.submit(_receive, source, waiting, self._network.round_trip_s / 2, on_received)
        self._threads.submit(_deliver, waiting, target, on_delivered)

    def close(self, listener: socket.socket) -> None:
        """End every connection, and with it what waits for its bytes."""
        for each in (listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def _receive(source: socket.socket, waiting: _Waiting, takes_s: float, on_received: Callable[[], None]) -> None:
    data = b"more"
    while data:
        try:
            data = source.recv(_CHUNK_BYTES)
        except OSError:
            data = b""
        if data:
            on_received()
        waiting.put((time.monotonic() + takes_s, data))


def _deliver(waiting: _Waiting, target: socket.socket, on_delivered: Callable[[], None]) -> None:
    with contextlib.suppress(OSError):
        while True:
            due_s, data = waiting.get()
            time.sleep(max(0.0, due_s - time.monotonic()))
            if not data:
                target.shutdown(socket.SHUT_WR)
                return
            # Before it can be heard: the answer to it may come at once.
            on_delivered()
            target.sendall(data)


def _nothing() -> None:
    pass
