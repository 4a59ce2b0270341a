"""A server of raw bytes: it reads a request as HTTP/1.1 has it, and answers with whatever it is told to send."""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.patience import WAIT_S

Header = tuple[str, str | bytes]


@dataclass(frozen=True, slots=True)
class Received:
    """A request, and when it was here whole, in seconds of a clock that never steps."""

    method: str
    target: str
    head: bytes
    body: bytes
    at_s: float = field(default_factory=time.monotonic)

    @property
    def asked(self) -> dict[str, Any]:
        """The fields of its JSON."""
        return dict(json.loads(self.body))


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent back, and then the connection ends.

    Attributes:
        data: the bytes, sent as they are.
        after_s: how long it takes until then.
        hangs: whether the connection stays open instead, without another byte.
        repeated: how often the last megabyte is sent again, for bodies that no test should hold.
    """

    data: bytes
    after_s: float = 0
    hangs: bool = False
    repeated: tuple[bytes, int] = (b"", 0)


Answering = Callable[[Received], Awaitable[Reply]]


def http_answer(
    status: int | str, headers: Iterable[Header] = (), body: bytes = b"", *, length: int | None = None
) -> bytes:
    """Return the bytes of an answer.

    Args:
        status: the number, or all that stands after `HTTP/1.1`.
        headers: sent as they are, but for these two: Content-Length and Connection.
        body: sent as it is.
        length: the length that is claimed; by default the body's. Below zero, none is.
    """
    claimed = len(body) if length is None else length
    framing: list[Header] = [("Content-Length", str(claimed))] if claimed >= 0 else []
    lines = [f"HTTP/1.1 {status}".encode() if isinstance(status, str) else f"HTTP/1.1 {status} Said".encode()]
    for name, value in (*headers, *framing, ("Connection", "close")):
        lines.append(name.encode() + b": " + (value if isinstance(value, bytes) else value.encode()))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@contextlib.contextmanager
def serving_raw(answering: Answering, *, hosts: Sequence[str] = ("127.0.0.1",)) -> Iterator[int]:
    """Serve in a thread for as long as the block lasts; yield the port."""
    ready, ended = threading.Event(), threading.Event()
    ports: list[int] = []

    async def serve() -> None:
        async with _listening(answering, hosts) as port:
            ports.append(port)
            ready.set()
            while not ended.is_set():
                await asyncio.sleep(0.02)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(WAIT_S), "the raw server did not start"
        yield ports[0]
    finally:
        ended.set()
        thread.join(WAIT_S)


@contextlib.asynccontextmanager
async def _listening(answering: Answering, hosts: Sequence[str]) -> AsyncIterator[int]:
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_serve_one(answering, reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, hosts, 0, backlog=1024)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # One more turn of the loop, in which aborted transports close their sockets.
        await asyncio.sleep(0)


async def _serve_one(answering: Answering, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reply = await answering(await _read_request(reader))
            await asyncio.sleep(reply.after_s)
            writer.write(reply.data)
            await writer.drain()
            chunk, times = reply.repeated
            for _ in range(times):
                writer.write(chunk)
                await writer.drain()
            if reply.hangs:
                await reader.read()
    finally:
        # Closed in order where all could be sent: an abort would throw away what the client has not read yet.
        writer.close()


async def _read_request(reader: asyncio.StreamReader) -> Received:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    body = await reader.readexactly(int(lengths[0])) if lengths else b""
    method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
    return Received(method, target, head, body)
