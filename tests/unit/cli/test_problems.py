"""On a terminal a problem shows its line with a caret under its column; elsewhere it is a plain line."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.cli.excerpts import excerpt
from pipelines.cli.problems import print_notes, print_problems
from pipelines.common.errors import Note, Problem
from tests.conftest import Ended, clean_environment

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("line", "column", "expected"),
    [
        ("  - a cat #1", 11, ["  - a cat #1", "          ^"]),
        ("title: x", 1, ["title: x", "^"]),
        ("title: x", 9, ["title: x", "        ^"]),
        # Letters of two cells, marks of none.
        ("日本 😀: b: c", 8, ["日本 😀: b: c", "          ^"]),
        ("e\u0301: b: c", 5, ["e\u0301: b: c", "   ^"]),
        # A tab is four cells here, wherever it stands.
        ("\t- x", 1, ["    - x", "^"]),
        ("\ta\tb", 4, ["    a    b", "         ^"]),
        # What would act on the terminal is shown by its code.
        ("a\x1b[31m\u202eb", 7, ["a\\x1b[31m\\u202eb", "         ^"]),
        # 38 cells, of which the half stands before the column at most.
        ("x" * 5_000_000, 1, ["x" * 37 + "…", "^"]),
        ("x" * 5_000_000 + "yz", 5_000_001, ["…" + "x" * 18 + "yz", " " * 19 + "^"]),
        ("x" * 3000 + "y" * 3000, 3001, ["…" + "x" * 18 + "y" * 18 + "…", " " * 19 + "^"]),
        ("日" * 3000 + "y", 3001, ["…" + "日" * 9 + "y", " " * 19 + "^"]),
    ],
)
def test_the_caret_stands_under_the_column(line: str, column: int, expected: list[str]) -> None:
    """However wide the letters before it are, and however long the line."""
    assert excerpt(line, column, 40).split("\n") == [f"  {part}" for part in expected]


@pytest.mark.parametrize("line", ["", "   ", "\t"])
def test_a_line_without_anything_is_not_shown(line: str) -> None:
    """A caret under nothing says nothing."""
    assert excerpt(line, 1, 80) == ""


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take stderr for a terminal of 80 columns."""
    monkeypatch.setattr("pipelines.cli.problems.is_terminal", lambda _: True)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.usefixtures("on_terminal")
@pytest.mark.parametrize("command", ["check", "plan", "render", "animatic", "review"])
def test_every_command_shows_where_a_storyboard_is_wrong(
    invoke: Callable[..., Ended], tmp_path: Path, command: str
) -> None:
    """The same way."""
    (tmp_path / "bad.yaml").write_text("title: Bad\r\nprompts:\r\n  - wide shot: a harbor\r\n")

    ended = invoke(command, "bad.yaml")

    assert ended.exit_code == 2
    assert ended.stderr == (
        "bad.yaml:3:5: prompts[0]: must be text, got a mapping; put the text in quotes: it holds a colon and a space\n"
        "    - wide shot: a harbor\n"
        "      ^\n"
    )


@pytest.mark.usefixtures("on_terminal")
def test_notes_show_their_place_too(invoke: Callable[..., Ended], tmp_path: Path) -> None:
    """Also where they are errors."""
    (tmp_path / "noted.yaml").write_text("prompts:\n  - a cat #1\n")
    note = (
        "noted.yaml:2:11: prompts[0]: note: ends before ' #1', which YAML takes for a comment; put the text in quotes\n"
        "    - a cat #1\n"
        "            ^\n"
    )

    told, strict = invoke("check", "noted.yaml"), invoke("check", "--strict", "noted.yaml")

    assert (told.exit_code, told.stderr) == (0, f"{note}noted.yaml: ok, 1 frame, 4.0 s, 1 note\n")
    assert (strict.exit_code, strict.stderr) == (2, note)


@pytest.mark.usefixtures("on_terminal")
def test_what_cannot_be_shown_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is gone, or shorter by now, or was never read, or no text, or a pipe that has been read."""
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "short.yaml").write_text("a\n")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\n\xff\n")
    names = ["gone.yaml", "short.yaml", "binary.yaml", "pipe.yaml"]
    problems = [Problem(str(tmp_path / name), 7, 1, "", "is wrong") for name in names]

    print_problems([*problems, Problem("none.yaml", 0, 0, "", "is not there")])
    print_notes([Note("none.yaml", 1, 1, "", "is not there")])

    assert capsys.readouterr().err.splitlines() == [
        *(f"{tmp_path}/{name}:7:1: is wrong" for name in names),
        "none.yaml: is not there",
        "none.yaml:1:1: note: is not there",
    ]


def test_a_line_alone_is_printed_where_there_is_no_terminal(invoke: Callable[..., Ended], tmp_path: Path) -> None:
    """For programs, which go by the place."""
    (tmp_path / "bad.yaml").write_text("titel: x\nprompts: [1]\n")

    assert invoke("plan", "bad.yaml").stderr == (
        "bad.yaml:1:1: titel: unknown key; did you mean 'title'?\n"
        'bad.yaml:2:11: prompts[0]: must be text, got 1; put it in quotes: "1"\n'
    )


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such terminals")
def test_a_terminal_is_told_from_a_pipe(tmp_path: Path) -> None:
    """By asking stderr, whatever stdout is."""
    (tmp_path / "bad.yaml").write_text("titel: x\nprompts: [a]\n")
    ours, its = pty.openpty()

    done = subprocess.run(
        [sys.executable, "-m", "pipelines", "check", "--json", "bad.yaml"],
        cwd=tmp_path,
        env=clean_environment(PYTHONPATH=str(REPOSITORY)),
        stdout=subprocess.PIPE,
        stderr=its,
        check=False,
    )

    assert done.returncode == 2
    assert os.read(ours, 1000).decode().splitlines() == [
        "bad.yaml:1:1: titel: unknown key; did you mean 'title'?",
        "  titel: x",
        "  ^",
    ]
