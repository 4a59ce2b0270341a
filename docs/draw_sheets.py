"""Draw film.md's sheets of transitions and motions, from films that storyreel cuts: `python docs/draw_sheets.py`."""

import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import imageio.v3 as iio
from PIL import Image

from pipelines.common.geometry import AspectRatio, Fit, Size
from pipelines.common.lettering.drawing import place_lines, write_lines
from pipelines.common.lettering.layout import cut_lines
from pipelines.common.lettering.typefaces import FontStack
from pipelines.endpoints.requests import ImageRequest
from pipelines.film.assembler import assemble_film
from pipelines.server.engines.sketch import SketchEngine
from pipelines.storyboard.model import Ease, Motion, MotionType, Output
from pipelines.storyboard.timeline import Hold, Timeline
from pipelines.storyboard.transitions import OWN, XFADE

# Pixels.
CELL = Size(224, 128)
GAP, LABEL_HEIGHT, EM = 6, 18, 13
# Video frames.
HOLD = 24
OUTPUT = Output(Fraction(24), CELL, "h264", 10, Fit.COVER)
HERE = Path(__file__).parent


def main() -> None:
    """Draw both sheets."""
    with tempfile.TemporaryDirectory() as folder:
        frames = [sketch(Path(folder) / f"{n}.png", prompt) for n, prompt in enumerate(PROMPTS)]
        # A third of the way through a transition, which takes twelve video frames on either side of the cut.
        transitions = [(kind, picture(transition(kind), frames, HOLD - 5)) for kind in (*OWN, *XFADE)]
        sheet(transitions, columns=7).save(HERE / "transitions.jpg", quality=82)
        motions = [
            (f"{kind} {when}", picture(motion(kind), frames, video_frame))
            for kind in MotionType
            if kind is not MotionType.NONE
            for when, video_frame in (("begins", 0), ("halfway", HOLD // 2), ("ends", HOLD - 1))
        ]
        sheet(motions, columns=6).save(HERE / "motions.jpg", quality=82)


PROMPTS = ("a lighthouse above the sea at sunset", "a garden with flowers and a cat, morning")


def sketch(path: Path, prompt: str) -> Path:
    """Draw the sketch of a frame; return its path."""
    request = ImageRequest(prompt, 4, AspectRatio.LANDSCAPE)
    path.write_bytes(SketchEngine(0).paint(request, request.aspect.size, 1))
    return path


def transition(kind: str) -> Timeline:
    """Return two holds with a transition between them."""
    half = HOLD // 2
    holds = (Hold(0, 0, HOLD, kind, half), Hold(1, HOLD, HOLD))
    return Timeline(kind, OUTPUT, holds, ())


def motion(kind: MotionType) -> Timeline:
    """Return a hold with a motion that is large enough to show in a small picture."""
    return Timeline(kind, OUTPUT, (Hold(0, 0, HOLD, motion=Motion(kind, Fraction(2, 5), Ease.LINEAR)),), ())


def picture(timeline: Timeline, frames: Sequence[Path], video_frame: int) -> Image.Image:
    """Cut a film; return one of its video frames."""
    with tempfile.TemporaryDirectory() as folder:
        film = assemble_film(timeline, frames, Path(folder) / "film.mp4")
        return Image.fromarray(iio.imread(film.path, plugin="FFMPEG", index=video_frame))


def sheet(cells: Sequence[tuple[str, Image.Image]], *, columns: int) -> Image.Image:
    """Return a page of pictures in columns, each with its name beneath."""
    rows = -(-len(cells) // columns)
    width, height = CELL.width + GAP, CELL.height + GAP + LABEL_HEIGHT
    page = Image.new("RGB", (columns * width + GAP, rows * height + GAP), "white")
    for number, (name, cell) in enumerate(cells):
        x, y = GAP + number % columns * width, GAP + number // columns * height
        page.paste(cell, (x, y))
        label = place_lines(cut_lines(name, FontStack(), CELL.width / EM, most=1), EM, width=CELL.width, baseline=EM)
        write_lines(page, (x, y + CELL.height, x + CELL.width, y + CELL.height + LABEL_HEIGHT), label, EM, "black")
    return page


if __name__ == "__main__":
    main()
