"""Storyboards name their endpoint, and each gets the token that its storyboard names for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Board, Storyreel
from tests.support.accounts import QUICK
from tests.support.endpoint import Answer, Endpoint, served
from tests.support.pictures import picture_bytes

OWN = "t0ken-of-the-storyboard"
MINE = "t0ken-of-the-user"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Yield an endpoint that takes note of what it is asked with."""
    with served(
        lambda _, number: Answer(200, picture_bytes("PNG", (1024, 1024), (number, 90, 160)), {"X-Cost-USD": "0.000652"})
    ) as answering:
        yield answering


def tokens(endpoint: Endpoint) -> list[str | None]:
    """Return the tokens that an endpoint was sent."""
    return [headers["Authorization"] for headers in endpoint.headers]


@pytest.fixture
def named(board: Board, endpoint: Endpoint) -> Path:
    """Return a storyboard that names the endpoint, and a variable for its token."""
    return board(frames=1, more=f"endpoint: {{url: '{endpoint.url}', token: $FILM_TOKEN}}\n")


def test_a_run_asks_the_endpoint_that_its_storyboard_names(
    storyreel: Storyreel, named: Path, endpoint: Endpoint
) -> None:
    """With the token that it names; it is said which variable goes where, and the token is told to nobody else."""
    ended = storyreel("render", str(named), "--json", FILM_TOKEN=OWN, STORYREEL_API_TOKEN=MINE, **QUICK)

    host = endpoint.url.removeprefix("http://")
    assert (ended.json["state"], ended.json["simulated"]) == ("Completed", False)
    assert tokens(endpoint) == [f"Bearer {OWN}"]
    assert ended.stderr.startswith(f"{named}: names the endpoint, {host}; FILM_TOKEN is sent there\n")
    assert OWN not in ended.stderr + ended.stdout


@pytest.mark.parametrize("by_option", [True, False])
def test_command_line_and_environment_win(
    storyreel: Storyreel, board: Board, endpoint: Endpoint, by_option: bool
) -> None:
    """Nothing that the storyboard names is looked up then."""
    path = board(frames=1, more="endpoint: {url: 'http://127.0.0.1:9', token: $FILM_TOKEN}\n")
    told = ["--endpoint", endpoint.url] if by_option else []
    variable = {} if by_option else {"STORYREEL_ENDPOINT": endpoint.url}

    ended = storyreel("render", str(path), *told, "--json", STORYREEL_API_TOKEN=MINE, **variable, **QUICK)

    assert (ended.json["state"], tokens(endpoint)) == ("Completed", [f"Bearer {MINE}"])


def test_a_run_at_a_named_endpoint_is_followed_as_its_storyboard_says(
    storyreel: Storyreel, named: Path, endpoint: Endpoint
) -> None:
    """With its token again; what only looks at takes needs none."""
    path = str(named)
    rendered = storyreel("render", path, FILM_TOKEN=OWN, **QUICK)

    looked = [storyreel("takes", path), storyreel("ledger", path), storyreel("pick", path, "0", "1")]
    without = storyreel("reroll", path, "0", "--yes", STORYREEL_API_TOKEN=MINE)
    rerolled = storyreel("reroll", path, "0", "--yes", "--json", FILM_TOKEN=OWN, STORYREEL_API_TOKEN=MINE, **QUICK)

    assert f" review {path}:" in rendered.stderr
    assert [ended.exit_code for ended in looked] == [0, 0, 0]
    assert "film: as in its last real run: endpoint " + endpoint.url in looked[0].stderr
    assert (without.exit_code, "endpoint.token: the variable FILM_TOKEN is not set" in without.stderr) == (2, True)
    assert (rerolled.json["state"], tokens(endpoint)) == ("Completed", [f"Bearer {OWN}"] * 2)


def test_the_users_own_token_never_goes_where_a_storyboard_once_pointed(
    storyreel: Storyreel, named: Path, endpoint: Endpoint
) -> None:
    """Its last real run is followed though it names no endpoint any more, without any token."""
    storyreel("render", str(named), FILM_TOKEN=OWN, **QUICK)
    kept = [line for line in named.read_text().splitlines() if not line.startswith("endpoint:")]
    named.write_text("\n".join(kept))

    rerolled = storyreel("reroll", str(named), "0", "--yes", "--json", STORYREEL_API_TOKEN=MINE, **QUICK)

    assert (rerolled.json["state"], tokens(endpoint)) == ("Completed", [f"Bearer {OWN}", None])


def test_a_token_of_a_storyboard_crosses_no_network_in_clear(storyreel: Storyreel, board: Board) -> None:
    """The refusal names its variable."""
    path = board(frames=1, more="endpoint: {url: 'http://flux.example', token: $FILM_TOKEN}\n")

    ended = storyreel("render", str(path), FILM_TOKEN=OWN)

    assert ended.exit_code == 2
    assert ended.stderr.startswith("http://flux.example: FILM_TOKEN would cross the network in clear; use https, or ")


def test_what_is_not_set_is_missed_only_where_the_endpoint_is_asked(
    storyreel: Storyreel, named: Path, endpoint: Endpoint
) -> None:
    """Before anything is sent."""
    path = str(named)
    asks = {"check": (), "plan": (), "render": (), "reroll": ("0", "--yes"), "review": ("--no-open",)}

    ended = {verb: storyreel(verb, path, *rest, STORYREEL_API_TOKEN=MINE) for verb, rest in asks.items()}

    missing = f"{path}:4:{named.read_text().splitlines()[3].index('$') + 1}: endpoint.token: the variable FILM_TOKEN"
    assert {verb: each.exit_code for verb, each in ended.items()} == dict.fromkeys(asks, 2)
    assert all(missing in each.stderr for each in ended.values())
    assert (storyreel("takes", path).exit_code, endpoint.requests) == (0, [])


def test_storyboards_of_one_command_have_endpoints_of_their_own(
    storyreel: Storyreel, board: Board, endpoint: Endpoint
) -> None:
    """One that names none draws sketches."""
    names = board("named.yaml", frames=1, more=f"endpoint: {endpoint.url}\n")
    draws = board("draws.yaml", frames=1)

    ended = storyreel("render", str(names), str(draws), "--json", **QUICK)

    assert [each["simulated"] for each in ended.json["renders"]] == [False, True]
    assert len(endpoint.requests) == 1
