"""The command without a standard stream, and with one that takes nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Board, clean_environment
from tests.support.patience import WAIT_S
from tests.support.terminal import REPOSITORY

pytestmark = pytest.mark.slow


def in_shell(arguments: str, redirections: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the command in a shell, with what a person would write behind it."""
    return subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m tests.support.local_command {arguments} {redirections}"],
        cwd=folder,
        env=clean_environment(PYTHONPATH=str(REPOSITORY)),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


@pytest.mark.parametrize("redirections", ["2>&-", "<&- 2>&-", "2>/dev/full"])
def test_a_run_goes_on_without_its_messages(board: Board, tmp_path: Path, redirections: str) -> None:
    """Nobody reads them, and no file of the run gets their place."""
    path = board(frames=2)

    done = in_shell(f"-v render {path} --json", redirections, tmp_path)

    assert (done.returncode, json.loads(done.stdout)["state"]) == (0, "Completed")


def test_a_run_goes_on_without_its_output(board: Board, tmp_path: Path) -> None:
    """A closed one takes what is printed, as no reader is there to miss it."""
    done = in_shell(f"render {board(frames=1)} --json", ">&-", tmp_path)

    assert done.returncode == 0
    assert "completed after" in done.stderr


def test_output_that_cannot_be_written_is_told(board: Board, tmp_path: Path) -> None:
    """In a word, and not as a bug."""
    done = in_shell(f"plan {board(frames=1)} --json", ">/dev/full", tmp_path)

    assert done.returncode == 4
    assert done.stderr.splitlines()[-1] == "standard output: cannot be written: No space left on device"


def test_a_reader_that_has_had_enough_is_no_error(board: Board, tmp_path: Path) -> None:
    """As `head` does."""
    done = in_shell("schema", "| head -c 9", tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (0, '{\n  "$sch', "")
