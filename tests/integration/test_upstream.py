"""The served API in front of another endpoint, over real sockets: what is passed on, what is billed, and the book."""

import contextlib
import functools
import sqlite3
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from pipelines.common.errors import UsageError
from pipelines.endpoints.client import Endpoint, Timeouts
from pipelines.endpoints.dialects.flux import DIALECT, read_bill
from pipelines.server.config import EngineKind, ServerConfig, UpstreamConfig
from pipelines.server.running import serve_forever
from tests.conftest import Board, Storyreel, serving, wait_until
from tests.support.accounts import QUICK, rows, stats
from tests.support.endpoint import Answer, refusal, served
from tests.support.patience import WAIT_S
from tests.support.pictures import picture_bytes
from tests.support.upstreams import FLUX_MODEL, SILENT_DIALECT, SILENT_MODEL, book_rows, passing_on

ASK = {"prompt": "a quiet harbor", "steps": 1}
post = functools.partial(httpx.post, json=ASK, timeout=WAIT_S)
BILL = {
    "X-Cost-USD": "0.000652",
    "X-Cost-THB": "0.0228",
    "X-Neurons-Used": "57.60",
    "X-Steps": "1",
    "X-Tiles": "4",
    "X-Model": "flux-1-schnell",
}
PICTURE = picture_bytes("PNG", (64, 48))
Book = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def book(tmp_path: Path) -> Book:
    """Return a function that reads the book's rows."""
    return lambda: book_rows(tmp_path / "book.db")


def figures_of(answer: httpx.Response) -> dict[str, str]:
    """Return the headers of an answer by which it says what it is and costs."""
    return {name.decode(): value.decode() for name, value in answer.headers.raw if name.startswith(b"X-")}


# --- pictures and bills


def test_a_picture_is_passed_on_as_it_is(tmp_path: Path, book: Book) -> None:
    """To the byte, with what its endpoint states; asked for once."""
    with served(lambda *_: Answer(200, PICTURE, BILL)) as endpoint, passing_on(endpoint.url, tmp_path) as url:
        answer = post(url)

    assert (answer.status_code, answer.content) == (200, PICTURE)
    assert answer.headers["Content-Type"] == "image/png"
    assert figures_of(answer) == {**BILL, "X-Image-Width": "64", "X-Image-Height": "48"}
    assert endpoint.requests == [{**ASK, "aspectRatio": "1:1"}]
    (row,) = book()
    assert (row["status"], row["cost_usd"], row["neurons"], row["bytes"]) == (200, "0.000652", "57.6", len(PICTURE))


@pytest.mark.parametrize(("kind", "media_type"), [("JPEG", "image/jpeg"), ("WEBP", "image/webp")])
def test_a_picture_is_called_what_its_bytes_are(tmp_path: Path, kind: str, media_type: str) -> None:
    """With its true size, whatever the endpoint says of both."""
    wrong = {**BILL, "Content-Type": "image/png", "X-Image-Width": "1024", "X-Image-Height": "1024"}
    picture = picture_bytes(kind, (64, 48))
    with served(lambda *_: Answer(200, picture, wrong)) as endpoint, passing_on(endpoint.url, tmp_path) as url:
        answer = post(url)

    assert (answer.headers["Content-Type"], answer.content) == (media_type, picture)
    assert (answer.headers["X-Image-Width"], answer.headers["X-Image-Height"]) == ("64", "48")


def test_a_cost_that_is_not_known_is_left_out(tmp_path: Path, book: Book) -> None:
    """The dialect states bills, this answer does not: it is uncertain, not free."""
    with served(lambda *_: Answer(200, PICTURE)) as endpoint, passing_on(endpoint.url, tmp_path) as url:
        answer = post(url)
        figures = stats(url)

    assert figures_of(answer) == {"X-Image-Width": "64", "X-Image-Height": "48", "X-Model": "flux-1-schnell"}
    assert (figures["billed_usd"], figures["uncertain"], book()[0]["cost_usd"]) == ("0", 1, None)


def test_what_a_dialect_never_states_is_priced_by_the_list(tmp_path: Path, book: Book) -> None:
    """In dollars, and in baht at the API's rate."""
    with served(lambda *_: Answer(200, PICTURE)) as stub:
        endpoint = Endpoint(stub.url, SILENT_DIALECT, SILENT_MODEL)
        with passing_on(endpoint, tmp_path) as url:
            answer = post(url)

    bill = read_bill(answer.headers)
    assert (bill.cost_usd, bill.cost_thb, bill.model) == (Decimal("0.04"), Decimal("1.4"), "painter")
    assert (book()[0]["cost_usd"], book()[0]["model"]) == ("0.04", "painter")


# --- errors


@pytest.mark.parametrize(
    ("given", "status", "text"),
    [
        (refusal(400, "Prompt is required"), 400, "Prompt is required"),
        (refusal(401, "Invalid token"), 401, "Invalid token"),
        (refusal(500, "Authentication error"), 500, "Authentication error"),
        (refusal(500, "InferenceUpstreamError: 3040: Capacity"), 500, "InferenceUpstreamError: 3040: Capacity"),
        (Answer(429, b'{"errors": [{"code": 3036, "message": "limited"}]}'), 429, "3036: limited"),
        (Answer(409, b'{"errors": [{"code": 8007, "message": "8007: NSFW"}]}'), 409, "8007: NSFW"),
        (Answer(302, b"", {"Location": "http://127.0.0.1:1"}), 502, "Found"),
    ],
)
def test_a_refusal_is_passed_on_in_its_own_words(
    tmp_path: Path, book: Book, given: Answer, status: int, text: str
) -> None:
    """With its status and Workers AI's number; asked once, and free."""
    with served(lambda *_: given) as endpoint, passing_on(endpoint.url, tmp_path) as url:
        answer = post(url)

    assert (answer.status_code, answer.json()) == (status, {"error": text})
    assert len(endpoint.requests) == 1
    assert [(row["status"], row["cost_usd"], row["bytes"]) for row in book()] == [(given.status, "0", None)]


def test_the_time_to_wait_is_passed_on(tmp_path: Path) -> None:
    """In whole seconds, and not a moment too short."""
    given = refusal(429, "Rate limited", **{"Retry-After": "6.2"})
    with served(lambda *_: given) as endpoint, passing_on(endpoint.url, tmp_path) as url:
        answer = post(url)

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")


def test_an_error_of_something_before_the_endpoint_is_uncertain(tmp_path: Path, book: Book) -> None:
    """It need not know of an image; the text says so under the status that it has."""
    given = Answer(520, b"<title>web server returns an unknown error</title>")
    with served(lambda *_: given) as endpoint, passing_on(endpoint.url, tmp_path) as url:
        answer = post(url)
        uncertain = stats(url)["uncertain"]

    assert answer.status_code == 520
    assert answer.json()["error"].startswith("may have been billed: <title>")
    assert (book()[0]["cost_usd"], uncertain) == (None, 1)


def test_an_error_that_states_its_cost_is_billed(tmp_path: Path, book: Book) -> None:
    """The client is told, and so is the book."""
    given = refusal(500, "Failed to generate image", **{"X-Cost-USD": "0.000322"})
    with served(lambda *_: given) as endpoint, passing_on(endpoint.url, tmp_path) as url:
        answer = post(url)

    assert (answer.status_code, answer.headers["X-Cost-USD"]) == (500, "0.000322")
    assert book()[0]["cost_usd"] == "0.000322"


def test_an_endpoint_that_is_not_there_costs_nothing(tmp_path: Path, book: Book) -> None:
    """Nothing was sent, and it says so."""
    with served(lambda *_: Answer()) as endpoint:
        pass
    with passing_on(endpoint.url, tmp_path) as url:
        answer = post(url)

    assert answer.status_code == 502
    assert answer.json()["error"].startswith(f"cannot connect to {endpoint.url}: ")
    assert answer.json()["error"].endswith("; nothing was sent")
    assert [(row["status"], row["cost_usd"]) for row in book()] == [(None, "0")]


def test_an_endpoint_that_does_not_answer_may_have_billed(tmp_path: Path, book: Book) -> None:
    """It was sent once; the cost is uncertain."""
    go_on = threading.Event()

    def late(*_: object) -> Answer:
        go_on.wait(WAIT_S)
        return Answer()

    with served(late) as endpoint:
        with passing_on(endpoint.url, tmp_path, timeouts=Timeouts(read_s=0.3)) as url:
            answer = post(url)
            figures = stats(url)
        go_on.set()

    assert (answer.status_code, answer.json()) == (
        504,
        {"error": "the request was sent, and may have been billed: no answer: ReadTimeout"},
    )
    assert (len(endpoint.requests), figures["by_status"], figures["uncertain"]) == (1, {"none": 1}, 1)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("truncate=1", "the body broke off"), ("html=1", "may have been billed: a web page, not an image")],
)
def test_an_answer_without_a_picture_is_a_bad_gateway(tmp_path: Path, book: Book, fault: str, reason: str) -> None:
    """Billed as its headers state it, which the error repeats; uncertain where they state nothing."""
    with serving(fault) as endpoint, passing_on(endpoint, tmp_path) as url:
        answer = post(url)
        account, figures = stats(endpoint), stats(url)

    billed = "0.000322" if fault == "truncate=1" else None
    assert answer.status_code == 502
    assert reason in answer.json()["error"]
    assert answer.headers.get("X-Cost-USD") == billed
    assert [(row["status"], row["cost_usd"], row["bytes"]) for row in book()] == [(200, billed, None)]
    assert (figures["billed_usd"], figures["uncertain"]) == (account["billed_usd"], 0 if billed else 1)


def test_an_error_in_a_pictures_place_keeps_its_number(tmp_path: Path) -> None:
    """By it clients tell what it means."""
    given = Answer(200, b'{"success": false, "errors": [{"code": 3040, "message": "out of capacity"}]}')
    with served(lambda *_: given) as endpoint, passing_on(endpoint.url, tmp_path) as url:
        answer = post(url)

    assert answer.status_code == 502
    assert answer.json()["error"].endswith("may have been billed: 3040: out of capacity")


def test_a_wrong_request_is_not_sent(tmp_path: Path, book: Book) -> None:
    """What the API would refuse, and what no book can hold."""
    with served(lambda *_: Answer()) as endpoint, passing_on(endpoint.url, tmp_path) as url:
        bodies = ("{}", '{"prompt": "x", "steps": 9}', r'{"prompt": "\ud83d"}')
        answers = [post(url, json=None, content=body) for body in bodies]

    assert [answer.status_code for answer in answers] == [400, 400, 400]
    assert answers[-1].json() == {"error": "Prompt must be text; it holds half of a surrogate pair"}
    assert (endpoint.requests, book()) == ([], [])


def test_what_cannot_be_entered_is_not_sent(tmp_path: Path) -> None:
    """No request is sent that would be in no book; the error names no file."""
    with served(lambda *_: Answer(200, PICTURE, BILL)) as endpoint, passing_on(endpoint.url, tmp_path) as url:
        with contextlib.closing(sqlite3.connect(tmp_path / "book.db")) as other:
            other.execute("DROP TABLE requests")
        answer = post(url)

    assert (answer.status_code, answer.json()) == (500, {"error": "The book cannot be written; nothing was sent"})
    assert endpoint.requests == []


def test_what_cannot_be_entered_any_more_is_still_answered(tmp_path: Path) -> None:
    """It is paid for: the client gets its picture, though the book broke meanwhile."""

    def breaking(*_: object) -> Answer:
        with contextlib.closing(sqlite3.connect(tmp_path / "book.db")) as other:
            other.execute("DROP TABLE requests")
        return Answer(200, PICTURE, BILL)

    with served(breaking) as endpoint, passing_on(endpoint.url, tmp_path) as url:
        answer = post(url)

    assert (answer.status_code, answer.content) == (200, PICTURE)


def test_a_model_of_any_script_is_named(tmp_path: Path) -> None:
    """By its codes, where a header cannot carry its letters."""
    named = {**BILL, "X-Model": "\xe9bauche"}
    with served(lambda *_: Answer(200, PICTURE, named)) as endpoint, passing_on(endpoint.url, tmp_path) as url:
        answer = post(url)

    assert (answer.status_code, answer.headers["X-Model"]) == (200, r"\xe9bauche")


# --- clients that go, and servers that come again


def test_a_client_that_goes_does_not_lose_what_is_paid(tmp_path: Path, book: Book) -> None:
    """The answer is awaited, and entered."""
    go_on = threading.Event()

    def late(*_: object) -> Answer:
        go_on.wait(WAIT_S)
        return Answer(200, PICTURE, BILL)

    with served(late) as endpoint, passing_on(endpoint.url, tmp_path) as url:
        with pytest.raises(httpx.ReadTimeout):
            post(url, timeout=0.5)
        in_flight = book()
        go_on.set()
        wait_until(lambda: book()[0]["ended_at"] is not None)

    assert [(row["ended_at"], row["cost_usd"]) for row in in_flight] == [(None, None)]
    assert [(row["status"], row["cost_usd"], row["bytes"]) for row in book()] == [(200, "0.000652", len(PICTURE))]


def test_a_server_that_is_stopped_awaits_what_is_paid(tmp_path: Path, book: Book) -> None:
    """Its client gets the picture."""
    go_on = threading.Event()
    answers: list[httpx.Response] = []

    def late(*_: object) -> Answer:
        threading.Timer(0.5, go_on.set).start()
        go_on.wait(WAIT_S)
        return Answer(200, PICTURE, BILL)

    with served(late) as endpoint:
        with passing_on(endpoint.url, tmp_path) as url:
            client = threading.Thread(target=lambda: answers.append(post(url)))
            client.start()
            wait_until(lambda: bool(endpoint.requests))
        client.join(WAIT_S)

    assert [answer.content for answer in answers] == [PICTURE]
    assert [row["cost_usd"] for row in book()] == ["0.000652"]


def test_the_limit_holds_for_all_clients_and_over_a_restart(tmp_path: Path) -> None:
    """What is over it is told when to come again, and is not sent; a wrong request takes no place."""
    with served(lambda *_: Answer(200, PICTURE, BILL)) as endpoint:
        with passing_on(endpoint.url, tmp_path, rate_limit=2) as url:
            before = [post(url, json={}), post(url), post(url), post(url)]
        with passing_on(endpoint.url, tmp_path, rate_limit=3) as url:
            after = [post(url), post(url)]
            figures = stats(url)

    assert [answer.status_code for answer in [*before, *after]] == [400, 200, 200, 429, 200, 429]
    refused = [before[-1], after[-1]]
    assert [answer.json() for answer in refused] == [{"error": "Rate limited"}] * 2
    assert all(1 <= int(answer.headers["Retry-After"]) <= 61 for answer in refused)
    assert len(endpoint.requests) == 3
    assert figures == {
        "requests": 3,
        "by_status": {"200": 3},
        "billed_usd": "0.001956",
        "images": 3,
        "max_in_flight": 1,
        "max_requests_in_any_60s": 3,
        "uncertain": 0,
    }


def test_nothing_waits_in_a_queue(tmp_path: Path) -> None:
    """What waited for longer than its client does would be paid for in vain."""
    go_on = threading.Event()

    def late(*_: object) -> Answer:
        go_on.wait(WAIT_S)
        return Answer(200, PICTURE, BILL)

    with served(late) as endpoint, passing_on(endpoint.url, tmp_path, concurrency=1) as url:
        first = threading.Thread(target=post, args=(url,))
        first.start()
        wait_until(lambda: bool(endpoint.requests))
        second = post(url)
        go_on.set()
        first.join(WAIT_S)

    assert (second.status_code, second.headers["Retry-After"]) == (429, "1")
    assert len(endpoint.requests) == 1


def test_a_server_in_front_of_itself_is_refused(tmp_path: Path) -> None:
    """Under any name of this machine."""
    with served(lambda *_: Answer()) as endpoint:
        port = httpx.URL(endpoint.url).port or 0
    config = UpstreamConfig(Endpoint(f"http://localhost:{port}/", DIALECT, FLUX_MODEL), tmp_path / "book.db")

    serving_itself = ServerConfig(engine=EngineKind.UPSTREAM, upstream=config)

    with pytest.raises(UsageError, match=f"--endpoint http://localhost:{port}/: is this server itself"):
        serve_forever(serving_itself, host="127.0.0.1", port=port)


# --- who may ask


def test_a_page_cannot_spend(tmp_path: Path) -> None:
    """Not without a token; programs, which name no origin, can."""
    page = {"Origin": "https://page.example"}
    with served(lambda *_: Answer(200, PICTURE, BILL)) as endpoint:
        with passing_on(endpoint.url, tmp_path) as url:
            refused = [post(url, headers=page), httpx.options(url, headers=page, timeout=WAIT_S)]
        with passing_on(endpoint.url, tmp_path, token="s3cret") as url:
            bearing = post(url, headers={**page, "Authorization": "Bearer s3cret"})

    assert [answer.status_code for answer in refused] == [403, 403]
    assert "Access-Control-Allow-Origin" not in refused[0].headers
    assert (bearing.status_code, bearing.headers["Access-Control-Allow-Origin"]) == (200, "*")
    assert len(endpoint.requests) == 1


def test_only_the_endpoint_sees_its_token(tmp_path: Path) -> None:
    """It goes there, and the client's own does not; where it is refused, its text is not repeated."""
    given = refusal(401, "Bearer t0ken-of-ours is not known")
    with served(lambda *_: given) as stub:
        endpoint = Endpoint(stub.url, DIALECT, FLUX_MODEL, "t0ken-of-ours")
        with passing_on(endpoint, tmp_path, token="s3cret") as url:
            without = [post(url), httpx.get(f"{url}/_stats", timeout=WAIT_S)]
            answer = post(url, headers={"Authorization": "Bearer s3cret"})

    assert [(one.status_code, one.json()) for one in without] == [(500, {"error": "Authentication error"})] * 2
    assert (answer.status_code, answer.json()) == (401, {"error": "Bearer *** is not known"})


def test_it_says_what_it_is(tmp_path: Path) -> None:
    """To people and to programs: nothing here is a rehearsal."""
    with (
        served(lambda *_: Answer(200, picture_bytes("JPEG", (8, 8)))) as endpoint,
        passing_on(endpoint.url, tmp_path) as url,
    ):
        shown = httpx.get(url, timeout=WAIT_S).text
        described = httpx.get(f"{url}/openapi.json", timeout=WAIT_S).json()
        answer = post(url)

    assert "Its images come from another endpoint, and cost what that bills." in shown
    assert list(OpenAPIV31SpecValidator(described).iter_errors()) == []
    response = described["paths"]["/"]["post"]["responses"]["200"]
    assert answer.headers["Content-Type"] in response["content"]
    assert set(figures_of(answer)) <= set(response["headers"])
    jsonschema.validate(int(answer.headers["X-Image-Width"]), response["headers"]["X-Image-Width"]["schema"])


# --- a whole render


def test_a_render_through_it_is_whole_and_both_accounts_agree(
    storyreel: Storyreel, board: Board, tmp_path: Path
) -> None:
    """To the last digit, over faults of the endpoint: the client's ledger, the book, the seller's own account."""
    patient = {**QUICK, "STORYREEL_MAX_RESENDS": "50", "STORYREEL_RETRY_QUOTA": "500"}
    with (
        serving("server-error=0.2", "truncate=0.2", rate_limit=0) as seller,
        passing_on(seller, tmp_path) as url,
    ):
        ended = storyreel("render", str(board(frames=12)), "--endpoint", url, "--model", "sketch", "--json", **patient)
        book, account = stats(url), stats(seller)
    verified = storyreel("ledger", "film.yaml", "--verify")

    folder = tmp_path / "outputs/film"
    assert (ended.exit_code, ended.json["state"], ended.json["uncertain_usd"]) == (0, "Completed", "0")
    assert (folder / "film.mp4").is_file()
    assert verified.exit_code == 0
    charged = sum((Decimal(row["cost_usd"]) for row in rows(folder)), Decimal(0))
    assert charged == Decimal(book["billed_usd"]) == Decimal(account["billed_usd"])
    assert (len(rows(folder)), book["requests"]) == (account["requests"], account["requests"])
    assert book["by_status"] == account["by_status"]
    assert book["images"] == account["images"] > 12
