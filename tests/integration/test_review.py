"""The review app over real sockets: access, prices, re-rolls and picks, and the events that pages receive."""

import asyncio
import socket
import threading
import wave
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from pipelines.common.errors import Note, StoryboardError, UsageError
from pipelines.review.server import open_review
from pipelines.storyboard.model import Storyboard
from tests.conftest import serving, wait_until
from tests.support.accounts import stats
from tests.support.patience import WAIT_S
from tests.support.review import BOARD, ReviewSession

pytestmark = pytest.mark.slow

IMAGE_USD = "0.000428"


# Access


def test_the_page_is_served_under_its_address(review: ReviewSession) -> None:
    """With its own style and scripts; its policy allows none from elsewhere."""
    page = review.get()

    assert page.status_code == 200
    assert "Cutting room" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    for name in ("page.css", "page.js", "review.css", "review.js"):
        assert review.get(f"assets/{name}").status_code == 200


def test_fonts_are_served_to_the_page_alone(review: ReviewSession) -> None:
    """By name, to be kept; a style sheet says which letters each has."""
    sheet = review.get("fonts/ja/fonts.css")
    font = review.get("fonts/ja/NotoSansThai-0.ttf")

    assert "src:url(NotoSansThai-0.ttf);" in sheet.text
    assert "src:url(NotoSansCJKJP-4e00.ttf);" in sheet.text
    assert (font.headers["content-type"], font.content[:4]) == ("font/ttf", b"\0\1\0\0")
    assert "immutable" in font.headers["cache-control"]
    assert "font-src 'self'" in font.headers["content-security-policy"]
    unknown = ["fonts/ja/NotoSansThai-1.ttf", "fonts/ja/..%2f..%2fpets.yaml", "fonts/fonts.css", "fonts/xx/fonts.css"]
    assert [review.get(path).status_code for path in unknown] == [404, 404, 404, 422]
    assert httpx.get(f"{review.origin}/{'x' * 32}/fonts/ja/NotoSansThai-0.ttf").status_code == 403


def test_a_stale_token_is_refused(review: ReviewSession) -> None:
    """A page of an earlier start can neither read nor change anything."""
    stale = review.origin + "/" + "x" * 32 + "/"

    answers = [
        httpx.get(stale),
        httpx.get(review.origin),
        httpx.post(f"{stale}picks", headers={"Origin": review.origin}),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert "take the one that `storyreel review` has printed" in answers[0].text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:80", "Origin": "http://evil.example:80"}, 421),
    ],
    ids=str,
)
def test_no_other_page_can_spend_money(review: ReviewSession, headers: dict[str, str], status: int) -> None:
    """Not even one that knows the token: nothing is generated."""
    body = {"keys": review.keys, "count": 9, "prompt": None, "confirmed_usd": IMAGE_USD}

    answer = review.post("rerolls", body, **headers)

    assert answer.status_code == status
    assert review.take_numbers() == [[1], [1], [1]]


def test_a_request_without_an_origin_changes_nothing(review: ReviewSession) -> None:
    """A browser sends one with every request that changes something."""
    answer = httpx.post(f"{review.address}picks", json={"key": review.keys[0], "take": 1})

    assert answer.status_code == 403


@pytest.mark.parametrize(
    "path", ["../../pets.yaml", "..%2f..%2fpets.yaml", "/etc/passwd", "storyreel.db", "pets/.lock"]
)
def test_only_pictures_and_films_of_the_output_are_served(review: ReviewSession, path: str) -> None:
    """Not the files beside the folder, and not the database in it."""
    request = httpx.Request("GET", f"{review.address}files/x")
    target = request.url.raw_path[:-1] + path.encode()

    with httpx.Client() as client:
        answer = client.send(httpx.Request("GET", request.url.copy_with(raw_path=target)))

    # Where the path is resolved before it gets here, it lacks the token.
    assert answer.status_code in (403, 404)


def test_a_film_can_be_read_from_anywhere(review: ReviewSession) -> None:
    """A player that jumps requests a part of it."""
    answer = review.get("files/pets/pets.mp4", Range="bytes=4-7")

    assert (answer.status_code, answer.content) == (206, b"ftyp")


def test_a_taken_port_is_an_error(tmp_path: Path) -> None:
    """The message says what to do."""
    review = ReviewSession(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with (
            pytest.raises(
                UsageError, match=f"^--port {port}: cannot be listened on: .*; choose another, or 0 for a free one$"
            ),
            open_review(review.path, review.settings, port=port),
        ):
            pass


def test_a_wrong_storyboard_cannot_be_reviewed(tmp_path: Path) -> None:
    """Opening it raises its mistakes."""
    review = ReviewSession(tmp_path)
    review.path.write_text("prompts: []")

    with pytest.raises(StoryboardError), open_review(review.path, review.settings, port=0):
        pass


# Prices


def test_a_quote_generates_nothing(review: ReviewSession) -> None:
    """It prices each take of each frame."""
    answer = review.post("quotes", {"keys": review.keys[:2], "count": 3})

    assert answer.json() == {
        "images": 6,
        "cost_usd": str(6 * Decimal(IMAGE_USD)),
        "cost_thb": "0.08988",
        "worst_case_usd": str(24 * Decimal(IMAGE_USD)),
        "simulated": True,
    }
    assert review.take_numbers() == [[1], [1], [1]]


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({"keys": ["f" * 64]}, 409, "the storyboard has changed: this frame is not what it was; look at it again"),
        ({"keys": "first", "count": 10}, 422, "10 takes at once: ask for 1 to 9"),
        ({"keys": "first", "prompt": "  "}, 422, "the prompt is 0 characters once filled in; prompts have 1 to 2,048"),
    ],
)
def test_an_impossible_reroll_is_refused(
    review: ReviewSession, body: dict[str, object], status: int, detail: str
) -> None:
    """The reason is in words that the page can show."""
    answer = review.post("quotes", {**body, "keys": review.keys[:1]} if body["keys"] == "first" else body)

    assert (answer.status_code, answer.json()) == (status, {"detail": detail})


def test_another_price_than_the_confirmed_one_is_not_paid(review: ReviewSession) -> None:
    """The answer is the new price, for the person to confirm."""
    body = {"keys": review.keys[:1], "count": 1, "prompt": None}

    answer = review.post("rerolls", {**body, "confirmed_usd": "0.0001"})

    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        f"the price is {IMAGE_USD} USD now, not 0.0001; look at it again",
    )
    assert review.take_numbers() == [[1], [1], [1]]


# Re-rolls, picks and events


def test_a_reroll_brings_takes_and_a_pick_brings_another_film(review: ReviewSession) -> None:
    """An open page receives each step; the first take stays."""
    with review.listening() as page:
        assert review.reroll(1, count=2).status_code == 202
        wait_until(lambda: page.stages().count("") == 2)
        assert review.take_numbers() == [[1], [1, 2, 3], [1]]
        film = review.film()

        assert review.post("picks", {"key": review.keys[1], "take": 3}).status_code == 202
        wait_until(lambda: page.stages().count("") == 3)

    assert review.selected_numbers() == [1, 3, 1]
    assert review.film() != film
    assert ("changed", {"numbers": [1]}) in page.received
    cutting = ["publishing frames", "assembling the film", "writing the report", ""]
    assert page.stages() == ["", "starting", "generating frames", *cutting, "starting", *cutting]


def test_a_take_of_another_prompt_belongs_to_the_same_frame(review: ReviewSession) -> None:
    """The frame has both takes."""
    review.reroll(0, prompt="a lighthouse at night")

    wait_until(lambda: review.take_numbers() == [[1, 2], [1], [1]])
    assert review.inventory.frames[0].takes[1].prompt == "a lighthouse at night"


def test_a_reroll_over_the_budget_is_refused(rendered: ReviewSession, tmp_path: Path) -> None:
    """The page receives the reason, and nothing is generated."""
    review = rendered.copy_to(tmp_path)
    review.settings = review.settings.model_copy(update={"budget_usd": Decimal(IMAGE_USD)})
    with review.open(), review.listening() as page:
        review.reroll(0, count=2)

        assert "more than the 0.000428 USD that are left of" in page.wait_for_event("failure")["message"]
        assert review.take_numbers() == [[1], [1], [1]]


def test_two_pages_that_pick_at_once_see_each_others_picks(review: ReviewSession) -> None:
    """The last pick counts, and both pages receive it."""
    review.reroll(2, count=2)
    wait_until(lambda: review.take_numbers()[2] == [1, 2, 3])
    with review.listening() as one, review.listening() as other:
        for take in (2, 3):
            assert review.post("picks", {"key": review.keys[2], "take": take}).status_code == 202

        for page in (one, other):
            page.wait_for_event("changed")
    assert review.selected_numbers()[2] == 3
    [frame] = review.get("frames?numbers=2").json()["frames"]
    assert (frame["frame"]["selected"], frame["frame"]["picked"]) == (3, True)


def test_a_take_that_is_not_there_cannot_be_picked(review: ReviewSession) -> None:
    """The answer lists those that there are."""
    answer = review.post("picks", {"key": review.keys[0], "take": 2})

    assert (answer.status_code, answer.json()) == (
        422,
        {"detail": "frame_0000 garden/cat: there is no take 2; it has 1"},
    )


def test_while_an_edit_is_spoken_the_page_is_served_as_it_was(tmp_path: Path) -> None:
    """However long that takes; then the page is told, and shows what is said."""
    review = ReviewSession(tmp_path)
    voice = tmp_path / "voice.sh"
    voice.write_text("#!/bin/sh\ntouch begun; while [ ! -e go ]; do sleep 0.05; done; cat hum.wav\n")
    voice.chmod(0o755)
    with wave.open(str(tmp_path / "hum.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"\0\x20\0\xe0" * 4000)
    spoken = BOARD.replace("a cat in a garden}", "a cat in a garden, narration: Der Kater schläft., hold: auto}")
    with review.open(), review.listening() as listener:
        review.edit(f"language: de\nnarration: 'command: ./voice.sh'\n{spoken}")
        wait_until((tmp_path / "begun").exists)
        meanwhile = review.get().text
        price = review.post("quotes", {"keys": [meanwhile.split('"key":"')[1].split('"')[0]], "count": 1})
        (tmp_path / "go").touch()
        listener.wait_for_event("reloaded")

        assert "Der Kater" not in meanwhile
        assert price.json()["images"] == 1
        assert "Der Kater schläft." in review.get().text


@pytest.mark.usefixtures("watched_closely")
def test_an_edited_storyboard_reloads_the_page(review: ReviewSession) -> None:
    """A frame that is gone can no longer be picked for; a mistake in the storyboard changes nothing."""
    old = review.keys[0]
    review.get()
    with review.listening() as page:
        review.edit(BOARD.replace("a cat in a garden", "a cat on a roof"))
        page.wait_for_event("reloaded")
        assert review.post("picks", {"key": old, "take": 1}).status_code == 409

        review.edit("title: [broken")
        assert "the storyboard has mistakes now" in page.wait_for_event("failure")["message"]

    assert "a cat on a roof" in review.get().text


SPOKEN = BOARD.replace("a cat in a garden}", "a cat in a garden, narration: Nobody is up., hold: auto}")


@pytest.mark.usefixtures("watched_closely")
def test_an_edit_that_cannot_be_spoken_changes_nothing(review: ReviewSession) -> None:
    """The page says why; and what can be spoken then is served to be heard, from any place in it."""
    review.get()
    with review.listening() as page:
        review.edit(f"narration: 'command: false'\n{SPOKEN}")
        assert "the storyboard has mistakes now" in page.wait_for_event("failure")["message"]
        assert "Nobody is up." not in review.get().text

        review.edit(SPOKEN)
        page.wait_for_event("reloaded")

    [first] = review.get("frames?numbers=0").json()["frames"]
    answer = review.get(first["frame"]["narration"]["sound"], Range="bytes=8-11")
    assert (answer.status_code, answer.content) == (206, b"WAVE")
    assert answer.headers["content-type"] in ("audio/wav", "audio/x-wav", "audio/vnd.wave")


@pytest.mark.usefixtures("watched_closely")
def test_speech_that_cannot_be_kept_is_told(review: ReviewSession) -> None:
    """It is no mistake in the storyboard; the page is as it was."""
    review.get()
    (review.folder / "voice").write_bytes(b"a file where a folder should be")
    with review.listening() as page:
        review.edit(SPOKEN)
        message = page.wait_for_event("failure")["message"]

    assert message.startswith("the storyboard was edited; the page is as it was before\n")
    assert "voice" in message
    assert "Nobody is up." not in review.get().text


@pytest.mark.usefixtures("watched_closely")
def test_a_render_elsewhere_is_noticed(review: ReviewSession) -> None:
    """Frames that another run generates appear by themselves."""
    review.edit(BOARD.replace("birds over the sea", "ships at sea"))
    wait_until(lambda: "ships at sea" in review.get().text)
    with review.listening() as page:
        review.render()

        page.wait_for_event("changed")
    assert review.get("frames?numbers=2").json()["frames"][0]["frame"]["selected"] == 1


@pytest.mark.usefixtures("watched_closely")
def test_a_sound_that_cannot_be_read_is_noted(review: ReviewSession) -> None:
    """Once it is named; a page that is open is told to fetch it, and told again when it is mended."""
    (review.path.parent / "music.mp3").write_bytes(b"no sound")
    with review.listening() as page:
        review.edit(f"{BOARD}audio: {{track: music.mp3}}\n")
        page.wait_for_event("changed")
        wait_until(lambda: "music.mp3" in review.get("frames").json()["header"]["notes"])

        review.edit(BOARD)
        wait_until(lambda: review.get("frames").json()["header"]["notes"] == "")


def test_a_slow_check_keeps_no_page_waiting(
    rendered: ReviewSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its notes follow: the page that is open is told to fetch them."""
    checked = threading.Event()

    async def check_slowly(board: Storyboard, *_: object, **__: object) -> tuple[Note, ...]:
        await asyncio.to_thread(checked.wait, WAIT_S)
        return (Note(str(board.path), 3, 5, "audio.track", "2 s of noise were skipped; cut them off"),)

    monkeypatch.setattr("pipelines.review.storyboard.check_storyboard", check_slowly)
    with rendered.copy_to(tmp_path).open() as review, review.listening() as page:
        before = review.get().text
        checked.set()
        assert page.wait_for_event("changed") == {"numbers": []}

        noted = f"{review.path}:3:5: audio.track: note: 2 s of noise were skipped; cut them off"
        assert (noted in before, noted in review.get().text) == (False, True)


@pytest.fixture
def unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let changes from outside be noticed by no one but those who load the page."""
    monkeypatch.setattr("pipelines.review.service._WATCH_INTERVAL_S", 3600)


@pytest.mark.usefixtures("unwatched")
def test_a_page_that_is_loaded_takes_no_change_away_from_others(review: ReviewSession) -> None:
    """A second window shows what is new; the first one is told of it all the same."""
    with review.listening() as first:
        review.lose_take(2)
        second = review.load_page()

        assert first.wait_for_event("changed") == {"numbers": [2]}
        with review.listening(second) as told:
            review.get()
    assert (second, told.kinds()) == (1, ["progress"])


@pytest.mark.usefixtures("unwatched")
def test_a_page_is_told_first_what_it_missed(review: ReviewSession) -> None:
    """Whatever has changed between its making and its listening, or while its connection was lost."""
    version = review.load_page()
    review.lose_take(0)
    review.load_page()
    review.lose_take(2)
    review.load_page()

    with review.listening(version) as late:
        missed = late.wait_for_event("changed")

    assert (missed, late.kinds()) == ({"numbers": [0, 2]}, ["progress", "changed"])


def test_closing_the_review_keeps_what_is_in_flight(tmp_path: Path) -> None:
    """It is paid for: it is awaited, and there the next time."""
    with serving(latency_s=(1.5, 1.5)) as url:
        review = ReviewSession(tmp_path, endpoint=url, model="sketch")
        with review.open():
            review.reroll(0)
            wait_until(lambda: stats(url)["requests"] == 1)

    assert review.take_numbers() == [[1], [], []]


def test_a_picked_take_whose_file_is_gone_is_not_shown(review: ReviewSession) -> None:
    """The frame shows another one, which the page does not call picked."""
    review.reroll(0)
    wait_until(lambda: review.take_numbers()[0] == [1, 2])
    review.post("picks", {"key": review.keys[0], "take": 2})
    take = review.inventory.frames[0].find(2)
    assert take is not None
    take.path.unlink()

    review.get()
    [frame] = review.get("frames?numbers=0").json()["frames"]

    assert (frame["frame"]["selected"], frame["frame"]["picked"]) == (1, False)
