"""Draws a page of the contact sheet: its header, the headings of its scenes, its pictures and captions."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from pipelines.common.fonts import Face
from pipelines.common.imaging import decode_reduced, open_picture
from pipelines.common.picture_file import UnreadablePictureError
from pipelines.report.lettering import cut_line, cut_lines, font
from pipelines.report.sheet_layout import (
    CAPTION_LINES,
    GUTTER,
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


@dataclass(frozen=True, slots=True)
class SheetHeader:
    """The texts above a page: the title at the left, the number of frames and of the page at the right."""

    title: str
    frames: str
    page: str


def draw_page(page: SheetPage, header: SheetHeader) -> Image.Image:
    """Return a page of the contact sheet, drawn."""
    sheet = Image.new("RGB", (PAGE_WIDTH, page.height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    _draw_header(draw, header)
    for heading in page.headings:
        _draw_heading(draw, heading)
    # The indent is that of the widest number, so that the captions of a column begin at one edge.
    numbers = font(Face.SEMIBOLD, 20)
    indent = 12 + max((numbers.getlength(str(cell.frame.number)) for cell in page.cells), default=0)
    for cell in page.cells:
        _draw_picture(sheet, draw, cell)
        _draw_caption(draw, cell, indent)
    return sheet


def _draw_header(draw: ImageDraw.ImageDraw, header: SheetHeader) -> None:
    right = PAGE_WIDTH - MARGIN
    large, small = font(Face.SEMIBOLD, 46), font(Face.REGULAR, 22)
    notes = (header.frames, header.page)
    title_width = right - MARGIN - 2 * GUTTER - max(map(small.getlength, notes))
    draw.text((MARGIN, 104), cut_line(header.title, large, title_width), _INK, large, "ls")
    for note, baseline in zip(notes, (74, 104), strict=True):
        draw.text((right, baseline), note, _FAINT, small, "rs")


def _draw_heading(draw: ImageDraw.ImageDraw, heading: Heading) -> None:
    letters = font(Face.SEMIBOLD, 24)
    draw.text((heading.left, heading.top + 26), cut_line(heading.text, letters, heading.width), _INK, letters, "ls")
    rule = heading.top + 39
    draw.line((heading.left, rule, heading.left + heading.width - 1, rule), _RULE, 2)


def _draw_picture(sheet: Image.Image, draw: ImageDraw.ImageDraw, cell: Cell) -> None:
    left, top, right, bottom = cell.box
    draw.rectangle((left, top, right - 1, bottom - 1), _PANEL)
    picture = _read_thumbnail(cell.frame.thumbnail)
    if picture is not None:
        sheet.paste(picture, (left + (right - left - picture.width) // 2, top + (bottom - top - picture.height) // 2))
    else:
        middle = ((left + right) // 2, (top + bottom) // 2)
        draw.text((middle[0], middle[1] + 4), str(cell.frame.number), _PALE, font(Face.SEMIBOLD, 52), "ms")
        draw.text((middle[0], middle[1] + 36), "missing", _FAINT, font(Face.REGULAR, 22), "ms")


def _read_thumbnail(path: Path | None) -> Image.Image | None:
    if path is not None:
        with contextlib.suppress(UnreadablePictureError, OSError):
            picture = open_picture(path)
            rgb, _ = decode_reduced(picture, picture.size)
            size = fitting_size(rgb.size)
            # Another version may have made it in another size.
            return rgb if rgb.size == size else rgb.resize(size)
    return None


def _draw_caption(draw: ImageDraw.ImageDraw, cell: Cell, indent: float) -> None:
    baseline = cell.top + cell.height + 29
    draw.text((cell.left, baseline), str(cell.frame.number), _INK, font(Face.SEMIBOLD, 20), "ls")
    letters = font(Face.REGULAR, 20)
    for line in cut_lines(cell.frame.caption, letters, THUMBNAIL_SIDE - indent, most=CAPTION_LINES):
        draw.text((cell.left + indent, baseline), line, _FAINT, letters, "ls")
        baseline += LINE_HEIGHT
