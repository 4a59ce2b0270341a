"""Runs below Prefect in processes of their own, to be killed, measured, or given another clock."""

import json
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.campaigns.boards import Board
from tests.conftest import clean_environment
from tests.support.patience import WAIT_S

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class RunEnd:
    """The end of a run's process: the run's exit code, None where it was killed or broke down, and its most memory."""

    exit_code: int | None
    mib: float
    errors: str


@dataclass(frozen=True, slots=True)
class Renderer:
    """A process that does one run."""

    board: Board
    process: "subprocess.Popen[str]"

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    def kill(self) -> None:
        """Kill it, as a power cut would."""
        self.process.kill()

    def end(self) -> RunEnd:
        """Wait for its end."""
        output, errors = self.process.communicate(timeout=WAIT_S)
        if self.process.returncode:
            return RunEnd(None, 0, errors[-4000:])
        said = json.loads(output)
        return RunEnd(said["exit_code"], said["mib"], errors[-4000:])


@contextmanager
def rendering(board: Board, environment: Mapping[str, str], *, clock: Path | None = None) -> Iterator[Renderer]:
    """Start a run; in the end its process is no more. `clock` is a file of `set_clock`'s, by which it goes."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.campaigns.rendering", str(board.path), *([str(clock)] if clock else [])],
        cwd=board.path.parent,
        env=clean_environment(PYTHONPATH=str(_ROOT), **environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Renderer(board, process)
    finally:
        process.kill()
        process.communicate()


def run_environment(url: str, folder: Path, **settings: object) -> dict[str, str]:
    """Return the environment of runs that ask this endpoint and share the ledger of this folder."""
    given = {"endpoint": url, "output": folder / "outputs", **settings}
    return {f"STORYREEL_{name.upper()}": str(value) for name, value in given.items()}


def set_clock(file: Path, wrong_by_s: float) -> Path:
    """Let the clocks that `file` keeps be wrong by so many seconds, at once; return the file."""
    if not file.exists():
        file.write_bytes(bytes(8))
    # In place: whoever has it open must see it.
    with file.open("r+b") as opened:
        opened.write(struct.pack("d", wrong_by_s))
    return file
