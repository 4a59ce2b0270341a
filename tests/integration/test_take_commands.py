"""More takes and picks by the command, its flows without Prefect."""

import re
from pathlib import Path

import pytest

from tests.conftest import Board, Storyreel
from tests.support.accounts import rows


def test_what_is_there_is_listed_for_people(storyreel: Storyreel, board: Board) -> None:
    """An arrow marks what the film shows; another prompt than the frame's own is said."""
    path = str(board(frames=1))
    storyreel("render", path)
    storyreel("reroll", path, "0", "--prompt", "a quiet harbor in fog", "--yes")
    storyreel("pick", path, "0", "2")

    lines = storyreel("takes", path).stderr.splitlines()

    assert lines[0] == "frame_0000 main/shot-1"
    assert re.fullmatch(r"     take 1  0\.000322 USD  outputs/film/takes/\w{12}\*\.png", lines[1])
    assert re.fullmatch(
        r"  -> take 2  0\.000322 USD, picked  outputs/film/takes/\w{12}\*\.png  asked: 'a quiet harbor in fog'",
        lines[2],
    )


def test_a_dry_run_quotes_and_sends_nothing(storyreel: Storyreel, board: Board, tmp_path: Path) -> None:
    """Not even ledger are made for it."""
    ended = storyreel("reroll", str(board()), "0-2", "--dry-run", "--json")

    assert (ended.exit_code, ended.json["generate"], ended.json["cost_usd"]) == (0, 3, "0.000966")
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("reroll", "9"), "9: there is no such frame; film has frames 0 to 2"),
        (("reroll", "0", "--takes", "0"), "--takes 0: must be 1 to 99"),
        (("reroll", "0", "--prompt", " "), "the prompt is 0 characters once filled in"),
        (("pick", "0", "1"), "there is no take 1; it has none yet; render the storyboard first"),
        (("pick", "main", "1"), "main: names 3 frames"),
    ],
)
def test_what_cannot_be_asked_for_is_an_error(
    storyreel: Storyreel, board: Board, arguments: tuple[str, ...], message: str
) -> None:
    """Nothing is sent."""
    verb, *rest = arguments

    ended = storyreel(verb, str(board()), *rest)

    assert ended.exit_code == 2
    assert message in ended.stderr


def test_a_reroll_beyond_the_budget_is_refused(storyreel: Storyreel, board: Board, tmp_path: Path) -> None:
    """Before its first request; by the run itself too, where nothing is asked."""
    path = str(board())
    storyreel("render", path)

    ended = [storyreel("reroll", path, "0-2", "--budget", "0.0009", *yes) for yes in ((), ("--yes",))]

    assert [each.exit_code for each in ended] == [3, 3]
    assert len(rows(tmp_path / "outputs/film")) == 3
