"""`check --probe` asks the endpoint that a run would ask, and says what it found to people and to programs."""

from typing import Any

import pytest

from tests.conftest import Board, Storyreel, serving
from tests.support.accounts import stats
from tests.support.endpoint import Answer, refusal, served

KEYS = ["url", "dialect", "model", "reachable", "token_ok", "clock_offset_s"]


def found(url: str, *, reachable: bool | None, token_ok: bool | None, model: str = "flux-1-schnell") -> dict[str, Any]:
    """Return what a probe says, but for clocks."""
    return {"url": url, "dialect": "flux", "model": model, "reachable": reachable, "token_ok": token_ok}


def without_clock(endpoint: dict[str, Any]) -> dict[str, Any]:
    """Return what a probe says, but for clocks; it says so much and no less."""
    assert list(endpoint) == KEYS
    return {key: value for key, value in endpoint.items() if key != "clock_offset_s"}


def test_a_probe_of_a_good_endpoint_costs_nothing(storyreel: Storyreel, board: Board) -> None:
    """Its clock is here."""
    with serving() as url:
        ended = storyreel("check", str(board()), "--endpoint", url, "--probe", "--json")
        billed = stats(url)["billed_usd"]

    assert (ended.exit_code, ended.json["ok"], billed) == (0, True, "0")
    assert without_clock(ended.json["endpoint"]) == found(url, reachable=True, token_ok=True)
    assert abs(ended.json["endpoint"]["clock_offset_s"]) <= 2
    assert f"{url}: speaks flux, and asks for no token\n" in ended.stderr


@pytest.mark.parametrize(
    ("answer", "said", "token_ok"),
    [
        (refusal(401, "Unauthorized"), "refuses the token; check STORYREEL_API_TOKEN", False),
        (Answer(404), "answered 404, and not as one that speaks flux; check --endpoint and --dialect", None),
    ],
)
def test_what_a_run_could_not_use_is_told_with_its_cure(
    storyreel: Storyreel, board: Board, answer: Answer, said: str, token_ok: bool | None
) -> None:
    """The storyboard is checked all the same; programs learn it too, without any secret."""
    with served(lambda *_: answer) as endpoint:
        secret = endpoint.url.replace("http://", "http://amy:hunter2@") + "?key=hunter2"
        command = ["check", str(board()), "--endpoint", secret, "--probe", "--json"]
        ended = storyreel(*command, STORYREEL_API_TOKEN="hunter2")

    assert (ended.exit_code, ended.json["ok"], ended.json["storyboards"][0]["frames"]) == (5, True, 3)
    assert without_clock(ended.json["endpoint"]) == found(endpoint.url, reachable=True, token_ok=token_ok)
    assert ended.stderr.endswith(f"{endpoint.url}: {said}\n")
    assert "hunter2" not in ended.stdout + ended.stderr


def test_the_embedded_endpoint_is_not_asked(storyreel: Storyreel, board: Board) -> None:
    """There is nothing to ask."""
    ended = storyreel("check", str(board()), "--probe", "--json")

    assert ended.exit_code == 0
    assert ended.json["endpoint"] == {
        **found("embedded", reachable=None, token_ok=None, model="sketch"),
        "clock_offset_s": None,
    }
    assert "embedded: draws sketches on this machine; there is nothing to ask\n" in ended.stderr


def test_each_storyboards_endpoint_is_asked_once(storyreel: Storyreel, board: Board) -> None:
    """With the token that it names; that of another goes nowhere."""
    with served(lambda *_: refusal(400, "Prompt is required")) as endpoint:
        named = f"endpoint: {{url: '{endpoint.url}', token: $FILM_TOKEN}}\n"
        paths = [str(board(name, more=named)) for name in ("one.yaml", "two.yaml")] + [str(board("draws.yaml"))]
        ended = storyreel("check", *paths, "--probe", "--json", FILM_TOKEN="own", STORYREEL_API_TOKEN="mine")

    urls = [each["endpoint"]["url"] for each in ended.json["storyboards"]]
    assert (ended.exit_code, urls) == (0, [endpoint.url, endpoint.url, "embedded"])
    assert [headers["Authorization"] for headers in endpoint.headers] == ["Bearer own"]
    assert f"{endpoint.url}: speaks flux, and takes the token in FILM_TOKEN\n" in ended.stderr


def test_nothing_is_asked_for_a_storyboard_that_is_wrong(storyreel: Storyreel, board: Board) -> None:
    """It is mended first."""
    with served(lambda *_: refusal(400, "Prompt is required")) as endpoint:
        path = str(board(more="titel: x\n"))
        ended = storyreel("check", path, "--endpoint", endpoint.url, "--probe", "--json")

    assert (ended.exit_code, ended.json["endpoint"], endpoint.requests) == (2, None, [])


def test_a_token_is_not_probed_in_clear(storyreel: Storyreel, board: Board) -> None:
    """As in a run."""
    command = ["check", str(board()), "--endpoint", "http://flux.example", "--probe"]

    ended = storyreel(*command, STORYREEL_API_TOKEN="t0ken")

    assert ended.exit_code == 2
    assert "STORYREEL_API_TOKEN would cross the network in clear" in ended.stderr
