"""A probe tells, for free and in bounded time, whether an endpoint is of use to a run, and the cure where it is not."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from pipelines.common.errors import (
    CredentialsRefusedError,
    EndpointError,
    EndpointUnreachableError,
    WrongEndpointError,
)
from pipelines.endpoints.probing import Probe, probe
from tests.support.patience import WAIT_S
from tests.support.transport import flux_endpoint

PROMPT_REQUIRED = b'{"error": "Prompt is required"}'


@contextlib.asynccontextmanager
async def answering(answer: bytes | None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serve one answer, byte for byte, or none; yield the address and the requests' heads."""
    heads: list[bytes] = []

    async def answer_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        if answer is None:
            # Until the client has had enough.
            await reader.read()
        else:
            writer.write(answer)

    async with served_by(answer_one) as url:
        yield url, heads


@contextlib.asynccontextmanager
async def served_by(
    answer_one: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """Serve each connection so; yield the address, and in the end wait until all of them are closed."""
    served: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.current_task())  # type: ignore[arg-type]  # there is one
        with contextlib.suppress(ConnectionError):
            await answer_one(reader, writer)
            writer.close()
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.gather(*served)


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    """Return an answer as it stands on the wire."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


async def probed(answer: bytes | None, *, token: str | None = None, most_s: float = WAIT_S) -> Probe:
    """Return what came of the probe of an endpoint that answers so."""
    async with answering(answer) as (url, _):
        return await probe(flux_endpoint(url, token), connect_s=WAIT_S, most_s=most_s)


@pytest.mark.parametrize("token", [None, "t0ken"])
async def test_a_probe_of_an_endpoint_that_is_of_use(token: str | None) -> None:
    """It asks for nothing that costs, with the token of a run."""
    async with answering(http("400 Bad Request", PROMPT_REQUIRED)) as (url, heads):
        found = await probe(flux_endpoint(url, token), connect_s=WAIT_S)

    assert (found.error, found.answer and found.answer.token_ok, found.clock_offset_s) == (None, True, None)
    assert [b"authorization: bearer t0ken" in head.lower() for head in heads] == [token is not None]


@pytest.mark.parametrize(
    ("answer", "token", "kind", "said"),
    [
        (
            http("401 Unauthorized", b'{"error": "no"}'),
            "t0ken",
            CredentialsRefusedError,
            "refuses the token; check STORYREEL_API_TOKEN",
        ),
        (
            http("403 Forbidden"),
            None,
            CredentialsRefusedError,
            "wants a token; set STORYREEL_API_TOKEN, or name its variable as the token of the storyboard's endpoint",
        ),
        (
            http("200 OK", b"<html>", "Content-Type: text/html"),
            None,
            WrongEndpointError,
            "answered 200, and not as one that speaks flux; check --endpoint and --dialect",
        ),
        (
            http("301 Moved Permanently", b"", "Location: http://127.0.0.1:9/"),
            None,
            WrongEndpointError,
            "answered 301, and not as one that speaks flux; check --endpoint and --dialect",
        ),
        (
            http("503 Service Unavailable"),
            None,
            EndpointUnreachableError,
            "answered 503, which does not tell whether it speaks flux; ask again later",
        ),
        (
            b"SSH-2.0-OpenSSH_9.2\r\n",
            None,
            EndpointUnreachableError,
            "cannot be reached: Server disconnected without sending a response; check the address and the network",
        ),
    ],
)
async def test_what_stands_in_a_runs_way_is_told_with_its_cure(
    answer: bytes, token: str | None, kind: type[EndpointError], said: str
) -> None:
    """Each as the error that a run would end with."""
    found = await probed(answer, token=token)

    assert type(found.error) is kind
    assert str(found.error) == f"{found.address}: {said}"


async def test_nothing_is_waited_for_for_long() -> None:
    """Not for an answer that does not come."""
    silent = await probed(None, most_s=0.2)

    assert (silent.answer, silent.reason) == (None, "no answer within 0.2 s")


async def test_where_nothing_listens_nothing_is_reached() -> None:
    """The address is said without its secrets."""
    async with answering(None) as (url, _):
        closed = url.replace("http://", "http://amy:hunter2@")

    found = await probe(flux_endpoint(closed), connect_s=WAIT_S)

    assert type(found.error) is EndpointUnreachableError
    assert str(found.error).startswith(f"{url}: cannot be reached: ")


@pytest.mark.parametrize(
    ("date", "offset_s"),
    [("Fri, 15 Jan 2027 08:01:00 GMT", 60), ("Fri, 15 Jan 2027 07:59:00 GMT", -60), ("soon", None), (None, None)],
)
async def test_the_endpoints_clock_is_compared(date: str | None, offset_s: int | None) -> None:
    """To the second, where it tells its time."""
    headers = [f"Date: {date}"] if date else []
    async with answering(http("400 Bad Request", PROMPT_REQUIRED, *headers)) as (url, _):
        found = await probe(flux_endpoint(url), connect_s=WAIT_S, now=lambda: 1_800_000_000.5)

    assert found.clock_offset_s == offset_s


async def test_loopback_is_asked_through_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a run."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    found = await probed(http("400 Bad Request", PROMPT_REQUIRED))

    assert found.error is None


async def test_a_body_without_end_is_not_kept() -> None:
    """An endpoint may send anything."""

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not writer.is_closing():
            writer.write(bytes(1 << 20))
            await writer.drain()

    async with served_by(flood) as url:
        found = await probe(flux_endpoint(url), connect_s=WAIT_S, most_s=WAIT_S)

    # Not that there was no answer in time.
    assert type(found.error) is WrongEndpointError
