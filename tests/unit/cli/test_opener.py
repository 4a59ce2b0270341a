"""Opening what was made: the desktop's opener, the browsers of BROWSER, and a machine that has neither."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.cli.opener import open_for_user
from pipelines.cli.render import RenderResult, open_results
from pipelines.ledger.models import RunState
from tests.conftest import Board, Storyreel, wait_until
from tests.support.results import run_result

MADE = run_result(state=RunState.COMPLETED, video=Path("outputs/harbor/harbor.mp4"), video_seconds=4.0)
RECORD = 'echo noise; echo noise >&2; printf "%s\\n" "$@" >> {record}'


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that is the whole PATH, and the current folder; it holds no program yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("BROWSER", raising=False)
    return tmp_path


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a program which records its arguments, and then runs `then`."""

    def write(name: str, then: str = "exit 0") -> Path:
        record = tmp_path / f"{name}.opened"
        script = tmp_path / name
        script.write_text(f"#!/bin/sh\n{RECORD.format(record=record)}\n{then}\n")
        script.chmod(0o755)
        return record

    return write


def test_the_desktop_opens_it(machine: Path, program: Callable[..., Path], capfd: pytest.CaptureFixture[str]) -> None:
    """By its whole path, however it is named; what the opener prints is not shown."""
    opened = program("xdg-open")

    taken = open_for_user(Path("-film #1.mp4"))

    assert (taken, opened.read_text()) == (True, f"{machine}/-film #1.mp4\n")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("browser", "arguments"),
    [("browse", "{uri}"), ("browse --new-tab %s", "--new-tab\n{uri}"), ("nope:'odd:browse", "{uri}")],
)
def test_a_browser_opens_it_where_the_desktop_does_not(
    machine: Path, program: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, browser: str, arguments: str
) -> None:
    """The first of BROWSER that can, asked as Python's webbrowser would ask it."""
    program("xdg-open", "exit 3")
    opened = program("browse")
    monkeypatch.setenv("BROWSER", browser)

    taken = open_for_user(Path("a film.mp4"))

    assert (taken, opened.read_text()) == (True, arguments.format(uri=f"file://{machine}/a%20film.mp4\n"))


def test_an_opener_in_the_foreground_does_not_hold_us_up(machine: Path, program: Callable[..., Path]) -> None:
    """It goes on while we do not wait."""
    os.mkfifo(machine / "gate")
    opened = program("xdg-open", f"read answer < {machine}/gate")

    taken = open_for_user(Path("film.mp4"), grace_period_s=0.01)

    assert taken
    (machine / "gate").write_text("go\n")
    wait_until(opened.exists)


def test_a_machine_without_any_opener_prints_where_the_film_is(
    machine: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One plain line on stderr."""
    open_results([RenderResult(Path("harbor.yaml"), MADE, None)])

    message = "outputs/harbor/harbor.mp4: no program on this machine opens it; open it yourself\n"
    assert capfd.readouterr() == ("", message)


def test_the_page_is_opened_rather_than_the_film_and_nothing_where_nothing_was_made(
    machine: Path, program: Callable[..., Path]
) -> None:
    """Of several runs, what each of them made."""
    opened = program("xdg-open")
    page = replace(MADE, report=Path("outputs/harbor/report.html"))
    unfinished = replace(MADE, video=None, video_seconds=None)
    summaries = [page, unfinished, None, MADE]

    open_results([RenderResult(Path("harbor.yaml"), summary, None) for summary in summaries])

    assert opened.read_text().splitlines() == [
        f"{machine}/outputs/harbor/report.html",
        f"{machine}/outputs/harbor/harbor.mp4",
    ]


def test_render_opens_the_film_and_answers_all_the_same(
    storyreel: Storyreel, board: Board, program: Callable[..., Path], tmp_path: Path
) -> None:
    """With --json, stdout still holds one object and nothing else."""
    opened = program("xdg-open")
    arguments = ["render", str(board(frames=1)), "--open", "--json"]

    ended = storyreel(*arguments, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    made = json.loads(ended.stdout)
    assert (ended.exit_code, opened.read_text()) == (0, f"{tmp_path}/{made['report'] or made['video']}\n")
