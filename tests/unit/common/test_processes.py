"""The starts of processes: the same for as long as a process lives, whatever happens to the clock."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pipelines.common import processes
from pipelines.common.processes import start_of

NO_SUCH_PID = 2**22 + 1


@pytest.fixture
def other() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that lives as long as the test."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.communicate()


@pytest.fixture(params=["/proc", "no /proc"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With /proc where there is one, and without as on macOS and Windows."""
    if request.param == "no /proc":
        monkeypatch.setattr(processes, "_PROC", tmp_path)


@pytest.mark.usefixtures("either_way")
def test_a_process_has_one_start(other: "subprocess.Popen[bytes]") -> None:
    """It does not change, and another process has another."""
    starts = {start_of(other.pid) for _ in range(3)}

    assert len(starts) == 1
    assert start_of(os.getpid()) not in starts


def test_a_stepped_clock_moves_no_start(other: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine takes for its boot time follows the wall clock; clock ticks since then do not."""
    before, by_clock = start_of(other.pid), psutil.Process(other.pid).create_time()
    stepped = psutil.boot_time() + 5
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: stepped)

    # psutil's own figure does move: this test would notice.
    assert psutil.Process(other.pid).create_time() != by_clock
    assert start_of(other.pid) == before


@pytest.mark.usefixtures("either_way")
def test_there_is_no_start_without_a_process() -> None:
    """A number that no process has."""
    with pytest.raises(ProcessLookupError):
        start_of(NO_SUCH_PID)


@pytest.mark.usefixtures("either_way")
def test_a_dead_process_that_was_not_reaped_has_no_start(other: "subprocess.Popen[bytes]") -> None:
    """It is in the table until its parent asks for its exit status."""
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)

    with pytest.raises(ProcessLookupError):
        start_of(other.pid)


def test_a_name_with_brackets_and_spaces_is_read_past(tmp_path: Path) -> None:
    """The name stands in brackets before the fields, and may hold anything."""
    program = tmp_path / "a) R 1 (b"
    program.symlink_to(sys.executable)
    process = subprocess.Popen([program, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        # The name is the new one only once the program has been loaded.
        deadline = time.monotonic() + 30
        stat = Path(f"/proc/{process.pid}/stat")
        while b"(a) R 1 (b)" not in stat.read_bytes() and time.monotonic() < deadline:
            time.sleep(0.01)

        assert b"(a) R 1 (b)" in stat.read_bytes()
        assert start_of(process.pid) >= start_of(os.getpid())
    finally:
        process.communicate()


def test_a_hidden_process_is_not_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where /proc hides the processes of others, a signal of nothing still tells that there is one."""

    def refuse(pid: int, number: int) -> None:
        assert (pid, number) == (NO_SUCH_PID, 0)
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)

    with pytest.raises(PermissionError):
        start_of(NO_SUCH_PID)
