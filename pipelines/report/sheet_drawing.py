"""Draws a page of the contact sheet: its header, the headings of its scenes, its pictures and captions."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

from PIL import Image, ImageDraw

from pipelines.common.imaging import decode_reduced, open_picture
from pipelines.common.lettering.drawing import place_lines, write_lines
from pipelines.common.lettering.layout import Line, PlacedLine, cut_lines
from pipelines.common.lettering.typefaces import FontStack, Weight
from pipelines.common.picture_file import UnreadablePictureError
from pipelines.report.sheet_layout import (
    CAPTION_HEIGHT,
    CAPTION_LINES,
    GUTTER,
    HEADER_HEIGHT,
    LINE_HEIGHT,
    MARGIN,
    PAGE_WIDTH,
    Cell,
    Heading,
    SheetPage,
)
from pipelines.report.thumbnails import THUMBNAIL_SIDE, fitting_size

_PAPER, _PANEL, _RULE = "#f7f6f3", "#e8e6e1", "#cfccc5"
_INK, _FAINT, _PALE = "#23262b", "#6d7178", "#a3a29d"
_REGULAR, _SEMIBOLD = FontStack(), FontStack(Weight.SEMIBOLD)

_Box = tuple[int, int, int, int]
"""A part of the page: left, top, right, bottom."""


@dataclass(frozen=True, slots=True)
class _Style:
    """The look of letters: their fonts, their size in pixels to the em, and their color."""

    stack: FontStack
    em: int
    color: str

    def in_language(self, language: str | None) -> "_Style":
        """Return it for texts in a language, a BCP 47 tag; None where that is not known."""
        return replace(self, stack=replace(self.stack, language=language))


_TITLE = _Style(_SEMIBOLD, 46, _INK)
_COUNT = _Style(_REGULAR, 22, _FAINT)
_HEADING = _Style(_SEMIBOLD, 24, _INK)
_NUMBER = _Style(_SEMIBOLD, 20, _INK)
_CAPTION = _Style(_REGULAR, 20, _FAINT)
_MISSING_NUMBER = _Style(_SEMIBOLD, 52, _PALE)


@dataclass(frozen=True, slots=True)
class SheetHeader:
    """The texts above a page: the title at the left, the number of frames and of the page at the right.

    Attributes:
        title: the film's.
        frames: how many there are.
        page: which one it is.
        language: of titles, as a BCP 47 tag; None where it is not known.
    """

    title: str
    frames: str
    page: str
    language: str | None = None


def draw_page(page: SheetPage, header: SheetHeader) -> Image.Image:
    """Return a page of the contact sheet, drawn."""
    sheet = Image.new("RGB", (PAGE_WIDTH, page.height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    _draw_header(sheet, header)
    for heading in page.headings:
        _draw_heading(sheet, draw, heading, _HEADING.in_language(header.language))
    # The indent is that of the widest number, so that the captions of a column begin at one edge.
    indent = 12 + max((_width_of(str(cell.frame.number), _NUMBER) for cell in page.cells), default=0)
    for cell in page.cells:
        _draw_picture(sheet, draw, cell)
        _draw_caption(sheet, cell, indent)
    return sheet


def _draw_header(sheet: Image.Image, header: SheetHeader) -> None:
    right = PAGE_WIDTH - MARGIN
    counts, title = (header.frames, header.page), _TITLE.in_language(header.language)
    title_right = right - 2 * GUTTER - max(_width_of(count, _COUNT) for count in counts)
    _write_label(sheet, (MARGIN, 0, title_right, HEADER_HEIGHT), header.title, title, baseline=104)
    for count, baseline in zip(counts, (74, 104), strict=True):
        _write_label(sheet, (MARGIN, 0, right, HEADER_HEIGHT), count, _COUNT, baseline=baseline, place=1)


def _draw_heading(sheet: Image.Image, draw: ImageDraw.ImageDraw, heading: Heading, style: _Style) -> None:
    right, rule = heading.left + heading.width, heading.top + 39
    _write_label(sheet, (heading.left, heading.top, right, rule), heading.text, style, baseline=26)
    draw.line((heading.left, rule, right - 1, rule), _RULE, 2)


def _draw_picture(sheet: Image.Image, draw: ImageDraw.ImageDraw, cell: Cell) -> None:
    left, top, right, bottom = cell.box
    draw.rectangle((left, top, right - 1, bottom - 1), _PANEL)
    picture = _read_thumbnail(cell.frame.thumbnail)
    if picture is not None:
        sheet.paste(picture, (left + (right - left - picture.width) // 2, top + (bottom - top - picture.height) // 2))
    else:
        middle = (bottom - top) // 2
        number = str(cell.frame.number)
        _write_label(sheet, cell.box, number, _MISSING_NUMBER, baseline=middle + 4, place=0.5)
        _write_label(sheet, cell.box, "missing", _COUNT, baseline=middle + 36, place=0.5)


def _read_thumbnail(path: Path | None) -> Image.Image | None:
    if path is not None:
        with contextlib.suppress(UnreadablePictureError, OSError):
            picture = open_picture(path)
            rgb, _ = decode_reduced(picture, picture.size)
            size = fitting_size(rgb.size)
            # Another version may have made it in another size.
            return rgb if rgb.size == size else rgb.resize(size)
    return None


def _draw_caption(sheet: Image.Image, cell: Cell, indent: int) -> None:
    top, right = cell.top + cell.height, cell.left + THUMBNAIL_SIDE
    _write_label(sheet, (cell.left, top, right, top + CAPTION_HEIGHT), str(cell.frame.number), _NUMBER, baseline=29)
    width = THUMBNAIL_SIDE - indent
    lines = _cut(cell.frame.caption, _CAPTION, width, most=CAPTION_LINES)
    placed = place_lines(lines, _CAPTION.em, width=width, baseline=29, spacing=LINE_HEIGHT)
    _write(sheet, (cell.left + indent, top, right, top + CAPTION_HEIGHT), placed, _CAPTION)


def _write_label(sheet: Image.Image, box: _Box, text: str, style: _Style, *, baseline: int, place: float = 0) -> None:
    """Write a text in one line.

    Args:
        sheet: is written on.
        box: its part that the text may take.
        text: is cut where it does not fit.
        style: its look.
        baseline: in pixels from the top of the box.
        place: the share of the free width that is left of the text.
    """
    width = box[2] - box[0]
    lines = _cut(text, style, width, most=1)
    placed = [PlacedLine(line, (width - line.width * style.em) * place, baseline) for line in lines]
    _write(sheet, box, placed, style)


def _cut(text: str, style: _Style, width: int, *, most: int) -> list[Line]:
    return cut_lines(text, style.stack, width / style.em, most=most)


def _write(sheet: Image.Image, box: _Box, lines: Sequence[PlacedLine], style: _Style) -> None:
    write_lines(sheet, box, lines, style.em, style.color)


def _width_of(text: str, style: _Style) -> int:
    return ceil(sum(line.width for line in _cut(text, style, PAGE_WIDTH, most=1)) * style.em)
