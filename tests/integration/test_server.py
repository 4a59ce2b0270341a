"""The served API over real sockets: its documented answers, its faults, its rate limiter and its figures."""

import io
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import jsonschema
import pytest
from PIL import Image

from pipelines.common.geometry import AspectRatio
from pipelines.endpoints.prices import price_list
from pipelines.server.config import Fault, FaultKind, ServerConfig
from pipelines.server.description import example_request, welcome
from pipelines.server.running import serve_in_thread
from tests.conftest import BIN
from tests.support.patience import WAIT_S

ASK = {"prompt": "a quiet harbor", "steps": 1}
get, post = partial(httpx.get, timeout=WAIT_S), partial(httpx.post, timeout=WAIT_S)


@pytest.fixture(autouse=True)
def _plain_sketches() -> None:
    """Let the API draw as it does for its users: it is what these tests look at."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve_in_thread(ServerConfig()) as address:
        yield address


@pytest.fixture(scope="module")
def broken_url() -> Iterator[str]:
    """Yield the address of an API that breaks off every image."""
    with serve_in_thread(faulty("truncate")) as address:
        yield address


def faulty(kind: str, **config: Any) -> ServerConfig:
    return ServerConfig(faults=(Fault(FaultKind(kind), 1.0),), **config)


@pytest.mark.parametrize("aspect", list(AspectRatio))
def test_an_image_comes_with_its_bill(url: str, aspect: AspectRatio) -> None:
    """A PNG of the requested size and the headers of the documentation."""
    answer = post(url, json={**ASK, "aspectRatio": aspect.value})

    price = price_list("flux").model("sketch").rates.price(aspect.size, steps=1)
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
    answer = post(url, content=content)

    assert (answer.status_code, answer.json()) == (400, {"error": error})


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/", 405), ("PUT", "/", 405)]
)
def test_other_addresses_and_methods_are_errors_in_json(url: str, method: str, path: str, status: int) -> None:
    """Even what is not the API answers in its form."""
    answer = httpx.request(method, url + path, timeout=WAIT_S)

    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


def test_a_browser_that_opens_the_address_is_told_how_to_ask() -> None:
    """In plain text, and it costs nothing."""
    with serve_in_thread(ServerConfig()) as url:
        shown, head = get(url), httpx.head(url, timeout=WAIT_S)
        figures = get(f"{url}/_stats").json()

    assert (shown.status_code, shown.text) == (200, welcome(url))
    assert shown.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert (head.status_code, head.content) == (200, b"")
    assert (figures["requests"], figures["billed_usd"]) == (0, "0")


@pytest.mark.parametrize(
    ("line", "headers"),
    [
        ("POST / HTTP/1.0", ""),
        ("POST / HTTP/1.1", "Host: localhost\r\nConnection: close\r\n"),
        ("POST /?from=here HTTP/1.1", "Host: [::bad\r\nConnection: close\r\nExpect: 100-continue\r\n"),
    ],
    ids=["HTTP 1.0", "closing", "expecting"],
)
def test_clients_of_every_manner_are_answered(url: str, line: str, headers: str) -> None:
    """Old ones, those that want no second answer, and those that ask before they send a body."""
    body = json.dumps(ASK)
    with socket.create_connection(("127.0.0.1", httpx.URL(url).port or 0), timeout=WAIT_S) as connection:
        connection.sendall(f"{line}\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        answer = b"".join(iter(partial(connection.recv, 1 << 16), b""))

    final = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert (final is not answer) == ("Expect" in headers)
    assert final.startswith(b"HTTP/1.1 200 OK\r\n")
    assert final.endswith(b"IEND\xaeB`\x82")


# --- the names of headers


IMAGE_NAMES = [
    "X-Cost-USD", "X-Cost-THB", "X-Neurons-Used", "X-Image-Width", "X-Image-Height", "X-Steps", "X-Tiles", "X-Model",
    "Content-Length", "Content-Type",
]  # fmt: skip


def names_of(answer: httpx.Response) -> list[str]:
    """Return the names of an answer's headers as they came, without those that the HTTP server itself adds."""
    names = [name.decode() for name, _ in answer.headers.raw]
    return [name for name in names if name not in ("date", "server", "Vary")]


def test_headers_are_named_as_they_are_documented(url: str, broken_url: str) -> None:
    """Clients that search the header block as text find them, in an answer that breaks off too."""
    with httpx.stream("POST", broken_url, json=ASK, timeout=WAIT_S) as broken:
        names = names_of(broken)

    assert names == IMAGE_NAMES
    assert names_of(post(url, json=ASK)) == IMAGE_NAMES
    assert names_of(post(url, json={})) == ["Content-Length", "Content-Type"]


# --- pages of other origins


PAGE = {"Origin": "https://page.example"}
READABLE = {*IMAGE_NAMES, "Retry-After"} - {"Content-Length", "Content-Type"}


def allowance(answer: httpx.Response) -> tuple[str, set[str]]:
    """Return who may read an answer, and which of its headers."""
    exposed = answer.headers.get("Access-Control-Expose-Headers", "")
    return answer.headers.get("Access-Control-Allow-Origin", ""), set(exposed.split(", "))


def test_a_page_of_any_origin_may_ask() -> None:
    """The browser asks first, which is neither counted nor limited."""
    asked = {
        **PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
        "Access-Control-Request-Private-Network": "true",
    }
    with serve_in_thread(ServerConfig(rate_limit=1, token="secret")) as url:
        answers = [httpx.options(url, headers=asked, timeout=WAIT_S) for _ in range(3)]
        figures = get(f"{url}/_stats", headers={"Authorization": "Bearer secret"}).json()

    prefix = "access-control-"
    allowed = [{name: value for name, value in answer.headers.items() if name.startswith(prefix)} for answer in answers]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert (
        allowed
        == [
            {
                f"{prefix}allow-origin": "*",
                f"{prefix}allow-methods": "GET, POST",
                f"{prefix}allow-headers": "Accept, Accept-Language, Authorization, Content-Language, Content-Type",
                f"{prefix}allow-private-network": "true",
                f"{prefix}max-age": "600",
            }
        ]
        * 3
    )
    assert figures["requests"] == 0


def test_a_page_can_read_every_answer(url: str) -> None:
    """The image and its bill; and what is wrong, where it asks wrongly."""
    answers = [
        post(url, json=ASK, headers=PAGE),
        post(url, json={}, headers=PAGE),
        post(f"{url}/nowhere", json=ASK, headers=PAGE),
        httpx.put(url, headers=PAGE, timeout=WAIT_S),
        get(f"{url}/openapi.json", headers=PAGE),
    ]

    assert [answer.status_code for answer in answers] == [200, 400, 404, 405, 200]
    assert [allowance(answer) for answer in answers] == [("*", READABLE)] * 5


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind not in (FaultKind.HANG, FaultKind.RESET)])
def test_a_page_can_read_the_answers_of_faults(kind: FaultKind) -> None:
    """As far as there is one."""
    with (
        serve_in_thread(faulty(kind)) as url,
        httpx.stream("POST", url, json=ASK, headers=PAGE, timeout=WAIT_S) as answer,
    ):
        allowed = allowance(answer)

    assert allowed == ("*", READABLE)


def test_a_page_can_read_when_there_is_room_again() -> None:
    """The limiter's refusal says it in a header."""
    with serve_in_thread(ServerConfig(rate_limit=1)) as url:
        answers = [post(url, json=ASK, headers=PAGE) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 429]
    assert allowance(answers[1]) == ("*", READABLE)
    assert names_of(answers[1])[:3] == ["Retry-After", "Content-Length", "Content-Type"]


def test_the_figures_are_no_pages_business(url: str) -> None:
    """They are for the person who rehearses."""
    answer = get(f"{url}/_stats", headers=PAGE)

    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer.headers


# --- the description for programs


def test_what_is_described_is_what_is_answered(url: str) -> None:
    """Status, type, headers and errors of an image, of a wrong request and of a refusal."""
    described = get(f"{url}/openapi.json").json()
    answers = [post(url, json=ASK), post(url, json={})]
    for config in (ServerConfig(rate_limit=1), faulty("refused")):
        with serve_in_thread(config) as other:
            answers.extend(post(other, json=ASK) for _ in range(2))

    assert [answer.status_code for answer in answers] == [200, 400, 200, 429, 500, 500]
    for answer in answers:
        assert_described(answer, described)


def assert_described(answer: httpx.Response, described: dict[str, Any]) -> None:
    """Compare an answer with its description."""
    response = described["paths"]["/"]["post"]["responses"][str(answer.status_code)]
    headers = response.get("headers", {})
    assert {name for name in names_of(answer) if name not in ("Content-Length", "Content-Type")} == set(headers)
    for name, header in headers.items():
        text = answer.headers[name]
        jsonschema.validate(int(text) if header["schema"]["type"] == "integer" else text, header["schema"])
    [(media_type, content)] = response["content"].items()
    assert answer.headers["Content-Type"] == media_type
    if content:
        jsonschema.validate(answer.json(), {**content["schema"], "components": described["components"]})


def test_the_server_counts_what_it_bills() -> None:
    """Requests, answers and bills, in exactly six figures."""
    with serve_in_thread(ServerConfig()) as url:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda number: post(url, json={**ASK, "prompt": f"view {number}"}), range(3)))
        post(url, json={})
        figures = get(f"{url}/_stats").json()

    in_flight = figures.pop("max_in_flight")
    assert 1 <= in_flight <= 3
    assert figures == {
        "requests": 4,
        "by_status": {"200": 3, "400": 1},
        "billed_usd": "0.000966",
        "images": 3,
        "max_requests_in_any_60s": 4,
    }


def test_the_limiter_is_real() -> None:
    """Past the limit comes 429, with the time to wait."""
    with serve_in_thread(ServerConfig(rate_limit=2)) as url:
        answers = [post(url, json=ASK) for _ in range(3)]
        figures = get(f"{url}/_stats").json()

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json() == {"error": "Rate limited"}
    assert 55 <= int(answers[2].headers["Retry-After"]) <= 60
    assert (figures["images"], figures["requests"]) == (2, 3)


@pytest.mark.parametrize(
    ("kind", "status", "error"),
    [
        ("rate-limit", 429, "Rate limited"),
        ("server-error", 500, "Internal server error"),
        ("authentication", 500, "Authentication error"),
        ("refused", 500, "Failed to generate image"),
    ],
)
def test_faults_without_an_image_bill_nothing(kind: str, status: int, error: str) -> None:
    """The API's own errors."""
    with serve_in_thread(faulty(kind)) as url:
        answer = post(url, json=ASK)
        figures = get(f"{url}/_stats").json()

    assert (answer.status_code, answer.json()) == (status, {"error": error})
    assert (figures["billed_usd"], figures["images"]) == ("0", 0)


@pytest.mark.parametrize("kind", ["hang", "reset", "truncate"])
def test_faults_that_lose_the_answer_bill_it(kind: str) -> None:
    """The generation happened; the client sees a broken connection or nothing at all."""
    with serve_in_thread(faulty(kind)) as url:
        with pytest.raises(httpx.TransportError):
            httpx.post(url, json=ASK, timeout=0.7)
        # A client that has gone is noticed a moment later.
        figures = _final_figures(url)

    assert (figures["billed_usd"], figures["images"]) == ("0.000322", 1)
    assert figures["by_status"] == ({"200": 1} if kind == "truncate" else {"none": 1})


def _final_figures(url: str) -> dict[str, Any]:
    deadline = time.monotonic() + WAIT_S
    while not (figures := get(f"{url}/_stats").json())["by_status"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return dict(figures)


def test_a_truncated_answer_promises_the_whole() -> None:
    """Length and bill are those of a good answer; half of the body comes."""
    with serve_in_thread(faulty("truncate")) as url, httpx.stream("POST", url, json=ASK, timeout=WAIT_S) as answer:
        received = 0
        with pytest.raises(httpx.RemoteProtocolError):
            for chunk in answer.iter_raw():
                received += len(chunk)

        assert 0 < received < int(answer.headers["Content-Length"])
        assert answer.headers["X-Cost-USD"] == "0.000322"


def test_faults_that_spoil_the_image_bill_it() -> None:
    """Damaged bytes, a JPEG by another name, another size than in the headers; a web page costs nothing."""
    answers = {}
    billed = {}
    for kind in ("corrupt", "jpeg", "wrong-size", "html"):
        with serve_in_thread(faulty(kind)) as url:
            answers[kind] = post(url, json=ASK)
            billed[kind] = get(f"{url}/_stats").json()["images"]

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


def test_a_token_is_required() -> None:
    """Without it, the API's authentication error."""
    with serve_in_thread(ServerConfig(token="secret")) as url:
        without = post(url, json=ASK)
        bearing = post(url, json=ASK, headers={"Authorization": "Bearer secret"})

    assert (without.status_code, without.json()) == (500, {"error": "Authentication error"})
    assert bearing.status_code == 200


def test_an_answer_takes_its_latency() -> None:
    """Counted from the request's arrival."""
    with serve_in_thread(ServerConfig(latency_s=(0.4, 0.5))) as url:
        started = time.monotonic()
        post(url, json=ASK)

        assert time.monotonic() - started >= 0.4


@pytest.mark.slow
def test_the_command_serves_until_it_is_stopped() -> None:
    """It tells its address and how to ask it; a Ctrl-C ends it quietly, hanging answers or not."""
    command = [str(BIN / "storyreel"), "serve", "--port", "0", "--fault", "hang=1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        line = server.stderr.readline()
        url = line.split(" on ")[1].split()[0]
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url, json=ASK, timeout=1)
        server.send_signal(2)
        server.wait(WAIT_S)
        rest = server.stderr.read()

    assert line.startswith("storyreel serves the FLUX API on http://127.0.0.1:")
    assert (server.returncode, rest) == (0, f"  {example_request(url)}\n")
