"""Notes on a storyboard: told once by each command that reads it to its end, errors where they are to be."""

from pathlib import Path

import pytest

from tests.conftest import Storyreel, serving
from tests.support.accounts import stats

BOARD = """\
output: {size: 64x48, fps: 12}
defaults: {hold: 250ms}
captions: {font: Comic Sans MS}
scenes:
  - title: Harbor
    shots:
      - {prompt: a, caption: "བོད"}
"""
FONT = "film.yaml:3:18: captions.font: note: no font of this machine is called 'Comic Sans MS', and others are used;"
LETTERS = "film.yaml:7:30: scenes[0].shots[0].caption: note: no font here can draw བོ ད (Tibetan), and codes are shown"


@pytest.fixture
def film(tmp_path: Path) -> str:
    """Return the name of a storyboard with two notes, in the current folder."""
    (tmp_path / "film.yaml").write_text(BOARD)
    return "film.yaml"


@pytest.mark.parametrize("command", ["check", "plan", "render"])
def test_each_note_is_told_once_in_file_order(storyreel: Storyreel, film: str, command: str) -> None:
    """On stderr, before anything else that is done."""
    ended = storyreel(command, film)

    told = [line for line in ended.stderr.splitlines() if ": note: " in line]
    assert ended.exit_code == 0
    assert [line[: len(start)] for line, start in zip(told, (FONT, LETTERS), strict=True)] == [FONT, LETTERS]
    assert ended.stderr.startswith(FONT)


@pytest.mark.parametrize("command", ["check", "plan", "render"])
def test_notes_stand_in_the_json_too(storyreel: Storyreel, film: str, command: str) -> None:
    """As the same lines."""
    ended = storyreel(command, film, "--json")

    font, letters = ended.json["notes"]
    assert (font[: len(FONT)], letters[: len(LETTERS)]) == (FONT, LETTERS)


@pytest.mark.parametrize("command", ["check", "plan", "render"])
def test_strict_makes_notes_errors_before_anything_is_sent(storyreel: Storyreel, film: str, command: str) -> None:
    """By the option or the variable; and without notes there is nothing to be strict about."""
    with serving(rate_limit=0) as url:
        asked = [] if command == "check" else ["--endpoint", url, "--model", "sketch"]
        by_option = storyreel(command, film, "--strict", *asked)
        by_variable = storyreel(command, film, *asked, STORYREEL_STRICT="1")
        requests = stats(url)["requests"]

    assert by_option.exit_code == by_variable.exit_code == 2
    assert FONT in by_option.stderr
    assert LETTERS in by_variable.stderr
    assert requests == 0
    Path(film).write_text("output: {size: 64x48}\nprompts: [a]\n")
    assert storyreel(command, film, "--strict").exit_code == 0


def test_a_strict_check_says_in_json_that_it_is_not_ok(storyreel: Storyreel, film: str) -> None:
    """The notes are its problems then."""
    ended = storyreel("check", film, "--strict", "--json")

    assert (ended.exit_code, ended.json["ok"]) == (2, False)
    assert len(ended.json["storyboards"][0]["problems"]) == 2
