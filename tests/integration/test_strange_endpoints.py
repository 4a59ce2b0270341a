"""Endpoints as strangers run them: what they bill in silence, what they answer instead of images, what they make."""

import base64
import io
import json
import re
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.conftest import Storyreel
from tests.support.accounts import QUICK, rows
from tests.support.endpoint import Answer, Answering, refusal, served
from tests.support.pictures import picture_bytes

COST = {"X-Cost-USD": "0.000652"}
SQUARE = (1024, 1024)


def picture(number: int, kind: str = "PNG", size: tuple[int, int] = SQUARE) -> bytes:
    """Return a picture unlike that of any other number."""
    return picture_bytes(kind, size, (number % 256, 90, 160))


@pytest.fixture
def write_board(tmp_path: Path) -> Callable[..., str]:
    """Return a function that writes a storyboard of these prompts, and returns its name."""

    def write(*prompts: str, aspect: str = "1:1", name: str = "film.yaml") -> str:
        lines = ["output: {fps: 12, size: 64x64}", f"defaults: {{aspect: {aspect}, hold: 0.25s}}", "prompts:"]
        lines += [f"  - {json.dumps(prompt)}" for prompt in prompts]
        (tmp_path / name).write_text("\n".join(lines))
        return name

    return write


def render(storyreel: Storyreel, board: str, url: str, **settings: str) -> Any:
    """Render a storyboard at an endpoint, as fast as it answers."""
    return storyreel("render", board, "--endpoint", url, "--json", **{**QUICK, **settings})


def told(usd: str, uncertain: str) -> str:
    """Return a sum and what is not known of it, as it is told everywhere."""
    return f"{usd} USD and at most {uncertain} uncertain"


# What is billed without a word


def test_what_is_not_known_is_told_wherever_the_sum_is(storyreel: Storyreel, write_board: Callable[..., str]) -> None:
    """Terminal, JSON, ledger, status, report: two stated costs, three that are not known."""
    costs = iter([COST, {}, COST, {"X-Cost-USD": "$0.000652"}, {"X-Cost-USD": "-1"}])
    with served(lambda _, number: Answer(200, picture(number), next(costs))) as endpoint:
        board = write_board(*"abcde")
        ended = render(storyreel, board, endpoint.url)
    ledger, status = storyreel("ledger", board), storyreel("status", board)

    sentence = told("0.001304", "0.001956")
    assert ended.exit_code == 0
    assert (ended.json["cost_usd"], ended.json["uncertain_usd"]) == ("0.001304", "0.001956")
    for said in (ended.stderr, ledger.stderr, status.stderr):
        assert sentence in said
    report = Path("outputs/film/report.html").read_text()
    assert "at most 0.001956 USD uncertain" in report
    assert told("0", "0.000652") in report
    bases = sorted((row["cost_usd"], row["cost_basis"]) for row in rows(Path("outputs/film")))
    assert bases == [("", "")] * 3 + [("0.000652", "stated")] * 2


@pytest.mark.parametrize(
    ("header", "cost"),
    [
        ("0.000652", "0.000652"),
        ("6.52E-4", "0.000652"),
        (" 0.000652 ", "0.000652"),
        (".000652", "0.000652"),
        ("$0.000652", ""),
        ("0,000652", ""),
        ("-1", ""),
        ("NaN", ""),
        ("Infinity", ""),
        ("1e-999999", ""),
        ("1e999999", ""),
        ("0_1", ""),
        ("0.000652, 0.000652", ""),
        ("9" * 5000, ""),
        ("free", ""),
    ],
)
def test_a_cost_that_is_no_figure_is_unknown(
    storyreel: Storyreel, write_board: Callable[..., str], header: str, cost: str
) -> None:
    """It stays charged at what was reserved, and never bursts whoever prints it."""
    with served(lambda _, number: Answer(200, picture(number), {"X-Cost-USD": header})) as endpoint:
        ended = render(storyreel, write_board("a"), endpoint.url)

    [row] = rows(Path("outputs/film"))
    assert (ended.exit_code, row["cost_usd"]) == (0, cost)
    assert ended.json["uncertain_usd"] == ("0" if cost else "0.000652")


def test_an_error_of_foreign_words_can_be_settled(storyreel: Storyreel, write_board: Callable[..., str]) -> None:
    """A page from something before the API: its cost is unknown until a person has found it out."""
    answers = [Answer(524, b"error code: 524"), Answer(200, picture(1), COST)]
    with served(lambda _, number: answers[number - 1]) as endpoint:
        board = write_board("a")
        ended = render(storyreel, board, endpoint.url)
    settled = storyreel("ledger", board, "--settle", "1", "--cost", "0.0001", "--why", "invoice", "--json")
    verified = storyreel("ledger", board, "--verify")

    assert (ended.exit_code, ended.json["uncertain_usd"]) == (0, "0.000652")
    assert settled.json["real"]["cost_usd"] == "0.000752"
    assert (settled.json["real"]["uncertain_usd"], settled.json["unsettled"]) == ("0", [])
    assert verified.exit_code == 0
    [first, _] = rows(Path("outputs/film"))
    assert (first["status"], first["cost_usd"], first["cost_basis"]) == ("failed", "0.0001", "settled")


@pytest.mark.parametrize("status", [201, 203, 206])
def test_another_2xx_is_kept_and_its_cost_is_unknown(
    storyreel: Storyreel, write_board: Callable[..., str], status: int
) -> None:
    """The seller billed it: nothing is thrown away, nothing is entered as free."""
    with served(lambda _, number: Answer(status, picture(number))) as endpoint:
        ended = render(storyreel, write_board("a"), endpoint.url)

    [row] = rows(Path("outputs/film"))
    assert (ended.exit_code, ended.json["generated"], ended.json["uncertain_usd"]) == (0, 1, "0.000652")
    assert (row["status"], row["http_status"], row["cost_usd"]) == ("ok", str(status), "")


# What is answered instead of an image


def as_json(_: dict[str, Any], number: int) -> Answer:
    """Answer with an image inside of JSON, billed."""
    body = json.dumps({"image": base64.b64encode(picture(number)).decode()})
    return Answer(200, body.encode(), COST)


HOPELESS: dict[str, tuple[Answering, str]] = {
    "image in JSON": (as_json, "JSON"),
    "the same 500": (lambda _, __: refusal(500, "TypeError: x is undefined"), "TypeError: x is undefined"),
    "a web page": (lambda _, __: Answer(200, b"<html>hello", COST), "a web page, not an image"),
    "an empty 204": (lambda _, __: Answer(204), "an empty"),
    "the same 400": (lambda _, __: refusal(400, "Prompt is required"), "Prompt is required"),
}


@pytest.mark.parametrize("way", HOPELESS)
def test_an_endpoint_that_gives_no_image_at_all_is_left(
    storyreel: Storyreel, write_board: Callable[..., str], way: str
) -> None:
    """Exit code 5, its words told in one sentence; nothing more is sent once the fifth frame has its answer."""
    answering, words = HOPELESS[way]
    with served(answering) as endpoint:
        board = write_board(*(f"a cat number {number}" for number in range(40)))
        ended = render(storyreel, board, endpoint.url, STORYREEL_CONCURRENCY="4")

        # Four at once: each may be sent four times before the fifth frame has its turn.
        assert len(endpoint.requests) <= 4 * 4 + 4
        assert len({request["prompt"] for request in endpoint.requests}) <= 5 + 3
    assert (ended.exit_code, ended.json["state"]) == (5, "EndpointUnavailable")
    assert "answered 5 frames in the same way" in ended.json["error"]
    assert words in ended.json["error"]


def test_a_lack_of_capacity_is_waited_for(storyreel: Storyreel, write_board: Callable[..., str]) -> None:
    """From the first request on, for seconds: no frame is lost, nothing is spent of what bounds the bill."""
    opens_at = time.monotonic() + 2

    def answering(_: dict[str, Any], number: int) -> Answer:
        full = time.monotonic() < opens_at
        return refusal(500, "3040: Capacity temporarily exceeded") if full else Answer(200, picture(number), COST)

    with served(answering) as endpoint:
        board = write_board(*(f"view {number}" for number in range(20)))
        ended = render(storyreel, board, endpoint.url, STORYREEL_RETRY_QUOTA="0", STORYREEL_MAX_RESENDS="0")

    assert (ended.exit_code, ended.json["generated"], ended.json["failed"]) == (0, 20, 0)
    assert (ended.json["cost_usd"], ended.json["uncertain_usd"]) == ("0.01304", "0")


@pytest.mark.parametrize("status", [400, 409, 422, 500])
@pytest.mark.parametrize("words", ["8007: Input prompt contains NSFW content.", "3030: refused", "this is NSFW"])
def test_a_refused_prompt_is_tried_once_more_then_gives_way(
    storyreel: Storyreel, tmp_path: Path, status: int, words: str
) -> None:
    """Whatever the status."""

    def answering(body: dict[str, Any], number: int) -> Answer:
        return Answer(200, picture(number), COST) if body["prompt"] == "a plain cat" else refusal(status, words)

    shot = "{id: a, prompt: a bare cat, fallback_prompts: [a plain cat]}"
    (tmp_path / "film.yaml").write_text(f"output: {{size: 64x64}}\nscenes: [{{shots: [{shot}]}}]")
    with served(answering) as endpoint:
        ended = render(storyreel, "film.yaml", endpoint.url)

        asked = [request["prompt"] for request in endpoint.requests]
    assert (ended.exit_code, asked) == (0, ["a bare cat", "a bare cat", "a plain cat"])


@pytest.mark.parametrize("number", [3023, 3036, 3039, 3041, 3042, 4006, 5007, 5016, 5018, 5019, 5035])
def test_what_every_frame_would_meet_stops_the_run(
    storyreel: Storyreel, write_board: Callable[..., str], number: int
) -> None:
    """One request each for what is in flight, whatever the status."""
    status = {3036: 429, 4006: 429, 3042: 404, 5007: 422}.get(number, 500)
    with served(lambda _, __: refusal(status, f"AiError: {number}: no")) as endpoint:
        ended = render(storyreel, write_board(*"abcdefgh"), endpoint.url, STORYREEL_CONCURRENCY="1")

        assert len(endpoint.requests) == 1
    assert (ended.exit_code, ended.json["state"], ended.json["cost_usd"]) == (5, "EndpointUnavailable", "0")
    assert f"{number}: no" in ended.json["error"]


@pytest.mark.parametrize("number", [3003, 3006, 5004, 5005, 5006])
def test_what_only_this_frame_meets_fails_it_at_once(
    storyreel: Storyreel, write_board: Callable[..., str], number: int
) -> None:
    """It is sent once; the others go on."""

    def answering(body: dict[str, Any], count: int) -> Answer:
        return refusal(500, f"{number}: no") if body["prompt"] == "a" else Answer(200, picture(count), COST)

    with served(answering) as endpoint:
        ended = render(storyreel, write_board("a", "b"), endpoint.url)

        assert sorted(request["prompt"] for request in endpoint.requests) == ["a", "b"]
    assert (ended.exit_code, ended.json["generated"], ended.json["failed"]) == (4, 1, 1)


@pytest.mark.parametrize("number", [3007, 3008, 8007])
def test_a_time_out_behind_the_endpoint_is_sent_again(
    storyreel: Storyreel, write_board: Callable[..., str], number: int
) -> None:
    """At whatever status it comes."""
    answers = [refusal(408, f"{number}: time-out"), Answer(200, picture(1), COST)]
    with served(lambda _, count: answers[count - 1]) as endpoint:
        ended = render(storyreel, write_board("a"), endpoint.url)

    assert (ended.exit_code, ended.json["requests"]) == (0, 2)


# What is made


def published_worker(body: dict[str, Any], number: int) -> Answer:
    """Answer as the published Worker does: headers from what was asked, a square JPEG whatever that was."""
    asked = {"X-Cost-USD": "0.000758", "X-Tiles": "6", "X-Steps": str(body["steps"]), "Content-Type": "image/png"}
    return Answer(200, picture(number, "JPEG"), asked)


def truthful_worker(_: dict[str, Any], number: int) -> Answer:
    """Answer as a Worker that states what it made: four tiles, four steps."""
    made = {"X-Cost-USD": "0.000652", "X-Tiles": "4", "X-Steps": "4", "X-Neurons-Used": "57.6"}
    return Answer(200, picture(number, "JPEG"), {**made, "X-Model": "flux-1-schnell", "Content-Type": "image/jpeg"})


@pytest.mark.parametrize("worker", [published_worker, truthful_worker])
def test_squares_where_wide_pictures_were_asked_for_are_told(
    storyreel: Storyreel, write_board: Callable[..., str], worker: Answering
) -> None:
    """Once a run: what was asked, what came, what is lost, what would cost less; in report, takes and CSV too."""
    with served(worker) as endpoint:
        board = write_board("a", "b", "c", aspect="16:9")
        ended = render(storyreel, board, endpoint.url)
    takes = storyreel("takes", board, "--json").json
    verified = storyreel("ledger", board, "--verify", "--json")

    notes = [line for line in ended.stderr.splitlines() if "made at" in line]
    assert len(notes) == 1
    for part in ("3 frames", "made at 1024x1024 instead of 1344x768", "43%", "as 1:1", "0.000652", "0.000758"):
        assert part in notes[0]
    made = {"kind": "size", "text": "was made at 1024x1024 instead of 1344x768"}
    assert all(made in frame["takes"][0]["remarks"] for frame in takes["frames"])
    assert all(made["text"] in row["remarks"] for row in rows(Path("outputs/film")))
    report = Path("outputs/film/report.html").read_text()
    assert "with remarks" in report
    assert "Each of 3 frames (0, 1, 2) was made at 1024x1024 instead of 1344x768: 43% of it is cropped away" in report
    assert (verified.exit_code, verified.json["differences"]) == (0, [])
    otherwise = {"4 tiles instead of 6": [1, 2, 3]} if worker is truthful_worker else {}
    assert verified.json["made_otherwise"] == otherwise


def test_a_flat_picture_is_told(storyreel: Storyreel, write_board: Callable[..., str]) -> None:
    """Safety filters answer so; the frame is named."""
    black = picture_bytes("PNG", SQUARE, "black", flat=True)

    def answering(body: dict[str, Any], number: int) -> Answer:
        return Answer(200, black if body["prompt"] == "b" else picture(number), COST)

    with served(answering) as endpoint:
        ended = render(storyreel, write_board("a", "b", "c"), endpoint.url)

    assert ended.exit_code == 0
    assert "frame 1 is one flat colour (#000000)" in ended.stderr


def test_the_same_bytes_twice_are_told(storyreel: Storyreel, write_board: Callable[..., str]) -> None:
    """A cache in between sells one picture as two."""
    with served(lambda _, __: Answer(200, picture(7), COST)) as endpoint:
        ended = render(storyreel, write_board("a", "b"), endpoint.url, STORYREEL_CONCURRENCY="1")

    assert "frame 1 has the same bytes as take 1 of frame 0 of film" in ended.stderr


def test_an_orientation_is_dropped_and_told(storyreel: Storyreel, write_board: Callable[..., str]) -> None:
    """The frame shows what the film shows, whatever viewer it is opened with."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = io.BytesIO()
    Image.radial_gradient("L").resize(SQUARE).convert("RGB").save(data, "PNG", exif=exif)

    with served(lambda _, __: Answer(200, data.getvalue(), COST)) as endpoint:
        ended = render(storyreel, write_board("a"), endpoint.url)

    assert "frame 0 had an orientation in its EXIF data, which is dropped" in ended.stderr
    with Image.open("outputs/film/frames/frame_0000.png") as frame:
        assert frame.getexif().get(0x0112, 1) == 1


# One address, one limit


def test_an_address_is_one_however_it_is_spelled(storyreel: Storyreel, write_board: Callable[..., str]) -> None:
    """Four spellings, one gate: the limit is that of all together."""
    with served(lambda _, number: Answer(200, picture(number), COST)) as endpoint:
        port = endpoint.url.rpartition(":")[2]
        for number, host in enumerate(("127.0.0.1", "LOCALHOST", "localhost", "127.1")):
            url = f"http://{host}:{'0' * number}{port}/"
            render(storyreel, write_board(f"view {number}", name=f"film-{number}.yaml"), url)
    names = {row["endpoint"] for number in range(4) for row in rows(Path(f"outputs/film-{number}"))}

    assert names == {endpoint.url}


# What was paid for is told when it is gone


def test_a_take_that_goes_while_others_are_generated_is_missed(
    storyreel: Storyreel, write_board: Callable[..., str]
) -> None:
    """Not whole: exit code 4, the frame named."""

    def answering(_: dict[str, Any], number: int) -> Answer:
        if number == 3:
            for path in Path("outputs/film/takes").glob("[!.]*.png"):
                path.unlink()
        return Answer(200, picture(number), COST)

    with served(answering) as endpoint:
        ended = render(storyreel, write_board("a", "b", "c"), endpoint.url, STORYREEL_CONCURRENCY="1")

    assert (ended.exit_code, ended.json["state"], ended.json["video"]) == (4, "Incomplete", None)
    assert re.search(r"2 of 3 frames are missing: frame_0000 .*; frame_0001 ", ended.json["error"])
    assert Decimal(ended.json["cost_usd"]) == Decimal("0.001956")
