"""One attempt over HTTP: the bill is known before the body is read, and every way to fail has one name."""

import asyncio
import contextlib
import datetime
import gzip
import json
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.common.errors import StorageError, UsageError
from pipelines.common.geometry import AspectRatio
from pipelines.endpoints.answers import Answer, Bill, BrokenBody, ImageBody, NoAnswerError, Refusal, Refused
from pipelines.endpoints.client import EndpointClient, Timeouts, parse_retry_after
from pipelines.endpoints.requests import ImageRequest
from tests.support.transport import AnswerTransport, flux_endpoint

URL = "http://flux.test/"
REQUEST = ImageRequest("a harbor", 4, AspectRatio.LANDSCAPE)
BILL = Bill(cost_usd=Decimal("0.000652"), neurons=Decimal("57.6"))
BILL_HEADERS = {"X-Cost-USD": "0.000652", "X-Neurons-Used": "57.6"}
HEAD = b"HTTP/1.1 200 OK\r\nX-Cost-USD: 0.000652\r\nX-Neurons-Used: 57.6\r\n"
TOKEN = "very-secret"
BRIEF = Timeouts(connect_s=2, read_s=0.1, total_s=2)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class BillRecorder:
    """A record of the bills that are handed over, and whether any of the body had been written by then."""

    part: Path
    bills: list[Bill] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    body_begun: list[bool] = field(default_factory=list)

    async def record(self, http_status: int, bill: Bill) -> None:
        self.statuses.append(http_status)
        self.bills.append(bill)
        self.body_begun.append(self.part.exists())


@pytest.fixture
def recorder(tmp_path: Path) -> BillRecorder:
    """A record for one attempt, its part file in a fresh folder."""
    return BillRecorder(tmp_path / ".1.part")


async def ask(
    recorder: BillRecorder,
    *,
    url: str = URL,
    token: str | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    timeouts: Timeouts = BRIEF,
    max_body_bytes: int = 1 << 20,
) -> Answer:
    """Make one attempt with a client of its own."""
    endpoint = flux_endpoint(url, token, local=True)
    async with EndpointClient(
        endpoint, concurrency=2, timeouts=timeouts, max_body_bytes=max_body_bytes, transport=transport
    ) as client:
        return await client.attempt(REQUEST, part=recorder.part, on_billed=recorder.record)


async def answered(recorder: BillRecorder, response: httpx.Response) -> Answer:
    """Make one attempt that a given response answers."""
    return await ask(recorder, transport=AnswerTransport(lambda _: response))


async def refusal(
    recorder: BillRecorder, status: int, content: bytes, headers: dict[str, str] | None = None
) -> Refused:
    """Make one attempt that is refused with `content`."""
    answer = await answered(recorder, httpx.Response(status, content=content, headers=headers))
    assert isinstance(answer, Refused)
    return answer


async def no_answer(recorder: BillRecorder, error: Exception) -> tuple[str, bool]:
    """Make one attempt that fails with `error` before a status line, and return its words and whether it was sent."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(NoAnswerError) as caught:
        await ask(recorder, transport=AnswerTransport(fail))
    return str(caught.value), caught.value.sent


async def serve(handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read one request, then let `handler` answer it."""
    try:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            await handler(reader, writer)
    finally:
        writer.close()


def raw_server(handler: Handler) -> contextlib.AbstractAsyncContextManager[str]:
    """Serve raw bytes on loopback: `handler` is called once a request has been read."""
    return listening(partial(serve, handler))


@contextlib.asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[str]:
    """Call `handler` with each connection on loopback; in the end, cut those that are still open."""
    tasks: list[asyncio.Future[None]] = []
    writers: list[asyncio.StreamWriter] = []

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        tasks.append(asyncio.ensure_future(handler(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for task, writer in zip(tasks, writers, strict=True):
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
        # One more turn of the loop, in which aborted transports close their sockets.
        await asyncio.sleep(0)


def sends(data: bytes, *, then: Handler | None = None) -> Handler:
    """Return a handler that sends `data`, goes on with `then`, and closes the connection."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        if then:
            await then(reader, writer)

    return handle


async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Send nothing more until the client goes away."""
    await reader.read()


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reset the connection, so that the client sees no orderly end."""
    await asyncio.sleep(0.02)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a byte now and then, for ever: never silent for long."""
    while True:
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.02)


async def test_an_image_is_streamed_to_its_file(recorder: BillRecorder) -> None:
    """A whole 200 leaves its bytes in the part file and its bill in the record."""
    answer = await answered(recorder, httpx.Response(200, headers=BILL_HEADERS, content=b"picture"))

    assert answer == ImageBody(200, BILL, 7)
    assert (recorder.part.read_bytes(), recorder.bills) == (b"picture", [BILL])


async def test_the_bill_is_handed_over_before_the_body_is_read(recorder: BillRecorder) -> None:
    """When the bill is handed over, no byte of the body has been written, or even sent."""
    billed = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        assert billed.is_set()
        yield b"picture"

    class SignallingRecorder(BillRecorder):
        async def record(self, http_status: int, bill: Bill) -> None:
            await super().record(http_status, bill)
            billed.set()

    signalling = SignallingRecorder(recorder.part)
    answer = await answered(signalling, httpx.Response(200, headers=BILL_HEADERS, content=body()))

    assert (answer, signalling.body_begun) == (ImageBody(200, BILL, 7), [False])


async def test_an_answer_without_a_bill_is_handed_over_as_unknown(recorder: BillRecorder) -> None:
    """Headers that are absent or nonsense are None, never zero."""
    await answered(recorder, httpx.Response(200, headers={"X-Cost-USD": "free!"}, content=b"picture"))

    assert recorder.bills == [Bill()]


async def test_the_request_is_the_documented_one(recorder: BillRecorder) -> None:
    """One POST with the three fields as JSON, and no credentials where there are none."""
    requests: list[httpx.Request] = []

    def record(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, content=b"picture")

    await ask(recorder, transport=AnswerTransport(record))

    assert [(request.method, str(request.url), json.loads(request.content)) for request in requests] == [
        ("POST", URL, {"prompt": "a harbor", "steps": 4, "aspectRatio": "16:9"})
    ]
    assert (requests[0].headers["content-type"], requests[0].headers["user-agent"]) == ("application/json", "storyreel")
    assert "authorization" not in requests[0].headers


async def test_the_token_is_sent_as_a_bearer_token(recorder: BillRecorder) -> None:
    """The endpoint receives `Authorization: Bearer` and the token."""
    headers: list[str] = []

    def record(request: httpx.Request) -> httpx.Response:
        headers.append(request.headers["authorization"])
        return httpx.Response(200, content=b"picture")

    await ask(recorder, token=TOKEN, transport=AnswerTransport(record))

    assert headers == [f"Bearer {TOKEN}"]


async def test_the_token_is_in_no_repr(recorder: BillRecorder) -> None:
    """Neither the endpoint nor the client shows the token when it is printed."""
    endpoint = flux_endpoint(URL, TOKEN)
    async with EndpointClient(endpoint, concurrency=1, timeouts=BRIEF, max_body_bytes=1) as client:
        printed = f"{endpoint!r} {endpoint} {client!r} {client._http.headers!r}"

    assert TOKEN not in printed


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f"{TOKEN} ", f"{TOKEN}\r\nX-Other: 1", f"{TOKEN}é", f"{TOKEN}\0"])
def test_a_token_that_no_header_can_carry_is_refused_unseen(token: str) -> None:
    """A token with a line break or a blank at its end is refused before anything is sent, and not quoted."""
    with pytest.raises(UsageError) as caught:
        EndpointClient(flux_endpoint(URL, token), concurrency=1, timeouts=BRIEF, max_body_bytes=1)

    assert str(caught.value) == (
        "STORYREEL_API_TOKEN: holds a character that no HTTP header can carry, perhaps a line break or a space at "
        "its end; set it again"
    )
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.PoolTimeout("full"),
        httpx.UnsupportedProtocol("ftp"),
        httpx.ProxyError("403 Forbidden"),
        httpx.InvalidURL("no host"),
    ],
)
async def test_what_fails_before_the_first_byte_was_not_sent(recorder: BillRecorder, error: Exception) -> None:
    """Without a connection nothing can have been billed."""
    assert await no_answer(recorder, error) == (f"cannot connect to http://flux.test: {error}", False)


@pytest.mark.parametrize(
    "error",
    [
        httpx.ReadTimeout("slow"),
        httpx.WriteTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.WriteError("broken pipe"),
        httpx.RemoteProtocolError("no HTTP"),
        httpx.LocalProtocolError("not HTTP"),
        TimeoutError("slow"),
        ssl.SSLError(1, "bad record mac"),
        ConnectionResetError("reset"),
    ],
)
async def test_what_fails_after_the_first_byte_may_have_been_billed(recorder: BillRecorder, error: Exception) -> None:
    """Once a byte may have left, the attempt counts as sent."""
    assert await no_answer(recorder, error) == (f"no answer: {error}", True)


async def test_an_error_without_words_is_named_by_its_kind(recorder: BillRecorder) -> None:
    """A timeout has no message; its class name serves."""
    assert await no_answer(recorder, httpx.ReadTimeout("")) == ("no answer: ReadTimeout", True)


async def test_an_error_of_many_words_is_cut(recorder: BillRecorder) -> None:
    """An error that quotes what the server sent stays of a readable length, on one line."""
    words, _ = await no_answer(recorder, httpx.RemoteProtocolError("line\n\x1b[2J" * 9999))

    assert (len(words), words.isprintable()) == (len("no answer: ") + 500, True)


async def test_a_refused_connection_was_not_sent(recorder: BillRecorder) -> None:
    """Where no server listens, nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(NoAnswerError, match="cannot connect to http://127") as caught:
        await ask(recorder, url=f"http://127.0.0.1:{port}/")

    assert (caught.value.sent, recorder.bills, recorder.part.exists()) == (False, [], False)


async def test_an_error_that_quotes_a_secret_is_kept_without_it(recorder: BillRecorder) -> None:
    """The token, or the password of the URL: the text goes into the ledger and the log."""
    response = httpx.Response(401, json={"error": f"the token {TOKEN} of user amy, hunter2, is unknown"})

    answer = await ask(
        recorder,
        url="http://amy:hunter2@flux.test/",
        token=TOKEN,
        transport=AnswerTransport(lambda _: response),
    )

    assert isinstance(answer, Refused)
    assert answer.message == "the token *** of user amy, ***, is unknown"


async def test_httpx_logs_the_address_without_its_secrets(
    recorder: BillRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    """It has a line for each request; once the client is closed, its log is left as it is."""
    response = httpx.Response(401)

    with caplog.at_level(logging.INFO, logger="httpx"):
        await ask(
            recorder,
            url="http://amy:hunter2@flux.test:81/v1?key=hush",
            transport=AnswerTransport(lambda _: response),
        )
        logging.getLogger("httpx").info("%s", httpx.URL("http://amy:hunter2@flux.test:81/v1"))

    assert caplog.messages == [
        'HTTP Request: POST http://flux.test:81 "HTTP/1.1 401 Unauthorized"',
        "http://amy:hunter2@flux.test:81/v1",
    ]


async def test_an_address_is_named_without_its_secrets(recorder: BillRecorder) -> None:
    """Only a URL's scheme, host and port are in the message."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(NoAnswerError) as caught:
        await ask(recorder, url="http://user:hush@flux.test:81/v1?key=hush", transport=AnswerTransport(fail))

    assert str(caught.value) == "cannot connect to http://flux.test:81: refused"


@pytest.mark.parametrize(
    "url", ["ftp://flux.test", "flux.test", "http://", "http://flux.test:99999", "http://[::1", "http://a..b"]
)
async def test_an_address_that_is_none_was_not_sent(recorder: BillRecorder, url: str) -> None:
    """An address that cannot be reached cannot bill."""
    with pytest.raises(NoAnswerError) as caught:
        await ask(recorder, url=url)

    assert caught.value.sent is False


@pytest.mark.parametrize(
    "handler",
    [
        sends(b""),
        sends(b"", then=hang),
        sends(b"", then=reset),
        sends(b"HTTP/1.1 200 OK\r\nX-Cost-US"),
        sends(b"HTTP/1.1 200 OK\r\n", then=hang),
        sends(b"HTTP/1.1 200 OK\r\n", then=reset),
        sends(b"SSH-2.0-OpenSSH\r\n\r\n"),
        sends(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * (1 << 20)),
    ],
    ids=["closed", "silent", "reset", "cut head", "silent in head", "reset in head", "not HTTP", "endless head"],
)
async def test_a_server_that_gives_no_whole_head_is_no_answer(recorder: BillRecorder, handler: Handler) -> None:
    """The request arrived, the headers did not: it may have been billed, at an unknown cost."""
    async with raw_server(handler) as url:
        with pytest.raises(NoAnswerError) as caught:
            await ask(recorder, url=url)

    assert (caught.value.sent, recorder.bills, recorder.part.exists()) == (True, [], False)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "handler",
    [
        sends(HEAD + b"Content-Length: 99\r\n\r\nhalf a pic"),
        sends(HEAD + b"Content-Length: 99\r\n\r\nhalf a pic", then=hang),
        sends(HEAD + b"Content-Length: 99\r\n\r\nhalf a pic", then=reset),
        sends(HEAD + b"Transfer-Encoding: chunked\r\n\r\na\r\nhalf a pic\r\n"),
        sends(HEAD + b"Transfer-Encoding: chunked\r\n\r\na\r\nhalf a pic\r\nnonsense\r\n"),
    ],
    ids=["cut", "silent", "reset", "no last chunk", "bad chunk"],
)
async def test_a_body_that_breaks_off_is_billed_all_the_same(recorder: BillRecorder, handler: Handler) -> None:
    """After the headers nothing is ever `no answer`: the bill stands, and what arrived is in the file."""
    async with raw_server(handler) as url:
        answer = await ask(recorder, url=url)

    assert isinstance(answer, BrokenBody)
    assert (answer.bill, recorder.bills, answer.reason[:20]) == (BILL, [BILL], "the body broke off: ")
    assert b"half a pic".startswith(recorder.part.read_bytes())


@pytest.mark.parametrize("error", [httpx.ReadError("reset"), httpx.ReadTimeout("slow"), ssl.SSLError(1, "bad mac")])
async def test_an_error_of_the_connection_is_not_one_of_the_disk(recorder: BillRecorder, error: Exception) -> None:
    """Any error of a transport in mid-body breaks the body, and leaves the run alone."""

    async def body() -> AsyncIterator[bytes]:
        yield b"half"
        raise error

    answer = await answered(recorder, httpx.Response(200, headers=BILL_HEADERS, content=body()))

    assert (answer, recorder.part.read_bytes()) == (
        BrokenBody(200, BILL, f"the body broke off: {error}", cut_off=True),
        b"half",
    )


async def test_no_content_encoding_is_asked_for(recorder: BillRecorder) -> None:
    """Images are compressed already, and what need not be unpacked cannot burst."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.extend(request.headers.get_list("Accept-Encoding"))
        return httpx.Response(200, content=b"picture")

    await ask(recorder, transport=AnswerTransport(answer))

    assert asked == ["identity"]


@pytest.mark.parametrize("encoding", [b"gzip", b"gzip, gzip", b"br", b"x-\x1b[31m"])
async def test_a_content_encoding_is_not_undone(recorder: BillRecorder, encoding: bytes) -> None:
    """The body is billed, kept as it came, and no image."""
    packed = gzip.compress(gzip.compress(bytes(100_000)))
    head = HEAD + b"Content-Encoding: " + encoding + b"\r\nContent-Length: %d\r\n\r\n" % len(packed)
    async with raw_server(sends(head + packed)) as url:
        answer = await ask(recorder, url=url)

    name = encoding.decode().replace("\x1b", " ")
    assert answer == BrokenBody(200, BILL, f"a body encoded as {name}, which was not asked for", cut_off=False)
    assert recorder.part.read_bytes() == packed


async def test_an_encoded_error_is_not_unpacked(recorder: BillRecorder) -> None:
    """Its status stands; a few bytes cannot become hundreds of megabytes of text."""
    packed = gzip.compress(b'{"error": "4006: used up"}')

    answer = await refusal(recorder, 500, packed, {"Content-Encoding": "gzip"})

    assert (answer.refusal, answer.message) == (Refusal.SERVER, "a text encoded as gzip, which was not asked for")


@pytest.mark.parametrize("status", [201, 202, 203, 206, 226, 299])
async def test_any_2xx_may_hold_an_image(recorder: BillRecorder, status: int) -> None:
    """What it holds is looked at as a 200's is; its bill is handed over with its status."""
    answer = await answered(recorder, httpx.Response(status, headers=BILL_HEADERS, content=b"picture"))

    assert answer == ImageBody(status, BILL, 7)
    assert (recorder.statuses, recorder.part.read_bytes()) == ([status], b"picture")


async def test_a_slow_body_is_cut_by_the_total_timeout(recorder: BillRecorder) -> None:
    """A byte now and then defeats the read timeout, not the bound on the whole attempt."""
    timeouts = Timeouts(connect_s=2, read_s=2, total_s=0.15)
    async with raw_server(sends(HEAD + b"Content-Length: 999999\r\n\r\n", then=drip)) as url:
        answer = await ask(recorder, url=url, timeouts=timeouts)

    assert answer == BrokenBody(200, BILL, "the body broke off: TimeoutError", cut_off=True)


async def test_a_slow_head_is_cut_by_the_total_timeout(recorder: BillRecorder) -> None:
    """Headers that drip in are no answer once the time is up."""
    timeouts = Timeouts(connect_s=2, read_s=2, total_s=0.15)
    async with raw_server(sends(b"HTTP/1.1 200 OK\r\nX-Slow: ", then=drip)) as url:
        with pytest.raises(NoAnswerError, match="no answer: TimeoutError") as caught:
            await ask(recorder, url=url, timeouts=timeouts)

    assert (caught.value.sent, recorder.bills) == (True, [])


@pytest.mark.parametrize("then", [drip, hang, reset, None])
async def test_a_status_stands_whatever_becomes_of_its_text(recorder: BillRecorder, then: Handler | None) -> None:
    """A refusal whose text never ends, or breaks off, is still that refusal."""
    timeouts = Timeouts(connect_s=2, read_s=0.2, total_s=0.3)
    head = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 99999\r\n\r\nslow down"
    async with raw_server(sends(head, then=then)) as url:
        answer = await ask(recorder, url=url, timeouts=timeouts)

    assert isinstance(answer, Refused)
    assert (answer.http_status, answer.refusal, answer.retry_after_s) == (429, Refusal.RATE_LIMITED, 7)
    # A reset may overtake the text.
    assert answer.message.rstrip(".") in ("slow down", "Too Many Requests")


async def test_a_body_above_the_bound_is_broken_and_bounded_on_disk(recorder: BillRecorder) -> None:
    """An endless body stops at the bound; no more than that is written."""

    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000

    response = httpx.Response(200, headers=BILL_HEADERS, content=body())
    answer = await ask(recorder, transport=AnswerTransport(lambda _: response), max_body_bytes=2 << 20)

    assert answer == BrokenBody(200, BILL, "a body of more than 2 MiB; raise max_body_mib", cut_off=False)
    assert recorder.part.stat().st_size <= 2 << 20


@pytest.mark.parametrize(("length", "whole"), [(1000, True), (1001, False)])
async def test_the_bound_itself_is_allowed(recorder: BillRecorder, length: int, whole: bool) -> None:
    """Exactly the bound passes, one byte more does not."""
    response = httpx.Response(200, headers=BILL_HEADERS, content=b"x" * length)
    answer = await ask(recorder, transport=AnswerTransport(lambda _: response), max_body_bytes=1000)

    assert isinstance(answer, ImageBody) is whole


async def test_an_empty_body_arrived_whole(recorder: BillRecorder) -> None:
    """That it is no image is found when it is inspected."""
    answer = await answered(recorder, httpx.Response(200, headers=BILL_HEADERS))

    assert (answer, recorder.part.read_bytes()) == (ImageBody(200, BILL, 0), b"")


async def test_a_part_that_cannot_be_written_is_a_storage_error(recorder: BillRecorder) -> None:
    """A missing folder is the disk's fault, not the endpoint's; the bill is recorded by then."""
    lost = BillRecorder(recorder.part.parent / "gone" / ".1.part")

    with pytest.raises(StorageError, match="cannot be written: No such file or directory; free space or choose"):
        await answered(lost, httpx.Response(200, headers=BILL_HEADERS, content=b"picture"))

    assert lost.bills == [BILL]


async def test_a_cancelled_attempt_is_cancelled(recorder: BillRecorder) -> None:
    """Cancelling from outside is no timeout and no broken body."""
    async with raw_server(sends(b"", then=hang)) as url:
        attempt = asyncio.create_task(ask(recorder, url=url, timeouts=Timeouts(2, 5, 5)))
        await asyncio.sleep(0.05)
        attempt.cancel()

        with pytest.raises(asyncio.CancelledError):
            await attempt


CREDENTIALS = (Refusal.CREDENTIALS, "a; b", True)


@pytest.mark.parametrize(
    ("status", "content", "expected"),
    [
        (400, b'{"error": "Prompt is required"}', (Refusal.REJECTED, "Prompt is required", True)),
        (500, b'{"error": "Authentication error"}', (Refusal.CREDENTIALS, "Authentication error", True)),
        (500, b'{"error": "Failed to generate image"}', (Refusal.PROMPT, "Failed to generate image", True)),
        (500, b'{"error": "3040: out of capacity"}', (Refusal.CAPACITY, "3040: out of capacity", True)),
        (500, b'{"error": "4006: used up"}', (Refusal.ALLOCATION, "4006: used up", True)),
        (502, b"<html>\n <b>Bad\t gateway</b>", (Refusal.SERVER, "<html> <b>Bad gateway</b>", False)),
        (503, b"", (Refusal.SERVER, "Service Unavailable", False)),
        (500, b'{"error": ""}', (Refusal.SERVER, '{"error": ""}', True)),
        (500, b'{"error": "  "}', (Refusal.SERVER, "Internal Server Error", True)),
        (500, b'{"error": {"code": 7}}', (Refusal.SERVER, "{'code': 7}", True)),
        (500, b'{"message": "no"}', (Refusal.SERVER, '{"message": "no"}', False)),
        (500, b'["no"]', (Refusal.SERVER, '["no"]', False)),
        (500, b'"no"', (Refusal.SERVER, '"no"', False)),
        (500, b"null", (Refusal.SERVER, "null", False)),
        (500, b'{"error": "a\\nb\\u001b[2Jc\\u0000d"}', (Refusal.SERVER, "a b [2Jc d", True)),
        (500, b'{"error": "half \\ud83d of it"}', (Refusal.SERVER, "half of it", True)),
        (500, '{"error": "เครดิตหมด"}'.encode(), (Refusal.SERVER, "เครดิตหมด", True)),
        (404, b"no such page", (Refusal.NOT_THIS_API, "no such page", False)),
        (301, b"", (Refusal.NOT_THIS_API, "Moved Permanently", False)),
        (500, b'{"errors": [{"code": 3040, "message": "no room"}]}', (Refusal.CAPACITY, "no room", True)),
        (500, b'{"errors": [{"code": "3040", "message": "no room"}]}', (Refusal.CAPACITY, "no room", True)),
        (403, b'{"errors": [{"code": 9109, "message": "a"}, {"code": 1, "message": "b"}]}', CREDENTIALS),
        (500, b'{"errors": ["3040"]}', (Refusal.SERVER, '{"errors": ["3040"]}', False)),
        (500, b'{"errors": {"code": 3040}}', (Refusal.SERVER, '{"errors": {"code": 3040}}', False)),
        (403, b"", (Refusal.CREDENTIALS, "Forbidden", False)),
        (429, b"slow", (Refusal.RATE_LIMITED, "slow", False)),
    ],
)
async def test_a_refusal_keeps_the_words_of_its_author(
    recorder: BillRecorder, status: int, content: bytes, expected: tuple[Refusal, str, bool]
) -> None:
    """The API's own JSON is distinguished from the page of a proxy before it; either becomes one printable line."""
    answer = await refusal(recorder, status, content)

    assert (answer.refusal, answer.message, answer.by_api) == expected
    assert (answer.http_status, answer.bill, answer.retry_after_s, recorder.bills) == (status, Bill(), None, [])


async def test_a_refusal_keeps_what_its_headers_say(recorder: BillRecorder) -> None:
    """Bill and Retry-After come along, for the ledger; a refusal is not announced as billed."""
    answer = await refusal(recorder, 500, b"{}", {**BILL_HEADERS, "Retry-After": "2.5"})

    assert answer == Refused(500, Refusal.SERVER, "{}", by_api=False, bill=BILL, retry_after_s=2.5)
    assert (recorder.bills, recorder.part.exists()) == ([], False)


@pytest.mark.parametrize(
    ("status", "content", "billed"),
    [
        (500, b'{"error": "Internal server error"}', False),
        (502, b"<html>Bad gateway</html>", True),
        (504, b'{"error": "the request was sent, and may have been billed: no answer"}', True),
        (502, b'{"error": "cannot connect; nothing was sent"}', False),
        (429, b"slow", False),
    ],
)
async def test_a_refusal_may_be_billed_where_its_author_does_not_know(
    recorder: BillRecorder, status: int, content: bytes, billed: bool
) -> None:
    """Something before the API need not know of an image; an API that passes requests on says where it does not."""
    assert (await refusal(recorder, status, content)).may_be_billed is billed


async def test_a_refusal_keeps_the_numbers_beside_its_text(recorder: BillRecorder) -> None:
    """For whoever passes it on."""
    errors = b'{"errors": [{"code": 3040, "message": "no room"}, {"code": "5007", "message": "no model"}]}'

    assert (await refusal(recorder, 500, errors)).codes == (3040, 5007)


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 60_000,
        b'{"error":' * 7000,
        b'{"error": ' + b"9" * 5000 + b"}",
        b"\x00\xff\xfe\x80" * 20_000,
        b"x" * 1_000_000,
        b'{"error": "' + b"y" * 60_000 + b'"}',
        '{"error": "𝄞"}'.encode()[:-4],
        b"\xef\xbb\xbf{}",
        b'{"error": NaN}',
    ],
    ids=["lists", "objects", "number", "binary", "long", "long JSON", "cut UTF-8", "byte order mark", "NaN"],
)
async def test_any_text_of_an_error_becomes_a_bounded_line(recorder: BillRecorder, content: bytes) -> None:
    """Nesting, binary and length do no harm: at most 500 printable characters remain, which any database can store."""
    answer = await refusal(recorder, 500, content)

    assert (len(answer.message) <= 500, answer.message.isprintable(), bool(answer.message)) == (True, True, True)
    assert answer.message.encode().decode() == answer.message


async def test_an_error_text_without_end_is_read_no_further_than_needed(recorder: BillRecorder) -> None:
    """64 KiB of an endless error are enough."""
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1024
            yield b"z" * 1024

    answer = await answered(recorder, httpx.Response(500, content=body()))

    assert isinstance(answer, Refused)
    assert (answer.message, sent <= (66 << 10)) == ("z" * 500, True)


NOW = datetime.datetime(2026, 11, 23, 12, 0, 0, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("2.5", 2.5),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        ("", None),
        ("soon", None),
        ("Mon, 23 Nov 2026 12:01:30 GMT", 90.0),
        ("Mon, 23 Nov 2026 12:01:30 -0000", 90.0),
        ("Mon, 23 Nov 2026 19:01:30 +0700", 90.0),
        ("Monday, 23-Nov-26 12:01:30 GMT", 90.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("Mon, 99 Nov 2026 11:00:00 GMT", None),
        ("Mon, 23 Nov 99999 12:00:00 GMT", None),
        ("Mon, 23 Nov 2026 12:00:00 +99999999999999", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 251604647999.0 + 23 * 3600 + 59 * 60),
    ],
)
def test_retry_after_is_seconds_a_date_or_nothing(value: str | None, seconds: float | None) -> None:
    """Both forms of the header are read; nonsense is no advice, and the past is now."""
    read = parse_retry_after(value, now=lambda: NOW)

    assert read == seconds or (seconds is not None and seconds > 1e9 and read is not None and read > 1e9)


def test_retry_after_counts_from_the_present() -> None:
    """Without a clock of its own it asks the system's."""
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=100)

    seconds = parse_retry_after(later.strftime("%a, %d %b %Y %H:%M:%S GMT"))

    assert seconds is not None
    assert 90 < seconds <= 100


@given(st.text(max_size=60) | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} -?\d+ \d+:\d+:\d+ [-+]?\w+"))
def test_no_retry_after_can_break_a_run(value: str) -> None:
    """For any value of the header, the answer is a finite wait or none."""
    seconds = parse_retry_after(value, now=lambda: NOW)

    assert seconds is None or 0 <= seconds < float("inf")


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the environment name a proxy at which nothing listens, for every host."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.delenv("NO_PROXY", raising=False)


async def ask_as_configured(recorder: BillRecorder, url: str) -> Answer:
    """Make one attempt at an address that a user named."""
    async with EndpointClient(flux_endpoint(url), concurrency=1, timeouts=BRIEF, max_body_bytes=9) as client:
        return await client.attempt(REQUEST, part=recorder.part, on_billed=recorder.record)


@pytest.mark.parametrize("host", ["127.0.0.1", "LOCALHOST", "127.1", "0x7f000001"])
async def test_no_proxy_is_asked_for_a_server_on_this_machine(host: str, recorder: BillRecorder, proxied: None) -> None:
    """However its address is spelled: another machine's proxy would look for it on itself."""
    async with raw_server(sends(HEAD + b"Content-Length: 2\r\n\r\nok")) as url:
        answer = await ask_as_configured(recorder, url.replace("127.0.0.1", host))

    assert answer == ImageBody(200, BILL, 2)


async def test_the_environment_decides_about_a_proxy_for_another_machine(recorder: BillRecorder, proxied: None) -> None:
    """Where the proxy cannot be connected to, nothing was sent."""
    with pytest.raises(NoAnswerError) as caught:
        await ask_as_configured(recorder, "http://flux.test/")

    assert not caught.value.sent


@pytest.mark.parametrize("address", ["socks5://127.0.0.1:9", "ftp://proxy", "http://[::1"])
async def test_a_proxy_that_cannot_be_used_is_refused_before_anything_is_sent(
    address: str, recorder: BillRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the variable; a server on this machine does without them."""
    monkeypatch.setenv("ALL_PROXY", address)

    with pytest.raises(
        UsageError,
        match=r"ALL_PROXY: names a proxy that cannot be used|a proxy that cannot be used: .*ALL_PROXY.*NO_PROXY",
    ):
        await ask_as_configured(recorder, "http://flux.test/")
    with pytest.raises(NoAnswerError):
        await ask_as_configured(recorder, "http://127.0.0.1:9/")


@pytest.mark.parametrize("then", [None, hang], ids=["hangs up", "says nothing"])
async def test_where_a_proxy_opens_no_tunnel_nothing_was_sent(
    then: Handler | None, recorder: BillRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was asked for one, and the endpoint for nothing."""

    async def answer_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if then:
            await then(reader, writer)
        writer.close()

    async with listening(answer_nothing) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        with pytest.raises(NoAnswerError, match=r"^cannot connect to https://flux\.test: ") as caught:
            await ask_as_configured(recorder, "https://flux.test/")

    assert not caught.value.sent
