"""The contact sheet: every frame as a numbered, captioned thumbnail, by scene, a hundred to a page."""

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from pipelines.files import atomic_path
from pipelines.fonts import Weight, font_file

FRAMES_A_PAGE = 100
COLUMNS = 6
CELL = 300
_GAP = 24
_MARGIN = 48
_TITLE_HEIGHT = 76
_HEADING_HEIGHT = 56
_TEXT_HEIGHT = 62
_QUALITY = 85
_PAPER = (250, 250, 248)
_INK = (28, 28, 30)
_PALE = (120, 120, 124)
_MAT = (233, 233, 230)
_ELLIPSIS = "…"
# Letters that draw nothing, or turn the line round.
_UNDRAWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")
# No line of a sheet holds more letters than this.
_MOST_LETTERS = 200


@dataclass(frozen=True, slots=True)
class SheetFrame:
    """A frame on the sheet: its thumbnail's file, None where there is no picture."""

    number: int
    caption: str
    thumbnail: Path | None


@dataclass(frozen=True, slots=True)
class SheetScene:
    """A scene on the sheet."""

    title: str
    frames: tuple[SheetFrame, ...]


def write_contact_sheet(title: str, scenes: Sequence[SheetScene], folder: Path) -> list[Path]:
    """Write `contact-sheet.jpg` into a folder, and `contact-sheet-2.jpg` ... beyond a hundred frames.

    One page is in memory at a time. Pages of an earlier, longer sheet are removed.

    Raises:
        StorageError: a page could not be written; what was there before stands.
    """
    pages = list(_pages(scenes))
    paths = [folder / _name(number) for number in range(1, len(pages) + 1)]
    for number, (path, page) in enumerate(zip(paths, pages, strict=True), 1):
        heading = f"{title} · page {number} of {len(pages)}" if len(pages) > 1 else title
        with atomic_path(path) as temporary:
            _draw(heading, page).save(temporary, "JPEG", quality=_QUALITY)
    for old in set(contact_sheets(folder)) - set(paths):
        old.unlink(missing_ok=True)
    return paths


def contact_sheets(folder: Path) -> list[Path]:
    """Return the pages of the contact sheet that there are, the first one first."""
    return sorted(folder.glob("contact-sheet*.jpg"), key=lambda path: (len(path.name), path.name))


def _name(page: int) -> str:
    return "contact-sheet.jpg" if page == 1 else f"contact-sheet-{page}.jpg"


def _pages(scenes: Sequence[SheetScene]) -> Iterator[list[SheetScene]]:
    """Yield the scenes of each page; one that goes on from the page before says so."""
    frames = [(index, frame) for index, scene in enumerate(scenes) for frame in scene.frames]
    for first in range(0, len(frames), FRAMES_A_PAGE):
        page = []
        for index, group in groupby(frames[first : first + FRAMES_A_PAGE], key=lambda each: each[0]):
            here = tuple(frame for _, frame in group)
            goes_on = here[0] != scenes[index].frames[0]
            page.append(SheetScene(f"{scenes[index].title}, continued" if goes_on else scenes[index].title, here))
        yield page


def _draw(heading: str, scenes: Sequence[SheetScene]) -> Image.Image:
    columns = min(COLUMNS, max(len(scene.frames) for scene in scenes))
    # A sheet of a single frame still has room for its title.
    width = 2 * _MARGIN + max(columns, 2) * (CELL + _GAP) - _GAP
    sheet = Image.new("RGB", (width, _height(scenes, columns)), _PAPER)
    pen = ImageDraw.Draw(sheet)
    _write(pen, (_MARGIN, _MARGIN), heading, width - 2 * _MARGIN, _font("Bold", 34), _INK)
    top = _MARGIN + _TITLE_HEIGHT
    for scene in scenes:
        _write(pen, (_MARGIN, top), scene.title, width - 2 * _MARGIN, _font("Semibold", 24), _PALE)
        top += _HEADING_HEIGHT
        height = _picture_height(scene)
        for place, frame in enumerate(scene.frames):
            left = _MARGIN + place % columns * (CELL + _GAP)
            _draw_cell(sheet, pen, frame, (left, top + place // columns * (height + _TEXT_HEIGHT)), height)
        top += -(-len(scene.frames) // columns) * (height + _TEXT_HEIGHT)
    return sheet


def _height(scenes: Iterable[SheetScene], columns: int) -> int:
    rows = sum(
        _HEADING_HEIGHT + -(-len(scene.frames) // columns) * (_picture_height(scene) + _TEXT_HEIGHT) for scene in scenes
    )
    return 2 * _MARGIN + _TITLE_HEIGHT + rows


def _picture_height(scene: SheetScene) -> int:
    """Return how high a scene's pictures stand: as its highest thumbnail, laid into the cell's width, and no higher."""
    return max((_laid_height(frame.thumbnail) for frame in scene.frames if frame.thumbnail), default=CELL * 9 // 16)


def _laid_height(thumbnail: Path) -> int:
    with Image.open(thumbnail) as picture:
        width, height = picture.size
    return min(CELL, max(1, round(CELL * height / width)))


def _draw_cell(
    sheet: Image.Image, pen: ImageDraw.ImageDraw, frame: SheetFrame, corner: tuple[int, int], height: int
) -> None:
    left, top = corner
    pen.rectangle((left, top, left + CELL - 1, top + height - 1), fill=_MAT)
    if frame.thumbnail:
        with Image.open(frame.thumbnail) as picture:
            small = picture.convert("RGB")
        small.thumbnail((CELL, height), Image.Resampling.BICUBIC)
        sheet.paste(small, (left + (CELL - small.width) // 2, top + (height - small.height) // 2))
    else:
        pen.text((left + CELL // 2, top + height // 2), "missing", font=_font("Regular", 20), fill=_PALE, anchor="mm")
    number = f"{frame.number:04d}"
    pen.text((left, top + height + 6), number, font=_font("Semibold", 19), fill=_INK)
    indent = int(_font("Semibold", 19).getlength(number)) + 10
    _write(pen, (left + indent, top + height + 6), frame.caption, CELL - indent, _font("Regular", 19), _PALE)


def _write(
    pen: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    text: str,
    width: int,
    font: ImageFont.FreeTypeFont,
    ink: tuple[int, int, int],
) -> None:
    """Write a text in one line, cut off with an ellipsis where it is wider than `width` pixels."""
    line = " ".join(_UNDRAWN.sub(" ", text[:_MOST_LETTERS]).split())
    if font.getlength(line) > width or len(text) > _MOST_LETTERS:
        while line and font.getlength(line + _ELLIPSIS) > width:
            line = line[:-1]
        line = line.rstrip() + _ELLIPSIS
    pen.text(corner, line, font=font, fill=ink)


@functools.cache
def _font(weight: Weight, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_file(weight), size)
