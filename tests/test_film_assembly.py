"""A film shows each frame for exactly its video frames, in its true colours, whatever the frames are like."""

from fractions import Fraction
from pathlib import Path

import pytest
from tests.film_samples import COLOURS, SMALL, colour_runs, flat_frames, timeline_of

from pipelines.film.assembly import Film, assemble_film

NAMES = list(COLOURS)


@pytest.mark.parametrize(
    "fps", [Fraction(12), Fraction(24), Fraction(25), Fraction(24000, 1001), Fraction(60000, 1001)], ids=str
)
def test_each_frame_is_shown_for_its_video_frames(tmp_path: Path, fps: Fraction) -> None:
    """Every colour starts at its own video frame, and the record tells the exact length and rate."""
    lengths = [3, 1, 7, 2, 1, 1, 12, 5]
    frames = flat_frames(tmp_path, NAMES)

    film = assemble_film(timeline_of(lengths, fps=fps), frames, tmp_path / "film.mp4")

    assert film == Film(tmp_path / "film.mp4", 32, 32 / fps, SMALL, fps)
    assert colour_runs(film.path) == list(zip(NAMES, lengths, strict=True))
