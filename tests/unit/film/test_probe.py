"""A film is judged by its packets: their number, their times, their lengths."""

from fractions import Fraction
from pathlib import Path

import pytest

from pipelines.common.errors import FilmError
from pipelines.common.geometry import Size
from pipelines.film.probe import Film, read_film
from tests.support.film_samples import ask_ffmpeg


def encode(path: Path, *arguments: str) -> Path:
    """Make a video of ffmpeg's test card."""
    ask_ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25", *arguments, str(path))
    return path


@pytest.mark.parametrize("between", ["0", "3"])
@pytest.mark.parametrize("fps", ["25", "24000/1001", "60000/1001"])
async def test_a_film_has_its_exact_figures(tmp_path: Path, fps: str, between: str) -> None:
    """Count, length, size and rate are exact, whatever clock the file keeps, and in whatever order it is decoded."""
    path = encode(tmp_path / "film.mp4", "-r", fps, "-bf", between, "-frames:v", "33")

    assert await read_film(path) == Film(path, 33, 33 / Fraction(fps), Size(64, 48), Fraction(fps))


async def test_an_uneven_film_is_refused(tmp_path: Path) -> None:
    """A picture that is not where a constant rate puts it is found."""
    path = encode(
        tmp_path / "film.mp4", "-vf", "setpts=PTS+gte(N\\,3)*3/25/TB", "-fps_mode", "vfr", "-bf", "0", "-frames:v", "9"
    )

    with pytest.raises(FilmError) as caught:
        await read_film(path)

    assert str(caught.value) == f"{path}: video frame 2 does not stand at its time; render again"


async def test_a_picture_at_the_time_of_another_is_found(tmp_path: Path) -> None:
    """Also where pictures are decoded in another order than they are shown."""
    path = encode(tmp_path / "whole.mp4", "-bf", "3", "-b_strategy", "0", "-frames:v", "33")
    late = tmp_path / "late.mp4"
    # One that is predicted from later ones, four video frames late.
    ask_ffmpeg("-i", str(path), "-c", "copy", "-bsf:v", "setts=pts=PTS+eq(N\\,7)*4*512", str(late))

    with pytest.raises(FilmError, match="does not stand at its time"):
        await read_film(late)


async def test_a_film_without_pictures_is_refused(tmp_path: Path) -> None:
    """A file may be an MP4 and yet show nothing."""
    path = encode(tmp_path / "film.mp4", "-movflags", "+empty_moov", "-t", "0")

    with pytest.raises(FilmError) as caught:
        await read_film(path)

    assert str(caught.value) == f"{path}: holds no video; render again"


async def test_what_is_no_film_is_refused(tmp_path: Path) -> None:
    """Any other file is reported, in ffmpeg's words."""
    (tmp_path / "film.mp4").write_text("not a film")

    with pytest.raises(FilmError, match=r"ffmpeg failed with exit code [0-9]+: [^$]*Invalid data found"):
        await read_film(tmp_path / "film.mp4")
