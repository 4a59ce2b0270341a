"""What a run says of time while it goes on, and on what terminals; what `plan` says of it before."""

import asyncio
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipelines.common.settings import Settings
from pipelines.run.local import run_locally
from pipelines.run.observer import RunObserver
from pipelines.run.progress import Progress
from pipelines.storyboard.loader import load_storyboard
from tests.conftest import Board, serving
from tests.support.terminal import on_terminal

# Select Graphic Rendition (ECMA-48, 8.3.117): foregrounds and backgrounds.
_COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[;m]")


@dataclass(slots=True)
class Recording(Progress):
    """Progress that keeps what it said as each segment was encoded: the seconds left, and the share that is done."""

    said: list[tuple[float | None, float]] = field(default_factory=list)

    def segment_encoded(self, megapixels: float, seconds: float | None) -> None:
        Progress.segment_encoded(self, megapixels, seconds)
        self.said.append((self.seconds_left, self.time_left.share))


def render(path: Path, settings: Settings) -> Recording:
    """Render without Prefect; return what was said meanwhile."""
    progress = Recording()
    asyncio.run(run_locally(load_storyboard(path), settings, observer=RunObserver(progress)))
    return progress


def test_while_segments_are_encoded_there_is_time_left(board: Board, tmp_path: Path) -> None:
    """A second at least until the last one, and a bar that is full only once the film is there."""
    path = board(frames=6, more="")
    path.write_text(path.read_text().replace("hold: 250ms", "hold: 3s, motion: push_in"))
    with serving() as url:
        settings = Settings(output=tmp_path / "outputs", endpoint=url, model="sketch", rate_limit=6000)
        render(path, settings)
    folder = tmp_path / "outputs/film"
    shutil.rmtree(folder / "segments")
    (folder / "film.mp4").unlink()

    progress = render(path, settings)

    *before_the_last, last = progress.said
    shares = [share for _, share in progress.said]
    assert len(progress.said) == progress.segments == 6
    assert all(seconds is not None and seconds >= 1 for seconds, _ in before_the_last)
    assert last[0] is None
    assert shares == sorted(shares)
    assert (max(shares), progress.time_left.share) == (0.99, 1)


@pytest.mark.parametrize("term", ["dumb", "unknown", ""])
def test_a_terminal_that_knows_no_cursor_gets_plain_lines(term: str, board: Board, tmp_path: Path) -> None:
    """None of them draws over another, and each is there once."""
    with on_terminal("render", str(board()), cwd=tmp_path, TERM=term) as session:
        ended = session.end()

    lines = ended.stderr.splitlines()
    assert (ended.exit_code, "\x1b" in session.sent) == (0, False)
    assert any(line.startswith("film: writing the report, 3 of 3 frames, ") for line in lines)
    assert len(lines) == len(set(lines))


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}])
def test_a_live_display_uses_no_colour_of_its_own(environment: dict[str, str], board: Board, tmp_path: Path) -> None:
    """A terminal's own suit its background, light or dark."""
    with on_terminal("render", str(board()), cwd=tmp_path, **environment) as session:
        ended = session.end()

    assert (ended.exit_code, "\x1b[" in session.sent) == (0, True)
    assert _COLOUR.findall(session.sent) == []


@pytest.mark.parametrize("columns", ["40", "60", "80", "120", "200"])
def test_the_display_says_how_long_and_what_ctrl_c_does(columns: str, board: Board, tmp_path: Path) -> None:
    """On terminals of all widths, in ASCII too; what was drawn is gone in the end."""
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    with on_terminal("render", str(board()), cwd=tmp_path, COLUMNS=columns, **ascii_only) as session:
        ended = session.end()

    drawn = session.printed.partition("film: completed")[0]
    assert ended.exit_code == 0
    assert drawn.isascii()
    assert "elapsed " in drawn
    assert "Ctrl-C: " in drawn
    assert max(len(line.rstrip("\r")) for line in re.split(r"[\r\n]", drawn)) <= int(columns)
