"""The command opens the review page without its address in any command line."""

import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import Board, clean_environment, wait_until
from tests.support.patience import WAIT_S

REPOSITORY = Path(__file__).parents[2]


@contextlib.contextmanager
def reviewing(path: Path, *, cwd: Path, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """Run the command's review; kill it in the end."""
    with subprocess.Popen(
        [sys.executable, "-m", "pipelines", "review", str(path)],
        cwd=cwd,
        env=clean_environment(PYTHONPATH=str(REPOSITORY), **environment),
        stderr=subprocess.PIPE,
        text=True,
    ) as room:
        try:
            yield room
        finally:
            room.kill()


def address_of(room: "subprocess.Popen[str]") -> str:
    assert room.stderr is not None
    return room.stderr.readline().split()[-4]


def test_no_command_line_holds_the_address(board: Board, tmp_path: Path) -> None:
    """The browser gets a file; it goes as the page is opened, or as the review ends, or at the next start."""
    opened = tmp_path / "opened"
    opener = tmp_path / "xdg-open"
    opener.write_text(f'#!/bin/sh\nprintf "%s" "$*" > {opened}.part\n/bin/mv {opened}.part {opened}\n')
    opener.chmod(0o755)
    files = tmp_path / "outputs/film"
    path = board()

    with reviewing(path, cwd=tmp_path, PATH=str(tmp_path)) as room:
        address = address_of(room)
        wait_until(opened.exists)
        file = Path(opened.read_text())
        text, mode = file.read_text(), file.stat().st_mode & 0o777
    left = list(files.glob("review-*"))
    opened.unlink()
    # The one before was killed.
    with reviewing(path, cwd=tmp_path, PATH=str(tmp_path)) as room:
        address_of(room)
        wait_until(opened.exists)
        there = list(files.glob("review-*"))
        room.send_signal(signal.SIGINT)
        room.communicate(timeout=WAIT_S)

    assert re.findall(r'url=([^"]*)"', text) == [address]
    assert (mode, address.split("/")[3] in str(file), file.parent) == (0o600, False, files)
    assert (left, there) == ([file], [Path(opened.read_text())])
    assert list(files.glob("review-*")) == []
