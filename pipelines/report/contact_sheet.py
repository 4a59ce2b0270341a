"""The contact sheet: every frame in small, numbered, captioned and grouped by scene, on pages of JPEG.

A page has twenty rows of five at most, so that one page in memory, however long the storyboard, is all it takes.
Scenes that fit into a row beside each other share it.
"""

import contextlib
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from pipelines.common.files import storage_errors, write_atomic
from pipelines.common.fonts import Face
from pipelines.common.imaging import DECODE_ERRORS
from pipelines.report.lettering import cut_line, cut_lines, font
from pipelines.report.thumbnails import THUMBNAIL_SIDE, fitting_size

COLUMNS = 5
ROWS = 20

_NAME = "contact-sheet"
# Another one for another look: pages of an older version are drawn anew.
_VERSION = 1
_QUALITY = 88

# Pixels. A cell is as wide as a thumbnail, which is shown as it is.
_MARGIN, _GUTTER = 72, 28
_WIDTH = 2 * _MARGIN + COLUMNS * THUMBNAIL_SIDE + (COLUMNS - 1) * _GUTTER
_HEADER = 176
_HEADING = 58
_CAPTION_LINES, _LINE = 2, 25
_CAPTION = 14 + _CAPTION_LINES * _LINE
_ROW_GAP = 34
# A card is shown as a landscape thumbnail would be.
_CARD = (THUMBNAIL_SIDE, 180)
# Room for the letters of a card, should every picture of a row be lower.
_LEAST_HEIGHT = 120

_PAPER, _PANEL, _RULE = "#f7f6f3", "#e8e6e1", "#cfccc5"
_INK, _FAINT, _PALE = "#23262b", "#6d7178", "#a3a29d"


@dataclass(frozen=True, slots=True)
class SheetFrame:
    """A frame on the sheet: its number, what it is, and its picture.

    Attributes:
        thumbnail: None where the frame is not bought or its take cannot be read.
    """

    number: int
    caption: str
    thumbnail: Path | None


@dataclass(frozen=True, slots=True)
class SheetScene:
    """A scene on the sheet."""

    title: str
    frames: tuple[SheetFrame, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """A scene's title above the first of its cells on a page, or in a row."""

    text: str
    left: int
    top: int
    width: int


@dataclass(frozen=True, slots=True)
class Cell:
    """A frame's place on a page: its picture lies in the middle of the box, its caption beneath."""

    frame: SheetFrame
    left: int
    top: int
    height: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Where the picture is: left, top, right, bottom."""
        return (self.left, self.top, self.left + THUMBNAIL_SIDE, self.top + self.height)


@dataclass(frozen=True, slots=True)
class SheetPage:
    """What stands where on a page."""

    height: int
    headings: tuple[Heading, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Frames of one scene beside each other; it `goes_on` when the scene began in an earlier row."""

    title: str
    goes_on: bool
    frames: tuple[SheetFrame, ...]


_Row = tuple[_Stretch, ...]


def write_contact_sheet(title: str, scenes: Sequence[SheetScene], folder: Path) -> list[Path]:
    """Write `contact-sheet.jpg`, and `contact-sheet-2.jpg` and so on where a page is not enough.

    A page that would come out the same is left as it is. Pages that an earlier, longer storyboard left are removed.

    Returns:
        The pages, in order; one at least.

    Raises:
        StorageError: a page could not be written; every page that is there is a whole one.
    """
    chunks = _page_rows(scenes)
    pages = [
        folder / (f"{_NAME}-{number}.jpg" if number > 1 else f"{_NAME}.jpg") for number in range(1, len(chunks) + 1)
    ]
    told = _told_size([frame for scene in scenes for frame in scene.frames])
    for number, (rows, path) in enumerate(zip(chunks, pages, strict=True), start=1):
        header = (title, told, f"page {number} of {len(pages)}")
        identity = _identity(header, rows)
        if _identity_of(path) != identity:
            write_atomic(path, _as_jpeg(_lay_out(rows), header, identity))
    _remove_others(folder, pages)
    return pages


def contact_sheets(folder: Path) -> list[Path]:
    """Return the pages of the contact sheet that there are, in order."""
    return sorted(folder.glob(f"{_NAME}*.jpg"), key=lambda path: (len(path.name), path.name))


def lay_out_pages(scenes: Sequence[SheetScene]) -> Iterator[SheetPage]:
    """Yield what stands where on each page; thumbnails are asked for their size."""
    return map(_lay_out, _page_rows(scenes))


def _page_rows(scenes: Sequence[SheetScene]) -> list[list[_Row]]:
    rows = list(_rows(scenes))
    return [rows[start : start + ROWS] for start in range(0, max(1, len(rows)), ROWS)]


def _rows(scenes: Iterable[SheetScene]) -> Iterator[_Row]:
    row: _Row = ()
    for scene in scenes:
        if row and sum(len(stretch.frames) for stretch in row) + len(scene.frames) > COLUMNS:
            yield row
            row = ()
        if len(scene.frames) > COLUMNS:
            for start in range(0, len(scene.frames), COLUMNS):
                yield (_Stretch(scene.title, start > 0, scene.frames[start : start + COLUMNS]),)
        elif scene.frames:
            row += (_Stretch(scene.title, False, scene.frames),)
    if row:
        yield row


def _lay_out(rows: Sequence[_Row]) -> SheetPage:
    headings: list[Heading] = []
    cells: list[Cell] = []
    top = _HEADER
    for place, row in enumerate(rows):
        if place == 0 or not row[0].goes_on:
            headings += _row_headings(row, top)
            top += _HEADING
        frames = [frame for stretch in row for frame in stretch.frames]
        height = max(_LEAST_HEIGHT, *(_size(frame)[1] for frame in frames))
        cells += [Cell(frame, _left(column), top, height) for column, frame in enumerate(frames)]
        top += height + _CAPTION + _ROW_GAP
    return SheetPage(top - _ROW_GAP + _MARGIN, tuple(headings), tuple(cells))


def _row_headings(row: _Row, top: int) -> Iterator[Heading]:
    column = 0
    for stretch in row:
        text = f"{stretch.title} (continued)" if stretch.goes_on else stretch.title
        # A scene alone in its row may have all of it for its title.
        columns = len(stretch.frames) if len(row) > 1 else COLUMNS
        yield Heading(text, _left(column), top, _left(columns) - _left(0) - _GUTTER)
        column += len(stretch.frames)


def _left(column: int) -> int:
    return _MARGIN + column * (THUMBNAIL_SIDE + _GUTTER)


def _size(frame: SheetFrame) -> tuple[int, int]:
    if frame.thumbnail is not None:
        with contextlib.suppress(*DECODE_ERRORS), Image.open(frame.thumbnail, formats=["JPEG"]) as picture:
            return fitting_size(picture.size)
    return _CARD


def _told_size(frames: Sequence[SheetFrame]) -> str:
    missing = sum(frame.thumbnail is None for frame in frames)
    told = f"{len(frames):,} frame{'s' if len(frames) != 1 else ''}"
    return f"{told}, {missing:,} missing" if missing else told


def _drawn(page: SheetPage, *, title: str, told: tuple[str, str]) -> Image.Image:
    sheet = Image.new("RGB", (_WIDTH, page.height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    _draw_header(draw, title, told)
    for heading in page.headings:
        _draw_heading(draw, heading)
    # One indent for the whole page, so that its captions stand in columns.
    numbers = font(Face.SEMIBOLD, 20)
    indent = 12 + max((numbers.getlength(str(cell.frame.number)) for cell in page.cells), default=0)
    for cell in page.cells:
        _draw_picture(sheet, draw, cell)
        _draw_caption(draw, cell, indent)
    return sheet


def _draw_header(draw: ImageDraw.ImageDraw, title: str, told: tuple[str, str]) -> None:
    right = _WIDTH - _MARGIN
    letters, small = font(Face.SEMIBOLD, 46), font(Face.REGULAR, 22)
    room = right - _MARGIN - 2 * _GUTTER - max(map(small.getlength, told))
    draw.text((_MARGIN, 104), cut_line(title, letters, room), _INK, letters, "ls")
    for line, baseline in zip(told, (74, 104), strict=True):
        draw.text((right, baseline), line, _FAINT, small, "rs")


def _draw_heading(draw: ImageDraw.ImageDraw, heading: Heading) -> None:
    letters = font(Face.SEMIBOLD, 24)
    draw.text((heading.left, heading.top + 26), cut_line(heading.text, letters, heading.width), _INK, letters, "ls")
    rule = heading.top + 39
    draw.line((heading.left, rule, heading.left + heading.width - 1, rule), _RULE, 2)


def _draw_picture(sheet: Image.Image, draw: ImageDraw.ImageDraw, cell: Cell) -> None:
    left, top, right, bottom = cell.box
    draw.rectangle((left, top, right - 1, bottom - 1), _PANEL)
    picture = _read(cell.frame.thumbnail)
    if picture is not None:
        sheet.paste(picture, (left + (right - left - picture.width) // 2, top + (bottom - top - picture.height) // 2))
    else:
        middle = ((left + right) // 2, (top + bottom) // 2)
        draw.text((middle[0], middle[1] + 4), str(cell.frame.number), _PALE, font(Face.SEMIBOLD, 52), "ms")
        draw.text((middle[0], middle[1] + 36), "missing", _FAINT, font(Face.REGULAR, 22), "ms")


def _read(thumbnail: Path | None) -> Image.Image | None:
    if thumbnail is not None:
        with contextlib.suppress(*DECODE_ERRORS), Image.open(thumbnail, formats=["JPEG"]) as picture:
            size = fitting_size(picture.size)
            rgb = picture.convert("RGB")
            return rgb if rgb.size == size else rgb.resize(size)
    return None


def _draw_caption(draw: ImageDraw.ImageDraw, cell: Cell, indent: float) -> None:
    baseline = cell.top + cell.height + 29
    draw.text((cell.left, baseline), str(cell.frame.number), _INK, font(Face.SEMIBOLD, 20), "ls")
    letters = font(Face.REGULAR, 20)
    lines = cut_lines(cell.frame.caption, letters, THUMBNAIL_SIDE - indent, most=_CAPTION_LINES)
    for line in lines:
        draw.text((cell.left + indent, baseline), line, _FAINT, letters, "ls")
        baseline += _LINE


def _as_jpeg(page: SheetPage, header: tuple[str, str, str], identity: bytes) -> bytes:
    title, *told = header
    jpeg = io.BytesIO()
    sheet = _drawn(page, title=title, told=(told[0], told[1]))
    # Colour at full size: letters would blur.
    sheet.save(jpeg, "JPEG", quality=_QUALITY, subsampling="4:4:4", comment=identity)
    return jpeg.getvalue()


def _identity(header: tuple[str, str, str], rows: Sequence[_Row]) -> bytes:
    """Return what tells a page from all others: what it says, which thumbnails it shows, and how this version draws."""
    times = [[_changed_ns(frame.thumbnail) for frame in stretch.frames] for row in rows for stretch in row]
    told = repr((_VERSION, header, rows, times))
    return hashlib.sha256(told.encode(errors="surrogatepass")).hexdigest().encode()


def _changed_ns(thumbnail: Path | None) -> int | None:
    try:
        return thumbnail.stat().st_mtime_ns if thumbnail else None
    except OSError:
        return None


def _identity_of(page: Path) -> object:
    """Return the identity of a page that is there, from its comment; None where there is none."""
    try:
        with Image.open(page, formats=["JPEG"]) as sheet:
            return sheet.info.get("comment")
    except DECODE_ERRORS:
        return None


def _remove_others(folder: Path, pages: Sequence[Path]) -> None:
    with storage_errors(folder):
        for path in set(folder.glob(f"{_NAME}-*.jpg")) - set(pages):
            if re.fullmatch(rf"{_NAME}-[1-9][0-9]*", path.stem):
                path.unlink(missing_ok=True)
