"""The served API: its contract over real sockets, its faults, its limiter and its own book on a clock of ours."""

import io
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipelines.common.errors import UsageError
from pipelines.common.geometry import AspectRatio, Size
from pipelines.endpoints.dialects.flux import ImageRequest
from pipelines.endpoints.prices import PRICE_LIST
from pipelines.server.config import Fault, FaultKind, ServerConfig, parse_fault, parse_latency
from pipelines.server.engines.sketch import SketchEngine
from pipelines.server.faults import FaultDraw, wrong_size
from pipelines.server.running import serve_forever, serve_in_thread
from pipelines.server.stats import Limiter, Statistics

BIN = Path(sys.executable).parent
ASK = {"prompt": "a quiet harbor", "steps": 1}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve_in_thread(ServerConfig()) as address:
        yield address


def faulty(kind: str, **config: Any) -> ServerConfig:
    return ServerConfig(faults=(Fault(FaultKind(kind), 1.0),), **config)


@pytest.mark.parametrize("aspect", list(AspectRatio))
def test_an_image_comes_with_its_bill(url: str, aspect: AspectRatio) -> None:
    """A PNG of the asked size and the headers of the documentation."""
    answer = httpx.post(url, json={**ASK, "aspectRatio": aspect.value})

    price = PRICE_LIST.image(aspect.size, steps=1)
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert (picture.format, picture.size) == ("PNG", (aspect.size.width, aspect.size.height))
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")
    assert answer.headers["X-Cost-USD"] == str(price.usd)
    assert (answer.headers["X-Image-Width"], answer.headers["X-Model"]) == (str(aspect.size.width), "sketch")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "Request body must be JSON"),
        (b"{", "Request body must be JSON"),
        (b"[" * 20_000, "Request body must be JSON"),
        (b"\xff", "Request body must be JSON"),
        (b"[]", "Request body must be a JSON object"),
        (b"{}", "Prompt is required"),
        (b'{"prompt": "x", "steps": 99}', "Steps must be a whole number from 1 to 8"),
        (b'{"prompt": "' + b"x" * 70_000 + b'"}', "Request body is too large"),
    ],
)
def test_a_bad_request_is_answered_in_json(url: str, content: bytes, error: str) -> None:
    """400 and the error, nothing billed."""
    answer = httpx.post(url, content=content)

    assert (answer.status_code, answer.json()) == (400, {"error": error})


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("GET", "/", 405), ("PUT", "/", 405)])
def test_other_addresses_and_methods_are_errors_in_json(url: str, method: str, path: str, status: int) -> None:
    """Even what is not the API answers in its manner."""
    answer = httpx.request(method, url + path)

    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


def test_the_server_keeps_its_own_book() -> None:
    """What was asked, answered and billed, in exactly six figures."""
    with serve_in_thread(ServerConfig()) as url:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda number: httpx.post(url, json={**ASK, "prompt": f"view {number}"}), range(3)))
        httpx.post(url, json={})
        book = httpx.get(f"{url}/_stats").json()

    in_flight = book.pop("max_in_flight")
    assert 1 <= in_flight <= 3
    assert book == {
        "requests": 4,
        "by_status": {"200": 3, "400": 1},
        "billed_usd": "0.000966",
        "images": 3,
        "max_requests_in_any_60s": 4,
    }


def test_the_limiter_is_real() -> None:
    """Past the limit comes 429, with the time to wait."""
    with serve_in_thread(ServerConfig(rate_limit=2)) as url:
        answers = [httpx.post(url, json=ASK) for _ in range(3)]
        book = httpx.get(f"{url}/_stats").json()

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json() == {"error": "Rate limited"}
    assert 55 <= int(answers[2].headers["Retry-After"]) <= 60
    assert (book["images"], book["requests"]) == (2, 3)


@pytest.mark.parametrize(
    ("kind", "status", "error"),
    [
        ("rate-limit", 429, "Rate limited"),
        ("server-error", 500, "Internal server error"),
        ("authentication", 500, "Authentication error"),
        ("refused", 500, "Failed to generate image"),
    ],
)
def test_faults_that_say_no_bill_nothing(kind: str, status: int, error: str) -> None:
    """The API's own errors."""
    with serve_in_thread(faulty(kind)) as url:
        answer = httpx.post(url, json=ASK)
        book = httpx.get(f"{url}/_stats").json()

    assert (answer.status_code, answer.json()) == (status, {"error": error})
    assert (book["billed_usd"], book["images"]) == ("0", 0)


@pytest.mark.parametrize("kind", ["hang", "reset", "truncate"])
def test_faults_that_lose_the_answer_bill_it(kind: str) -> None:
    """The generation happened; the client sees a broken connection or nothing at all."""
    with serve_in_thread(faulty(kind)) as url:
        with pytest.raises(httpx.TransportError):
            httpx.post(url, json=ASK, timeout=0.7)
        # A client that has gone is noticed a moment later.
        book = _settled_book(url)

    assert (book["billed_usd"], book["images"]) == ("0.000322", 1)
    assert book["by_status"] == ({"200": 1} if kind == "truncate" else {"none": 1})


def _settled_book(url: str) -> dict[str, Any]:
    deadline = time.monotonic() + 10
    while not (book := httpx.get(f"{url}/_stats").json())["by_status"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return dict(book)


def test_a_truncated_answer_promises_the_whole() -> None:
    """Length and bill are those of a good answer; half of the body comes."""
    with serve_in_thread(faulty("truncate")) as url, httpx.stream("POST", url, json=ASK) as answer:
        received = 0
        with pytest.raises(httpx.RemoteProtocolError):
            for chunk in answer.iter_raw():
                received += len(chunk)

        assert 0 < received < int(answer.headers["Content-Length"])
        assert answer.headers["X-Cost-USD"] == "0.000322"


def test_faults_that_spoil_the_image_bill_it() -> None:
    """Damaged bytes, a JPEG by another name, another size than the headers say; a web page costs nothing."""
    answers = {}
    billed = {}
    for kind in ("corrupt", "jpeg", "wrong-size", "html"):
        with serve_in_thread(faulty(kind)) as url:
            answers[kind] = httpx.post(url, json=ASK)
            billed[kind] = httpx.get(f"{url}/_stats").json()["images"]

    with pytest.raises((OSError, SyntaxError)), Image.open(io.BytesIO(answers["corrupt"].content)) as picture:
        picture.verify()
    assert answers["jpeg"].content.startswith(b"\xff\xd8\xff")
    assert answers["jpeg"].headers["Content-Type"] == "image/png"
    with Image.open(io.BytesIO(answers["wrong-size"].content)) as picture:
        assert picture.size == (768, 768)
    assert answers["wrong-size"].headers["X-Image-Width"] == "1024"
    assert (answers["html"].status_code, answers["html"].headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "X-Cost-USD" not in answers["html"].headers
    assert billed == {"corrupt": 1, "jpeg": 1, "wrong-size": 1, "html": 0}


def test_a_token_is_asked_for() -> None:
    """Without it, the API's authentication error."""
    with serve_in_thread(ServerConfig(token="secret")) as url:
        without = httpx.post(url, json=ASK)
        bearing = httpx.post(url, json=ASK, headers={"Authorization": "Bearer secret"})

    assert (without.status_code, without.json()) == (500, {"error": "Authentication error"})
    assert bearing.status_code == 200


def test_an_answer_takes_its_latency() -> None:
    """Counted from the request's arrival."""
    with serve_in_thread(ServerConfig(latency_s=(0.4, 0.5))) as url:
        started = time.monotonic()
        httpx.post(url, json=ASK)

        assert time.monotonic() - started >= 0.4


def test_the_limiter_slides_on_a_clock_of_ours() -> None:
    """A place is free again sixty seconds after it was taken, not at the turn of a minute; each client has its own."""
    now = [0.0]
    limiter = Limiter(2, lambda: now[0])
    verdicts = []
    for at, client in [(0, "a"), (30, "a"), (31, "a"), (31, "b"), (59.5, "a"), (60, "a"), (60, "a")]:
        now[0] = at
        verdicts.append(limiter.refuse(client))

    assert verdicts == [None, None, 29, None, 1, None, 30]


@given(gaps=st.lists(st.floats(0, 20), min_size=1, max_size=60))
def test_the_busiest_minute_is_counted_right(gaps: list[float]) -> None:
    """Against a count of every window there is."""
    now = [0.0]
    statistics = Statistics(lambda: now[0])
    arrivals = []
    for gap in gaps:
        now[0] += gap
        arrivals.append(now[0])
        statistics.arrived()

    busiest = max(sum(end - 60 < at <= end for at in arrivals) for end in arrivals)
    assert statistics.max_requests_in_any_60s == busiest


def test_faults_are_drawn_at_their_rates_and_by_their_seed() -> None:
    """The same seed draws the same; the shares come out."""
    faults = [parse_fault("truncate=0.1"), parse_fault("server-error=0.2")]
    first, second = (FaultDraw(faults, Random(5)) for _ in range(2))
    drawn = [first.draw() for _ in range(5000)]

    assert [second.draw() for _ in range(5000)] == drawn
    assert abs(drawn.count(FaultKind.TRUNCATE) / 5000 - 0.1) < 0.02
    assert abs(drawn.count(FaultKind.SERVER_ERROR) / 5000 - 0.2) < 0.02


@pytest.mark.parametrize(("text", "latency"), [("3-10", (3.0, 10.0)), ("0.5", (0.5, 0.5)), ("0", (0.0, 0.0))])
def test_latencies_are_read(text: str, latency: tuple[float, float]) -> None:
    """A number of seconds, or a range."""
    assert parse_latency(text) == latency


@pytest.mark.parametrize("text", ["", "fast", "10-3", "-1", "1-"])
def test_other_latencies_are_refused(text: str) -> None:
    """With the forms there are."""
    with pytest.raises(UsageError, match="give seconds, like"):
        parse_latency(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("truncat=0.1", "--fault truncat=0.1: no such kind; did you mean truncate?"),
        ("truncate", "--fault truncate: give it a rate from 0 to 1, like truncate=0.1"),
        ("truncate=2", "--fault truncate=2: give it a rate from 0 to 1, like truncate=0.1"),
        ("truncate=nan", "--fault truncate=nan: give it a rate from 0 to 1, like truncate=0.1"),
    ],
)
def test_a_fault_that_cannot_be_read_is_told(text: str, message: str) -> None:
    """What is wrong, and the cure."""
    with pytest.raises(UsageError) as caught:
        parse_fault(text)

    assert str(caught.value) == message


def test_an_unknown_fault_lists_the_kinds() -> None:
    """Where nothing is close."""
    with pytest.raises(UsageError, match="choose one of rate-limit, server-error"):
        parse_fault("zzz=1")


def test_faults_cannot_strike_more_than_every_request() -> None:
    """Rates that add up to more than 1 are refused."""
    with pytest.raises(UsageError, match=r"the rates add up to 1\.1"):
        ServerConfig(faults=(Fault(FaultKind.HANG, 0.6), Fault(FaultKind.RESET, 0.5)))


def test_sketches_are_the_same_for_the_same_and_different_for_different() -> None:
    """By prompt, steps, count and seed; nothing else."""
    engine, size = SketchEngine(0), Size(256, 144)
    asked = ImageRequest("a cat in a garden", 4, AspectRatio.LANDSCAPE)
    cards = [
        engine.paint(asked, size, 1),
        engine.paint(asked, size, 2),
        engine.paint(ImageRequest("a dog in a garden", 4, AspectRatio.LANDSCAPE), size, 1),
        engine.paint(ImageRequest("a cat in a garden", 5, AspectRatio.LANDSCAPE), size, 1),
        SketchEngine(1).paint(asked, size, 1),
    ]

    assert SketchEngine(0).paint(asked, size, 1) == cards[0]
    assert len(set(cards)) == len(cards)


@pytest.mark.parametrize(
    "prompt",
    [
        "a harbor", "a storm at sea, lightning", "city at night",
        "pine forest under snow", "desert dunes", "mountains, a dragon",
        "an apple tree, a cat, a house, a lighthouse, boats and birds in mist and rain",
        "夜明けの港、霧の中", "x" * 2048,
        "مرفأ هادئ عند الفجر", "\n\t", "🙂 " * 600,
    ],
)  # fmt: skip
def test_every_prompt_gets_a_card(prompt: str) -> None:
    """Of any place, weather, script and length."""
    for size in (Size(1344, 768), Size(768, 1344)):
        png = SketchEngine(0).paint(ImageRequest(prompt), size, 1)
        with Image.open(io.BytesIO(png)) as card:
            assert card.size == (size.width, size.height)


def test_a_wrong_size_is_never_the_asked_one() -> None:
    """The model's favorite, or its second."""
    assert [wrong_size(Size(1344, 768)), wrong_size(Size(1024, 1024))] == [Size(1024, 1024), Size(768, 768)]


@pytest.mark.parametrize("host", ["0.0.0.0", "example.com", "10.0.0.1"])
def test_only_loopback_is_served(host: str) -> None:
    """This API is for rehearsal."""
    with pytest.raises(UsageError, match="on loopback only"):
        serve_forever(ServerConfig(), host=host, port=0)


def test_a_taken_port_is_told() -> None:
    """With its number and the cure."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"--port {port}: cannot be listened on: .*; choose another, or 0"):
            serve_forever(ServerConfig(), host="127.0.0.1", port=port)


@pytest.mark.slow
def test_the_command_serves_until_it_is_told_to_stop() -> None:
    """One line says where; a Ctrl-C ends it quietly, hanging answers or not."""
    command = [str(BIN / "storyreel"), "serve", "--port", "0", "--fault", "hang=1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        line = server.stderr.readline()
        url = line.split(" on ")[1].split()[0]
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url, json=ASK, timeout=1)
        server.send_signal(2)
        server.wait(20)
        rest = server.stderr.read()

    assert line.startswith("storyreel serves the FLUX API on http://127.0.0.1:")
    assert (server.returncode, rest) == (0, "")


def test_bills_add_up_exactly() -> None:
    """The book is a sum of Decimals."""
    statistics = Statistics(lambda: 0.0)
    for _ in range(1000):
        statistics.billed(PRICE_LIST.image(Size(1024, 1024), steps=4))

    assert statistics.billed_usd == Decimal("0.652")
