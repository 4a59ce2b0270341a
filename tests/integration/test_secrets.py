"""Tokens and passwords stay between the command and its endpoint, and it is said where they go."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.conftest import Board, Storyreel, serving

ELSEWHERE = "http://flux.example:8787"
IN_CLEAR = (
    "http://flux.example:8787: {} would cross the network in clear; use https, or set STORYREEL_HTTP_TOKEN=1 if you "
    "trust every machine on the way; nothing was sent\n"
)


@pytest.mark.parametrize(
    "arguments", [["render"], ["reroll", "0", "--yes"], ["review", "--no-open"]], ids=lambda arguments: arguments[0]
)
@pytest.mark.parametrize(
    ("endpoint", "environment", "secret"),
    [
        (ELSEWHERE, {"STORYREEL_API_TOKEN": "t0ken"}, "STORYREEL_API_TOKEN"),
        ("http://amy:pw@flux.example:8787", {}, "the user and password in the address"),
    ],
    ids=["token", "password"],
)
def test_a_secret_does_not_cross_the_network_in_clear(
    storyreel: Storyreel, board: Board, arguments: list[str], endpoint: str, environment: dict[str, str], secret: str
) -> None:
    """Whatever would send it is refused before it does, with the cure."""
    command, *rest = arguments
    ended = storyreel(command, str(board()), *rest, "--endpoint", endpoint, **environment)

    assert ended.exit_code == 2
    assert ended.stderr.endswith(IN_CLEAR.format(secret))


def test_what_sends_nothing_needs_no_cure(storyreel: Storyreel, board: Board) -> None:
    """A plan, or a film that is cut again."""
    ended = storyreel("plan", str(board()), "--endpoint", ELSEWHERE, STORYREEL_API_TOKEN="t0ken")

    assert ended.exit_code == 0


@pytest.mark.parametrize(
    ("command", "flow"),
    [(["render"], "render_storyboard"), (["reroll", "0", "--yes"], "reroll_takes")],
    ids=["render", "reroll"],
)
def test_no_parameter_of_a_flow_is_a_secret(
    storyreel: Storyreel, board: Board, monkeypatch: pytest.MonkeyPatch, command: list[str], flow: str
) -> None:
    """Prefect shows them all; the address itself goes to the flow in another way."""
    called: list[tuple[str, Mapping[str, Any], str | None]] = []

    @contextlib.contextmanager
    def recorded() -> Iterator[Any]:
        yield lambda name, parameters, given: called.append((name, parameters, given.settings.endpoint))

    monkeypatch.setattr("pipelines.cli.prefect_run.prefect_flows", recorded)
    path, url = str(board()), "http://amy:pw@127.0.0.1:9/paint?key=S3cret"

    storyreel(command[0], path, *command[1:], "--endpoint", url, "--output", "odd\x1b", STORYREEL_API_TOKEN="t0ken")

    [(name, parameters, endpoint)] = called
    assert (name, endpoint) == (flow, url)
    assert {
        "storyboard": path,
        "endpoint": "http://127.0.0.1:9/paint",
        "output": r"odd\x1b",
    }.items() <= parameters.items()
    assert not {"amy", "pw", "S3cret", "t0ken"} & set(str(parameters).replace("'", " ").split())


def test_an_endpoint_that_a_file_names_is_told(storyreel: Storyreel, board: Board) -> None:
    """Once, with the file, and that a token from elsewhere goes there; not where it is not used, nor to the quiet."""
    path = board(frames=1)
    with serving() as url:
        file = path.parent / ".env"
        file.write_text(f"STORYREEL_ENDPOINT={url}\nSTORYREEL_MODEL=sketch\n")
        told = storyreel("render", str(path))
        with_token = storyreel("render", str(path), STORYREEL_API_TOKEN="t0ken")
        others = [
            storyreel("render", str(path), "--quiet"),
            storyreel("render", str(path), "--endpoint", f"{url}/"),
            storyreel("render", str(path), STORYREEL_ENDPOINT=url),
            storyreel("plan", str(path)),
        ]

    notice = f"{file}: names the endpoint, {url}"
    assert told.stderr.splitlines().count(notice) == 1
    assert f"{notice}; STORYREEL_API_TOKEN, which is set elsewhere, is sent there" in with_token.stderr.splitlines()
    assert [ended.exit_code for ended in (told, with_token, *others)] == [0] * 6
    assert not any("names the endpoint" in ended.stderr for ended in others)
