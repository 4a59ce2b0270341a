"""A re-roll asks before it spends: on a real terminal, off one, and what it then generates."""

from decimal import Decimal
from pathlib import Path

import pytest

from tests.conftest import Board, Storyreel, serving
from tests.support.accounts import rows, stats
from tests.support.terminal import CTRL_C, CTRL_D, on_terminal

QUESTION = "Generate? [y/N] "


def test_off_a_terminal_nothing_is_sent_without_yes(storyreel: Storyreel, board: Board, tmp_path: Path) -> None:
    """The price is told, and both ways out; exit code 2."""
    ended = storyreel("reroll", str(board()), "1", "--takes", "2", "--json")

    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr == (
        "2 more takes of 1 frame: 0.000644 USD, at worst 0.002576 USD, simulated: sketches are free\n"
        "reroll asks before it spends, and there is no terminal to ask on: nothing was sent; give --yes to generate "
        "without being asked, or --dry-run for the price alone\n"
    )
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize("yes", ["--yes", "-y"])
def test_with_yes_nothing_is_asked(storyreel: Storyreel, board: Board, tmp_path: Path, yes: str) -> None:
    """The price is told, and what it names is generated."""
    ended = storyreel("reroll", str(board()), "1", "--takes", "2", "--json", yes)

    assert ended.exit_code == 0, ended.stderr
    assert ended.stderr.startswith("2 more takes of 1 frame: 0.000644 USD, ")
    assert QUESTION not in ended.stderr
    assert (ended.json["generated"], ended.json["cost_usd"]) == (2, "0.000644")
    assert [row["frame"] for row in rows(tmp_path / "outputs/film")] == ["1", "1"]


def test_on_a_terminal_a_yes_generates_what_was_shown(board: Board, tmp_path: Path) -> None:
    """For the price that was shown, with the prompt that was given; stdout has one JSON object."""
    with serving() as url:
        given = ("--endpoint", url, "--model", "sketch", "--takes", "2", "--prompt", "a storm", "--json")
        with on_terminal("reroll", str(board()), "0,2", *given, cwd=tmp_path) as session:
            ended = session.wait_for(QUESTION).press(b"y\n").end()
        account = stats(url)

    assert ended.exit_code == 0, ended.stderr
    assert ended.stderr.startswith("4 more takes of 2 frames: 0.001288 USD, at worst 0.005152 USD, ")
    assert (ended.json["generated"], ended.json["cost_usd"]) == (4, "0.001288")
    assert (account["images"], Decimal(account["billed_usd"])) == (4, Decimal("0.001288"))
    assert {row["prompt"] for row in rows(tmp_path / "outputs/film")} == {"a storm"}


@pytest.mark.parametrize("answer", [b"\n", b"n\n", b"maybe\n", b"yesterday\n", b"\xff\n", CTRL_D])
def test_another_answer_than_yes_sends_nothing(board: Board, tmp_path: Path, answer: bytes) -> None:
    """The end of the input too; one plain line says so."""
    with on_terminal("reroll", str(board()), "1", "--json", cwd=tmp_path) as session:
        ended = session.wait_for(QUESTION).press(answer).end()

    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.endswith("\nnot confirmed: nothing was sent\n")
    assert not (tmp_path / "outputs").exists()


def test_ctrl_c_at_the_question_sends_nothing(board: Board, tmp_path: Path) -> None:
    """It ends as every interruption does, without a traceback."""
    with on_terminal("reroll", str(board()), "1", cwd=tmp_path) as session:
        ended = session.wait_for(QUESTION).press(CTRL_C).end()

    assert ended.exit_code == 130
    assert ended.stderr.endswith("\ninterrupted: nothing was sent\n")
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize("gone", [False, True])
def test_a_storyboard_that_changes_while_the_question_stands_is_not_generated(
    board: Board, tmp_path: Path, gone: bool
) -> None:
    """What was shown is not wanted any more, and what is wanted was not shown."""
    path = board()
    with on_terminal("reroll", str(path), "1", cwd=tmp_path) as session:
        session.wait_for(QUESTION)
        path.unlink() if gone else path.write_text(path.read_text().replace("view 1", "view 9"))
        ended = session.press(b"y\n").end()

    assert ended.exit_code == 2
    assert ended.stderr.endswith(f"{path}: has changed since its price was shown: nothing was sent; reroll it again\n")
    assert not (tmp_path / "outputs").exists()


def test_a_quiet_question_still_shows_the_price(board: Board, tmp_path: Path) -> None:
    """Nobody can say yes to a price that was not shown."""
    with on_terminal("reroll", str(board()), "1", "--quiet", cwd=tmp_path) as session:
        ended = session.wait_for(QUESTION).press(b"n\n").end()

    assert ended.stderr.startswith("1 more take of 1 frame: 0.000322 USD, ")


def test_a_budget_that_refuses_is_told_before_anything_is_asked(board: Board, tmp_path: Path) -> None:
    """The answer would change nothing."""
    path = str(board(more="budget: {usd: 0.0003}\n"))
    with on_terminal("reroll", path, "1", cwd=tmp_path) as session:
        ended = session.end()

    assert ended.exit_code == 3
    assert QUESTION not in ended.stderr
    assert "more than the 0.0003 USD that are left of the budget: nothing was sent" in ended.stderr
    assert not (tmp_path / "outputs").exists()


def test_what_other_runs_have_spent_counts_before_the_question(storyreel: Storyreel, board: Board) -> None:
    """The storyboard's budget is what is left of it now; off a terminal it refuses before the lack of an answer."""
    path = str(board(more="budget: {total_usd: 0.004, on_exceed: refuse}\n"))
    storyreel("render", path)

    ended = storyreel("reroll", path, "0-2")

    assert ended.exit_code == 3
    assert "may cost, with every re-send, 0.003864 USD, more than the 0.003034 USD that are left of" in ended.stderr
