"""Lines of glyphs -> pictures: how much of each pixel is covered by ink, and letters with an outline."""

import math
from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt
import uharfbuzz as hb
from PIL import Image

from pipelines.common.lettering.layout import Line, PlacedLine
from pipelines.common.lettering.typefaces import UNITS

# The share of each pixel that is covered, from 0 to 255; rows from the top.
Coverage = npt.NDArray[np.uint8]


def place_lines(
    lines: Sequence[Line], em: float, *, width: float, baseline: float, spacing: float = 0.0
) -> list[PlacedLine]:
    """Place lines beneath each other, each at the side where its paragraph begins.

    Args:
        lines: from the top.
        em: the size of the letters, in pixels to the em.
        width: of the room for them, in pixels.
        baseline: of the first one, in pixels from the top.
        spacing: from one baseline to the next.
    """

    def left_of(line: Line) -> float:
        return width - line.width * em if line.right_to_left else 0.0

    return [PlacedLine(line, left_of(line), baseline + index * spacing) for index, line in enumerate(lines)]


def write_lines(
    picture: Image.Image, box: tuple[int, int, int, int], lines: Sequence[PlacedLine], em: float, color: str
) -> None:
    """Write lines on a picture, in place.

    Args:
        picture: an RGB picture.
        box: the part that is written on: left, top, right, bottom. What reaches out of it is cut off.
        lines: where they are placed, from the box's left top corner.
        em: the size of the letters, in pixels to the em.
        color: of the letters, as Pillow names colors.
    """
    left, top, right, bottom = box
    picture.paste(color, box, Image.fromarray(cover(lines, (right - left, bottom - top), em)))


def cover(lines: Sequence[PlacedLine], size: tuple[int, int], em: float, *, finer: int = 1) -> Coverage:
    """Return how lines cover the pixels of a picture.

    Args:
        lines: where they are placed; what lies outside of the picture is cut off.
        size: of the picture: width and height in pixels.
        em: the size of the letters, in pixels to the em.
        finer: as many pixels on each pixel's side.
    """
    covered = np.zeros((size[1] * finer, size[0] * finer), np.uint8)
    for ink, left, top in _inks_of(lines, em, finer):
        _paste(ink, covered, left, top)
    return covered


def _inks_of(lines: Iterable[PlacedLine], em: float, finer: int) -> Iterator[tuple[Coverage, int, int]]:
    """Yield the ink of each line that has any, and where its left top corner is on the picture."""
    scale = UNITS / (em * finer)
    for placed in lines:
        # Glyphs are drawn from a whole pixel: the rest of the way is counted in their units.
        left, baseline = math.floor(placed.left * finer), math.floor(placed.baseline * finer)
        rest = (placed.left * finer - left) * scale, (baseline - placed.baseline * finer) * scale
        ink, x, y = _ink_of(placed.line, scale, rest)
        if ink.size:
            yield ink, left + x, baseline + y


def _ink_of(line: Line, scale: float, origin: tuple[float, float]) -> tuple[Coverage, int, int]:
    """Return the ink of a line, and where its left top corner is from the origin of the line.

    Args:
        line: what to draw.
        scale: units to the pixel.
        origin: where the line begins, in units, upwards.
    """
    pen = hb.RasterDraw()
    pen.scale_factor = (scale, scale)
    for glyph in line.glyphs:
        pen.transform = (1, 0, 0, 1, origin[0] + glyph.x, origin[1] + glyph.y)
        pen.draw_glyph(glyph.font, glyph.id)
    drawn = pen.render()
    if drawn is None or not drawn.extents.width:
        return np.zeros((0, 0), np.uint8), 0, 0
    box = drawn.extents
    # Its rows come from the bottom, perhaps with some bytes behind each.
    ink = np.frombuffer(drawn.buffer, np.uint8).reshape(box.height, box.stride)[::-1, : box.width]
    return ink, box.x_origin, -(box.y_origin + box.height)


def _paste(ink: Coverage, covered: Coverage, left: int, top: int) -> None:
    """Add ink to a picture; what lies outside of it is cut off."""
    height, width = covered.shape
    rows = slice(max(0, top), min(height, top + ink.shape[0]))
    columns = slice(max(0, left), min(width, left + ink.shape[1]))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    part = ink[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    np.maximum(covered[rows, columns], part, out=covered[rows, columns])


def outline(lines: Sequence[PlacedLine], size: tuple[int, int], em: float, *, reach: float) -> Coverage:
    """Return how lines and an outline around them cover the pixels of a picture; see `cover`.

    Args:
        lines: where they are placed.
        size: of the picture.
        em: the size of the letters.
        reach: how far the outline reaches beyond them, in pixels.
    """
    drawn = Outline(size, em, reach=reach)
    drawn.add(lines)
    return drawn.coverage()


class Outline:
    """Letters with an outline around them, to which more letters can be added; see `outline`."""

    def __init__(self, size: tuple[int, int], em: float, *, reach: float) -> None:
        self._size, self._em = size, em
        # Finer, so that it may reach a part of a pixel, and its edge be smooth.
        self._finer = 4 if reach < 8 else 1
        self._radius = max(1, round(reach * self._finer))
        self._grown = np.zeros((size[1] * self._finer, size[0] * self._finer), np.uint8)

    def add(self, lines: Iterable[PlacedLine]) -> None:
        """Add lines, or letters of lines."""
        side = 2 * self._radius + 1
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        for ink, left, top in _inks_of(lines, self._em, self._finer):
            # Each by itself: the time that it takes grows with the area.
            around = np.pad(ink, self._radius)
            _paste(np.asarray(cv2.dilate(around, disc), np.uint8), self._grown, left - self._radius, top - self._radius)

    def coverage(self) -> Coverage:
        """Return how the letters and their outline cover the pixels."""
        return np.asarray(cv2.resize(self._grown, self._size, interpolation=cv2.INTER_AREA), np.uint8)
