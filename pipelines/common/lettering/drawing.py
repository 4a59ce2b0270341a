"""Lines of glyphs -> pictures: how much of each pixel is covered by ink, and letters with an outline."""

import math
from collections.abc import Sequence

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
    scale = UNITS / (em * finer)
    for placed in lines:
        # Glyphs are drawn from a whole pixel: the rest of the way is counted in their units.
        left, baseline = math.floor(placed.left * finer), math.floor(placed.baseline * finer)
        rest = (placed.left * finer - left) * scale, (baseline - placed.baseline * finer) * scale
        ink, x, y = _ink_of(placed.line, scale, rest)
        _paste(ink, covered, left + x, baseline + y)
    return covered


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
    # Finer, so that it may reach a part of a pixel, and its edge be smooth.
    finer = 4 if reach < 8 else 1
    radius = max(1, round(reach * finer))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    grown = cv2.dilate(cover(lines, size, em, finer=finer), disc)
    return np.asarray(cv2.resize(grown, size, interpolation=cv2.INTER_AREA), np.uint8)
