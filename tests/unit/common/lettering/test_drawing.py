"""Lines of glyphs as pictures: where their ink is, and that none leaves the place that it was given."""

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from pipelines.common.lettering.drawing import cover, place_lines, write_lines
from pipelines.common.lettering.layout import Line, PlacedLine, cut_lines
from pipelines.common.lettering.typefaces import FontStack
from tests.support.letters import HOSTILE

EM = 20
HEBREW = "\u05e0\u05de\u05dc"


def lines_of(text: str, *, width: float = 10, most: int = 2) -> list[Line]:
    """Return a text in lines; the width is in ems."""
    return cut_lines(text, FontStack(), width, most=most)


def inked(coverage: npt.NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Return the box around the ink: left, top, right, bottom."""
    rows, columns = np.flatnonzero(coverage.any(axis=1)), np.flatnonzero(coverage.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def test_ink_stands_on_its_baseline() -> None:
    """An x, which is 0.486 em high, begins where its line does."""
    left, top, right, bottom = inked(cover([PlacedLine(lines_of("x")[0], 30, 50)], (100, 80), 100))

    assert (left, bottom) == (31, 50)
    assert top == pytest.approx(50 - 48.6, abs=1)
    assert right == pytest.approx(30 + 44, abs=1)


def test_ink_moves_by_parts_of_a_pixel() -> None:
    """By a whole one, it is the same picture elsewhere; by a half, another one between."""
    [line] = lines_of("harbor")

    here, half, beside = (cover([PlacedLine(line, left, 30)], (120, 40), EM) for left in (10, 10.5, 11))

    assert np.array_equal(here[:, :-1], beside[:, 1:])
    assert not np.array_equal(here, half)
    assert float(here.sum()) == pytest.approx(float(half.sum()), rel=0.01)


def test_lines_stand_at_the_side_where_their_paragraph_begins() -> None:
    """Beneath each other; Hebrew at the right."""
    latin, hebrew = lines_of("a quiet harbor " * 2), lines_of(HEBREW)

    placed = place_lines([*latin, *hebrew], EM, width=200, baseline=29, spacing=25)

    assert [(line.left, line.baseline) for line in placed] == [
        (0, 29),
        (0, 54),
        (pytest.approx(200 - hebrew[0].width * EM), 79),
    ]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_nothing_is_written_beside_the_box(text: str) -> None:
    """Marks can be stacked without end, and letters reach over their edges."""
    picture = Image.new("RGB", (240, 160), "white")
    placed = place_lines(lines_of(text, width=8), EM, width=160, baseline=29, spacing=25)

    write_lines(picture, (40, 40, 200, 104), placed, EM, "black")

    beside = np.asarray(picture).copy()
    beside[40:104, 40:200] = 255
    assert beside.min() == 255


def test_letters_have_their_color() -> None:
    """Where they cover a pixel wholly; beside them the picture is as it was."""
    picture = Image.new("RGB", (60, 60), "#204060")

    write_lines(picture, (0, 0, 60, 60), place_lines(lines_of("\u2588"), 40, width=60, baseline=45), 40, "#f0e0d0")

    assert picture.getpixel((10, 30)) == (0xF0, 0xE0, 0xD0)
    assert picture.getpixel((55, 5)) == (0x20, 0x40, 0x60)


@pytest.mark.parametrize(
    "place", [(-500.0, 10.0), (500.0, 10.0), (5.0, -500.0), (5.0, 500.0), (-3.0, 3.0), (18.0, 21.0)]
)
def test_what_lies_outside_of_a_picture_is_cut_off(place: tuple[float, float]) -> None:
    """On every side, however small the picture."""
    [line] = lines_of("Wg")

    covered = cover([PlacedLine(line, *place)], (20, 20), 30)

    assert covered.shape == (20, 20)
