"""The cutting room over real sockets: who may come in, what it costs, what becomes of it, who hears of it."""

import socket
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from pipelines.common.errors import StoryboardError, UsageError
from pipelines.review.server import open_review
from tests.conftest import serving
from tests.support.review import BOARD, Room, until

pytestmark = pytest.mark.slow

IMAGE_USD = "0.000428"


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """An open cutting room of three frames, all bought."""
    room = Room(tmp_path)
    room.render()
    with room.open():
        yield room


# Who may come in


def test_the_page_is_shown_to_who_knows_its_address(room: Room) -> None:
    """With its own style and scripts, and nothing from elsewhere."""
    page = room.get()

    assert page.status_code == 200
    assert "Cutting room" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    for name in ("page.css", "page.js", "room.css", "room.js"):
        assert room.get(f"assets/{name}").status_code == 200


def test_a_stale_token_is_told(room: Room) -> None:
    """A page of an earlier start may neither look nor ask."""
    stale = room.origin + "/" + "x" * 32 + "/"

    answers = [httpx.get(stale), httpx.get(room.origin), httpx.post(f"{stale}picks", headers={"Origin": room.origin})]

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
def test_no_other_page_can_spend_money(room: Room, headers: dict[str, str], status: int) -> None:
    """Not even one that knows the token: nothing is asked, nothing is sent."""
    asked = {"keys": room.keys, "count": 9, "prompt": None, "confirmed_usd": IMAGE_USD}

    answer = room.post("rerolls", asked, **headers)

    assert answer.status_code == status
    assert room.there() == [[1], [1], [1]]


def test_a_request_without_an_origin_changes_nothing(room: Room) -> None:
    """A browser always sends one along with what changes something."""
    answer = httpx.post(f"{room.address}picks", json={"key": room.keys[0], "take": 1})

    assert answer.status_code == 403


@pytest.mark.parametrize(
    "path", ["../../pets.yaml", "..%2f..%2fpets.yaml", "/etc/passwd", "storyreel.db", "pets/.lock"]
)
def test_only_pictures_and_films_of_the_output_are_served(room: Room, path: str) -> None:
    """Nothing beside it, and not the ledger."""
    request = httpx.Request("GET", f"{room.address}files/x")
    target = request.url.raw_path[:-1] + path.encode()

    with httpx.Client() as client:
        answer = client.send(httpx.Request("GET", request.url.copy_with(raw_path=target)))

    # Where the path is resolved before it gets here, it lacks the token.
    assert answer.status_code in (403, 404)


def test_a_film_can_be_read_from_anywhere(room: Room) -> None:
    """A player that jumps asks for a part of it."""
    answer = room.get("files/pets/pets.mp4", Range="bytes=4-7")

    assert (answer.status_code, answer.content) == (206, b"ftyp")


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    """With the cure."""
    room = Room(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with (
            pytest.raises(UsageError, match=f"^--port {port}: cannot be listened on: .*; choose another, or 0$"),
            open_review(room.path, room.settings, port=port),
        ):
            pass


def test_a_wrong_storyboard_opens_no_room(tmp_path: Path) -> None:
    """Its mistakes are told instead."""
    room = Room(tmp_path)
    room.path.write_text("prompts: []")

    with pytest.raises(StoryboardError), open_review(room.path, room.settings, port=0):
        pass


# What it costs


def test_the_price_is_told_before_anything_is_asked(room: Room) -> None:
    """For each take of each frame; nothing is sent for it."""
    answer = room.post("quotes", {"keys": room.keys[:2], "count": 3})

    assert answer.json() == {
        "images": 6,
        "cost_usd": str(6 * Decimal(IMAGE_USD)),
        "cost_thb": "0.08988",
        "worst_case_usd": str(24 * Decimal(IMAGE_USD)),
        "simulated": True,
    }
    assert room.there() == [[1], [1], [1]]


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({"keys": ["f" * 64]}, 409, "the storyboard has changed: this frame is not what it was; look at it again"),
        ({"keys": "first", "count": 10}, 422, "10 takes at once: ask for 1 to 9"),
        ({"keys": "first", "prompt": "  "}, 422, "the prompt is 0 characters once filled in; prompts have 1 to 2,048"),
    ],
)
def test_what_cannot_be_asked_is_told(room: Room, body: dict[str, object], status: int, detail: str) -> None:
    """In words that the page can show."""
    answer = room.post("quotes", {**body, "keys": room.keys[:1]} if body["keys"] == "first" else body)

    assert (answer.status_code, answer.json()) == (status, {"detail": detail})


def test_another_price_than_the_confirmed_one_is_not_paid(room: Room) -> None:
    """Whoever confirmed something else is asked again."""
    asked = {"keys": room.keys[:1], "count": 1, "prompt": None}

    answer = room.post("rerolls", {**asked, "confirmed_usd": "0.0001"})

    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        f"the price is {IMAGE_USD} USD now, not 0.0001; look at it again",
    )
    assert room.there() == [[1], [1], [1]]


# What becomes of it


def test_a_reroll_brings_takes_and_a_pick_brings_another_film(room: Room) -> None:
    """Whoever watches is told of each step; the first take stays."""
    with room.listening() as page:
        assert room.reroll(1, count=2).status_code == 202
        until(lambda: page.stages().count("") == 2)
        assert room.there() == [[1], [1, 2, 3], [1]]
        film = room.film()

        assert room.post("picks", {"key": room.keys[1], "take": 3}).status_code == 202
        until(lambda: page.stages().count("") == 3)

    assert room.selected() == [1, 3, 1]
    assert room.film() != film
    assert ("changed", {"numbers": [1]}) in page.events
    cutting = ["publishing frames", "assembling the film", "writing the report", ""]
    assert page.stages() == ["", "starting", "generating frames", *cutting, "starting", *cutting]


def test_a_take_of_another_prompt_can_be_asked(room: Room) -> None:
    """It is the same frame's."""
    room.reroll(0, prompt="a lighthouse at night")

    until(lambda: room.there() == [[1, 2], [1], [1]])
    assert room.inventory.frames[0].takes[1].prompt == "a lighthouse at night"


def test_what_does_not_fit_the_budget_is_told(tmp_path: Path) -> None:
    """Nothing is sent for it."""
    room = Room(tmp_path)
    room.render()
    room.settings = room.settings.model_copy(update={"budget_usd": Decimal(IMAGE_USD)})
    with room.open(), room.listening() as page:
        room.reroll(0, count=2)

        assert "more than the 0.000428 USD that are left of" in page.wait_for("trouble")["message"]
        assert room.there() == [[1], [1], [1]]


def test_two_pages_that_pick_at_once_hear_of_each_other(room: Room) -> None:
    """The last pick counts, and both see it."""
    room.reroll(2, count=2)
    until(lambda: room.there()[2] == [1, 2, 3])
    with room.listening() as one, room.listening() as other:
        for take in (2, 3):
            assert room.post("picks", {"key": room.keys[2], "take": take}).status_code == 202

        for page in (one, other):
            page.wait_for("changed")
    assert room.selected()[2] == 3
    [frame] = room.get("frames?numbers=2").json()["frames"]
    assert (frame["data"]["shown"], frame["data"]["picked"]) == (3, True)


def test_a_take_that_is_not_there_cannot_be_picked(room: Room) -> None:
    """The page is told which there are."""
    answer = room.post("picks", {"key": room.keys[0], "take": 2})

    assert (answer.status_code, answer.json()) == (
        422,
        {"detail": "frame_0000 garden/cat: there is no take 2; it has 1"},
    )


def test_an_edited_storyboard_is_taken_up(room: Room) -> None:
    """Other frames load the page anew; what was clicked on and is gone is told; a mistake changes nothing."""
    old = room.keys[0]
    room.get()
    with room.listening() as page:
        room.path.write_text(BOARD.replace("a cat in a garden", "a cat on a roof"))
        page.wait_for("reloaded")
        assert room.post("picks", {"key": old, "take": 1}).status_code == 409

        room.path.write_text("title: [broken")
        assert "the storyboard has mistakes now" in page.wait_for("trouble")["message"]

    assert "a cat on a roof" in room.get().text


def test_a_render_elsewhere_is_noticed(room: Room) -> None:
    """Frames that another run buys or picks appear by themselves."""
    room.path.write_text(BOARD.replace("birds over the sea", "ships at sea"))
    until(lambda: "ships at sea" in room.get().text)
    with room.listening() as page:
        room.render()

        page.wait_for("changed")
    assert room.get("frames?numbers=2").json()["frames"][0]["data"]["shown"] == 1


def test_closing_the_room_keeps_what_is_in_flight(tmp_path: Path) -> None:
    """It is paid for: it is awaited, and there the next time."""
    with serving(latency_s=(1.5, 1.5)) as url:
        room = Room(tmp_path, endpoint=url, model="sketch")
        with room.open(), room.listening() as page:
            room.reroll(0)
            until(lambda: "generating frames" in page.stages())

    assert room.there() == [[1], [], []]


def test_a_picked_take_whose_file_is_gone_is_not_shown(room: Room) -> None:
    """Another stands in for it, and the page does not call it picked."""
    room.reroll(0)
    until(lambda: room.there()[0] == [1, 2])
    room.post("picks", {"key": room.keys[0], "take": 2})
    take = room.inventory.frames[0].find(2)
    assert take is not None
    take.path.unlink()

    room.get()
    [frame] = room.get("frames?numbers=0").json()["frames"]

    assert (frame["data"]["shown"], frame["data"]["picked"]) == (1, False)
