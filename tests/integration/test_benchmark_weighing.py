"""What the weighing of films rests on: scores of pictures, and the size of an encoding that would be as good."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from benchmarks.likeness import likeness, raw_file
from benchmarks.weighing import megabytes_at
from pipelines.common.geometry import Fit, Size
from pipelines.film.encoding import TAGS
from pipelines.storyboard.model import Output
from tests.support.film_samples import ask_ffmpeg, noisy_gradient

OUTPUT = Output(Fraction(24), Size(320, 240), "h264", 18, Fit.COVER)


def raw_pictures(path: Path, *numbers: int) -> Path:
    """Write raw pictures, the lighter the higher their number."""
    light = np.asarray(noisy_gradient(OUTPUT.size).convert("L"))
    colour = np.full(light.size // 2, 128, np.uint8).tobytes()
    levels = [(light // 2 + 12 * number).astype(np.uint8).tobytes() for number in numbers]
    path.write_bytes(b"".join(level + colour for level in levels))
    return path


def lossless(raw: Path, *filters: str) -> Path:
    film = raw.with_suffix(".nut")
    ask_ffmpeg("-y", *raw_file(raw, OUTPUT), *filters, "-c:v", "ffv1", str(film))
    return film


def test_each_picture_is_compared_with_its_own(tmp_path: Path) -> None:
    """Equal pictures have the highest score; where one is shown twice, those behind it come late."""
    raw = raw_pictures(tmp_path / "pictures.yuv", 0, 1, 2, 3)
    late = raw_pictures(tmp_path / "late.yuv", 0, 1, 1, 2)

    equal, unlike = (likeness(lossless(pictures), raw, OUTPUT) for pictures in (raw, late))

    assert [len(scores) for scores in (equal.vmaf, equal.psnr_db, equal.cambi)] == [4, 4, 4]
    assert equal.psnr_db.min() >= 60
    assert [bool(score >= 60) for score in unlike.psnr_db] == [True, True, False, False]


def test_a_film_that_states_its_colours_is_compared_as_it_is(tmp_path: Path) -> None:
    """Raw pictures state none, and are of the same: neither is converted to the other's."""
    raw = raw_pictures(tmp_path / "pictures.yuv", 0, 1)
    film = lossless(raw, "-vf", f"setsar=1,{TAGS}")

    assert likeness(film, raw, OUTPUT).psnr_db.min() >= 60


@pytest.mark.parametrize(
    ("score", "megabytes"),
    [(90, 10.0), (93, 20.0), (96, 40.0), (97, 80.0), (89.9, None), (97.1, None)],
)
def test_bytes_grow_exponentially_between_two_encodings(score: float, megabytes: float | None) -> None:
    """In whatever order they come; nothing is said of what is better or worse than all of them."""
    found = megabytes_at(score, [97, 90, 96], [80, 10, 40])

    assert found == (megabytes if megabytes is None else pytest.approx(megabytes))
