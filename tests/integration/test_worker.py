"""The Worker under Cloudflare's own runtime: what it answers, states and refuses, and what storyreel makes of it."""

import json
import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from PIL import Image

from pipelines.common.geometry import Size
from pipelines.endpoints.answers import Refusal
from pipelines.endpoints.dialects.flux import headers_of, image_bill
from pipelines.endpoints.error_table import ERROR_TABLE, classify_error, read_error
from pipelines.endpoints.prices import price_list
from pipelines.server.config import EngineKind, ServerConfig
from pipelines.server.running import serve_in_thread
from tests.conftest import Board, Storyreel
from tests.support.accounts import QUICK, rows
from tests.support.endpoint import Answer
from tests.support.patience import WAIT_S
from tests.support.pictures import picture_bytes
from tests.support.workerd import Deployment, deployed, error_answer, picture_answer

pytestmark = pytest.mark.xdist_group("workerd")

get, post = partial(httpx.get, timeout=WAIT_S), partial(httpx.post, timeout=WAIT_S)
ASK = {"prompt": "a quiet harbor"}
MODEL = "flux-1-schnell"
LONGEST_PROMPT = 2048
# Of what stands before Workers AI, which the Worker does not ask.
NUMBERS_OF_THE_REST_API = {2001, 6003, 7000, 7003, 9109, 10000}
README = (Path(__file__).parents[2] / "worker" / "README.md").read_text()


@pytest.fixture
def worker(deployment: Deployment) -> Deployment:
    """Return the Worker, before a Workers AI that makes a picture."""
    deployment.answer = picture_answer(picture_bytes("JPEG", (1024, 1024)))
    deployment.workers_ai.requests.clear()
    deployment.workers_ai.headers.clear()
    return deployment


@pytest.fixture(scope="module")
def served_url() -> Iterator[str]:
    """Yield the address of the API as storyreel itself serves it."""
    with serve_in_thread(ServerConfig(engine=EngineKind.PLAIN, rate_limit=0)) as url:
        yield url


def documented_statuses() -> dict[int, int]:
    """Return the status of each of Workers AI's numbers in the README's table."""
    table = re.findall(r"^\| (\d{3}) \|.*\|([^|]*)\|$", README, re.MULTILINE)
    return {int(number): int(status) for status, cell in table for number in re.findall(r"\d{4}", cell)}


# What is made and stated


@pytest.mark.parametrize("steps", range(1, 9))
def test_a_picture_comes_with_its_bill(worker: Deployment, steps: int) -> None:
    """The bytes as they were made, labelled as what they are, under the headers of storyreel's own server."""
    picture = picture_bytes("JPEG", (1024, 1024))
    size = Size(1024, 1024)

    answer = post(worker.url, json={**ASK, "steps": steps})

    assert (answer.status_code, answer.headers["Content-Type"], answer.content) == (200, "image/jpeg", picture)
    expected = headers_of(
        image_bill(price_list("flux").model(MODEL).rates.price(size, steps=steps), size, steps=steps, model=MODEL)
    )
    assert {name: answer.headers[name] for name in expected} == expected


def test_the_headers_are_those_of_the_documentation(worker: Deployment) -> None:
    """In its own letters, for clients that search the header block as text."""
    answer = post(worker.url, json=ASK)
    block = {name.decode(): value.decode() for name, value in answer.headers.raw}

    assert {name: value for name, value in block.items() if name.startswith("X-")} == {
        "X-Cost-USD": "0.000652",
        "X-Cost-THB": "0.0228",
        "X-Neurons-Used": "57.6",
        "X-Image-Width": "1024",
        "X-Image-Height": "1024",
        "X-Steps": "4",
        "X-Tiles": "4",
        "X-Model": MODEL,
    }


@pytest.mark.parametrize("ratio", ["1:1", "16:9", "9:16", "4:3", "3:4"])
def test_what_was_made_is_stated_and_not_what_was_asked_for(worker: Deployment, ratio: str) -> None:
    """The model takes no size: each documented ratio is accepted, and the square is called a square."""
    answer = post(worker.url, json={**ASK, "aspectRatio": ratio})

    stated = [answer.headers[name] for name in ("X-Image-Width", "X-Image-Height", "X-Tiles")]
    assert (answer.status_code, stated) == (200, ["1024", "1024", "4"])


@pytest.mark.parametrize(
    ("size", "progressive", "tiles"),
    [((513, 512), False, "2"), ((640, 1100), True, "6")],
    ids=["one pixel over", "progressive"],
)
def test_the_size_is_measured_in_the_picture(
    worker: Deployment, tmp_path: Path, size: tuple[int, int], progressive: bool, tiles: str
) -> None:
    """Whatever the model makes one day, and however it is encoded; begun tiles count as whole ones."""
    Image.new("RGB", size, "teal").save(tmp_path / "a.jpg", "JPEG", progressive=progressive)
    picture = (tmp_path / "a.jpg").read_bytes()
    # Tables and other segments may stand before the frame header.
    tables = b"\xff\xc4\x00\x14" + bytes(18) + b"\xff\xe1\x01\x00" + bytes(254)
    worker.answer = picture_answer(picture[:2] + tables + picture[2:])

    answer = post(worker.url, json=ASK)

    stated = [answer.headers[name] for name in ("X-Image-Width", "X-Image-Height", "X-Tiles")]
    assert stated == [str(size[0]), str(size[1]), tiles]


def test_the_model_is_asked_for_what_it_takes(worker: Deployment) -> None:
    """Prompt and steps, with the documented defaults; nothing else of the body goes further."""
    post(worker.url, json={**ASK, "aspectRatio": "16:9", "seed": 7})
    post(worker.url, json={**ASK, "steps": 8.0})

    assert [asked["inputs"] for asked in worker.workers_ai.requests] == [{**ASK, "steps": 4}, {**ASK, "steps": 8}]
    models = [headers["cf-consn-model-id"] for headers in worker.workers_ai.headers]
    assert models == [f"@cf/black-forest-labs/{MODEL}"] * 2


# What is refused


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"a harbor"',
        b"7",
        b"\xff",
        b'{"prompt": "\xff"}',
        b"[" * 20_000,
        b"{}",
        b'{"prompt": null}',
        b'{"prompt": ""}',
        b'{"prompt": 0}',
        b'{"prompt": false}',
        b'{"prompt": ["a harbor"]}',
        b'{"prompt": " \\t\\n\\u3000"}',
        b'{"Prompt": "a harbor"}',
        b'{"prompt": "a", "prompt": ""}',
        json.dumps({"prompt": "x" * (LONGEST_PROMPT + 1)}).encode(),
        json.dumps({"prompt": "\N{CAT}" * (LONGEST_PROMPT + 1)}).encode(),
        b'{"prompt": "' + b"x" * 70_000 + b'"}',
        *(b'{"prompt": "x", "steps": %b}' % steps for steps in (b"0", b"9", b"-1", b"1.5", b'"4"', b"true", b"null")),
        *(b'{"prompt": "x", "steps": %b}' % steps for steps in (b"[4]", b"1e400", b"99999999999999999999")),
        *(b'{"prompt": "x", "aspectRatio": %b}' % ratio for ratio in (b'"2:1"', b"null", b"1", b'["1:1"]', b'"1:1 "')),
        b'{"steps": 9, "aspectRatio": "2:1"}',
        b'{"prompt": "x", "steps": 9, "aspectRatio": "2:1"}',
    ],
    ids=lambda content: content[:60].decode(errors="replace"),
)
def test_a_bad_body_is_answered_as_storyreel_answers_it(worker: Deployment, served_url: str, content: bytes) -> None:
    """With the same status and the same words; the model is not asked."""
    here, there = post(worker.url, content=content), post(served_url, content=content)

    assert (here.status_code, here.json()) == (there.status_code, there.json())
    assert (here.status_code, worker.workers_ai.requests) == (400, [])


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"prompt": "x" * LONGEST_PROMPT}).encode(),
        json.dumps({"prompt": "\N{CAT}" * LONGEST_PROMPT}, ensure_ascii=False).encode(),
        b'\xef\xbb\xbf{"prompt": "after a byte order mark"}',
        b' {"prompt": "x", "steps": 1.0, "aspectRatio": "3:4", "more": {}} ',
    ],
    ids=["longest", "longest in code points", "byte order mark", "a float"],
)
def test_a_body_at_the_edge_is_taken_as_storyreel_takes_it(worker: Deployment, served_url: str, content: bytes) -> None:
    """Characters are counted as code points, and no more is refused than must be."""
    assert [post(url, content=content).status_code for url in (worker.url, served_url)] == [200, 200]


def test_a_body_without_a_stated_length_is_bounded(worker: Deployment) -> None:
    """It is counted as it arrives."""
    answer = post(worker.url, content=(b"x" * 1000 for _ in range(100)))

    assert (answer.status_code, answer.json()) == (400, {"error": "Request body is too large"})


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [("PUT", "/", 405, "Method Not Allowed"), ("POST", "/images", 404, "Not Found")],
)
def test_what_the_api_has_not_is_said(worker: Deployment, method: str, path: str, status: int, error: str) -> None:
    """In its own form."""
    answer = httpx.request(method, worker.url + path, json=ASK, timeout=WAIT_S)

    assert (answer.status_code, answer.json(), worker.workers_ai.requests) == (status, {"error": error}, [])


def test_the_token_is_asked_for(workerd: Path, tmp_path: Path) -> None:
    """Before anything is spent; browsers ask beforehand without it, and anyone may read how to ask."""
    with deployed(workerd, tmp_path, token="a secret") as worker:
        sent = ("Bearer a secret", "Bearer a secreT", "a secret", "Bearer", "")
        answers = [post(worker.url, json=ASK, headers={"Authorization": value}) for value in sent]
        without = post(worker.url, json=ASK)
        preflight = httpx.options(worker.url, timeout=WAIT_S)
        welcome = get(worker.url)

    assert [answer.status_code for answer in answers] == [200, 401, 401, 401, 401]
    assert (without.status_code, without.json()) == (401, {"error": "Authentication error"})
    assert classify_error(without.status_code, without.json()["error"]) is Refusal.CREDENTIALS
    assert (len(worker.workers_ai.requests), preflight.status_code, welcome.status_code) == (1, 204, 200)
    assert '-H "Authorization: Bearer $TOKEN"' in welcome.text


# What Workers AI refuses


@pytest.mark.parametrize("number", sorted(documented_statuses()))
def test_each_number_has_its_documented_status(worker: Deployment, number: int) -> None:
    """Its number and words are passed on; from them storyreel reads what they mean."""
    worker.answer = error_answer(number, "AiError: as it happens (a-request-id)")

    answer = post(worker.url, json=ASK)

    words = f"{number}: AiError: as it happens (a-request-id)"
    assert (answer.status_code, answer.json()) == (documented_statuses()[number], {"error": words})
    known = {number: row.refusal for row in ERROR_TABLE for number in row.numbers if not row.words}
    error = read_error(answer.text)
    assert error.message is not None
    assert classify_error(answer.status_code, error.message, codes=error.codes) is known[number]


def test_every_number_that_storyreel_knows_has_a_documented_status() -> None:
    """The Worker's table and storyreel's grow together."""
    known = {number for row in ERROR_TABLE for number in row.numbers}

    assert set(documented_statuses()) == known - NUMBERS_OF_THE_REST_API


@pytest.mark.parametrize("number", [3036, 4006])
def test_a_used_up_allocation_says_when_to_come_back(worker: Deployment, number: int) -> None:
    """At 00:00 UTC."""
    worker.answer = error_answer(number, "you have used up your daily free allocation of 10,000 neurons")

    before = time.time()
    answer = post(worker.url, json=ASK)
    after = time.time()

    midnight = (before // 86_400 + 1) * 86_400
    wait_s = int(answer.headers["Retry-After"])
    # In whole seconds; and midnight itself may pass meanwhile.
    assert midnight - after <= wait_s <= midnight - before + 1 or after >= midnight


@pytest.mark.parametrize(
    ("number", "description", "status", "refusal", "retry_after"),
    [
        (3040, "Capacity temporarily exceeded, please try again.", 503, Refusal.CAPACITY, "10"),
        (3021, "rate limiting: inference request per min rate reached", 429, Refusal.RATE_LIMITED, None),
        (8007, "Input prompt contains NSFW content", 422, Refusal.PROMPT, None),
        (9999, "something new", 502, Refusal.SERVER, None),
    ],
)
def test_other_errors_mean_what_they_say(
    worker: Deployment, number: int, description: str, status: int, refusal: Refusal, retry_after: str | None
) -> None:
    """Their words as they were seen."""
    worker.answer = error_answer(number, description)

    answer = post(worker.url, json=ASK)

    assert (answer.status_code, answer.headers.get("Retry-After")) == (status, retry_after)
    assert classify_error(answer.status_code, answer.json()["error"]) is refusal


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (
            Answer(429, b'{"errors": [{"code": 3036, "message": "used up"}]}', {"Content-Type": "application/json"}),
            429,
            "3036: used up",
        ),
        (Answer(503, b"<html>upstream</html>"), 502, "<html>upstream</html>"),
        (Answer(500), 502, "Workers AI gave no reason"),
        (Answer(502, b"at 3040: no error's number, though it is one's digits"), 502, None),
    ],
    ids=["a list of errors", "a page", "nothing", "digits elsewhere"],
)
def test_errors_in_other_forms_are_errors(worker: Deployment, answer: Answer, status: int, error: str | None) -> None:
    """Their words are passed on; what cannot be told apart is a bad gateway."""
    worker.answer = answer

    got = post(worker.url, json=ASK)

    assert (got.status_code, got.json()) == (status, {"error": answer.body.decode() if error is None else error})


JSON = {"Content-Type": "application/json"}
NO_IMAGE = "Failed to generate image: Workers AI answered without one"
NO_JPEG = "Failed to generate image: Workers AI answered with something other than a JPEG"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(200, b"{}", JSON), NO_IMAGE),
        (Answer(200, b"null", JSON), NO_IMAGE),
        (Answer(200, b'{"image": null}', JSON), NO_IMAGE),
        (Answer(200, b'{"image": "data:image/jpeg;base64,/9j/"}', JSON), NO_IMAGE),
        (Answer(200, b'{"image": "/9j/4"}', JSON), NO_IMAGE),
        (Answer(200, b"raw bytes", {"Content-Type": "image/png"}), NO_IMAGE),
        (Answer(200, b'{"image": ""}', JSON), NO_JPEG),
        (picture_answer(picture_bytes("PNG", (1024, 1024))), NO_JPEG),
        (picture_answer(picture_bytes("JPEG", (64, 64))[:100]), NO_JPEG),
        (picture_answer(b"\xff\xd8\xff\xc0\x00\x11\x08\x04\x00\x04"), NO_JPEG),
        (picture_answer(b"\xff\xd8" + b"\xff\xe0\x00\x00" * 10), NO_JPEG),
        (picture_answer(b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x00\x00\x40\x03\x01\x22\x00"), NO_JPEG),
    ],
    ids=[
        "no key", "null", "null image", "data URL", "cut base64", "a stream", "empty", "PNG", "cut short",
        "cut in the frame header", "segments of no length", "no rows",
    ],
)  # fmt: skip
def test_an_answer_without_a_picture_is_an_error(worker: Deployment, answer: Answer, error: str) -> None:
    """Never a 200 with something else in it, and never a bill."""
    worker.answer = answer

    got = post(worker.url, json=ASK)

    assert (got.status_code, got.json(), got.headers.get("X-Cost-USD")) == (500, {"error": error}, None)


# How pages and people ask


def test_a_page_of_another_origin_may_ask(worker: Deployment) -> None:
    """The browser asks first, and lets the page read the bill; errors too."""
    question = {
        "Origin": "https://a-page.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, authorization",
    }
    preflight = httpx.options(worker.url, headers=question, timeout=WAIT_S)
    answers = [post(worker.url, json=body, headers={"Origin": "https://a-page.example"}) for body in (ASK, {})]

    assert (preflight.status_code, preflight.headers["Access-Control-Allow-Origin"]) == (204, "*")
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert preflight.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type"
    assert [answer.headers["Access-Control-Allow-Origin"] for answer in answers] == ["*", "*"]
    stated = {name for name, _ in answers[0].headers.items() if name.startswith("x-")}
    exposed = {name.lower() for name in answers[0].headers["Access-Control-Expose-Headers"].split(", ")}
    assert exposed == stated | {"retry-after"}


def test_the_address_says_how_to_ask(worker: Deployment) -> None:
    """A person opens it in a browser; it costs nothing."""
    answer = get(worker.url)

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/plain;charset=UTF-8")
    assert f"curl {worker.url} -H" in answer.text
    assert worker.workers_ai.requests == []


# What storyreel makes of it


def test_a_storyboard_is_rendered_through_it(
    worker: Deployment, storyreel: Storyreel, board: Board, tmp_path: Path
) -> None:
    """Three frames of one step, each at the price that was quoted, and an account without a gap."""
    ended = storyreel("render", str(board()), "--endpoint", worker.url, "--json", **QUICK)
    verified = storyreel("ledger", str(tmp_path / "film.yaml"), "--verify")

    assert (ended.exit_code, ended.json["state"], ended.json["generated"]) == (0, "Completed", 3)
    assert (ended.json["cost_usd"], ended.json["neurons"], ended.json["simulated"]) == ("0.000966", "86.4", False)
    assert (verified.exit_code, len(worker.workers_ai.requests)) == (0, 3)
    assert [(row["width"], row["height"], row["tiles"]) for row in rows(tmp_path / "outputs/film")] == [
        ("1024", "1024", "4")
    ] * 3


def test_a_run_ends_where_the_allocation_is_used_up(
    worker: Deployment, storyreel: Storyreel, board: Board, tmp_path: Path
) -> None:
    """Exit code 5 at the first such answer, Workers AI's words told, nothing charged."""
    worker.answer = error_answer(4006, "you have used up your daily free allocation of 10,000 neurons")
    concurrency = {"STORYREEL_CONCURRENCY": "1"}

    ended = storyreel("render", str(board()), "--endpoint", worker.url, "--json", **QUICK, **concurrency)

    assert (ended.exit_code, ended.json["state"], ended.json["cost_usd"]) == (5, "EndpointUnavailable", "0")
    assert "daily free allocation of 10,000 neurons" in ended.stderr
    assert [(row["status"], row["http_status"]) for row in rows(tmp_path / "outputs/film")] == [("rate_limited", "429")]


def test_a_refused_prompt_is_asked_once_more(
    worker: Deployment, storyreel: Storyreel, board: Board, tmp_path: Path
) -> None:
    """Then its frame is missing, and nothing is charged."""
    worker.answer = error_answer(3030, "Input prompt contains NSFW content")

    ended = storyreel("render", str(board(frames=1)), "--endpoint", worker.url, "--json", **QUICK)

    assert (ended.exit_code, ended.json["cost_usd"], len(worker.workers_ai.requests)) == (4, "0", 2)
    assert [(row["status"], row["http_status"]) for row in rows(tmp_path / "outputs/film")] == [("rejected", "422")] * 2
