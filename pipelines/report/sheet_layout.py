"""The layout of the contact sheet: which frames are on which page, in which row, and where their pictures go.

A page has at most twenty rows of five, so that one page in memory is enough, however long the storyboard. Scenes that
fit into a row beside each other share it. All positions are in pixels from the page's top left corner.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.common.imaging import open_picture
from pipelines.common.lettering.segmentation import isolate
from pipelines.common.picture_file import UnreadablePictureError
from pipelines.report.thumbnails import THUMBNAIL_SIDE, fitting_size

COLUMNS = 5
ROWS = 20

# Pixels. A cell is as wide as a thumbnail, which is pasted without being resized.
MARGIN, GUTTER = 72, 28
PAGE_WIDTH = 2 * MARGIN + COLUMNS * THUMBNAIL_SIDE + (COLUMNS - 1) * GUTTER
CAPTION_LINES, LINE_HEIGHT = 2, 25
CAPTION_HEIGHT = 14 + CAPTION_LINES * LINE_HEIGHT
HEADER_HEIGHT = 176
_HEADING_HEIGHT = 58
_ROW_GAP = 34
# A missing frame has the box of a landscape thumbnail.
_MISSING_SIZE = (THUMBNAIL_SIDE, 180)
# The box of a missing frame needs that much for its letters, even in a row of flat pictures.
_MIN_ROW_HEIGHT = 120


@dataclass(frozen=True, slots=True)
class SheetFrame:
    """A frame on the sheet.

    Attributes:
        number: from 0.
        caption: the text beneath it.
        thumbnail: its picture; None where the frame is not generated or its take cannot be read.
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
class RowPart:
    """Frames of one scene in one row; `continued` where the scene began in an earlier row."""

    title: str
    continued: bool
    frames: tuple[SheetFrame, ...]


SheetRow = tuple[RowPart, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """A scene's title above its first cell on a page or in a row."""

    text: str
    left: int
    top: int
    width: int


@dataclass(frozen=True, slots=True)
class Cell:
    """A frame's place on a page: its picture is centred in the box, its caption is beneath."""

    frame: SheetFrame
    left: int
    top: int
    height: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The box around the picture: left, top, right, bottom."""
        return (self.left, self.top, self.left + THUMBNAIL_SIDE, self.top + self.height)


@dataclass(frozen=True, slots=True)
class SheetPage:
    """One page, laid out."""

    height: int
    headings: tuple[Heading, ...]
    cells: tuple[Cell, ...]


def choose_evenly(scenes: Sequence[SheetScene], *, most: int) -> list[SheetScene]:
    """Return at most so many frames, evenly chosen over all scenes; scenes without a chosen one are left out."""
    count = sum(len(scene.frames) for scene in scenes)
    if count <= most:
        return list(scenes)
    chosen, start = [], 0
    for scene in scenes:
        # The first of each of `most` equal parts.
        numbered = enumerate(scene.frames, start=start)
        frames = tuple(frame for at, frame in numbered if at * most // count != (at - 1) * most // count)
        start += len(scene.frames)
        if frames:
            chosen.append(SheetScene(scene.title, frames))
    return chosen


def split_into_pages(scenes: Iterable[SheetScene]) -> list[list[SheetRow]]:
    """Return the rows of each page; one page at least, which is empty where there are no frames."""
    rows = list(_rows(scenes))
    return [rows[start : start + ROWS] for start in range(0, max(1, len(rows)), ROWS)]


def lay_out_page(rows: Sequence[SheetRow]) -> SheetPage:
    """Return the layout of a page with these rows; their thumbnails are opened to see how high they are."""
    headings: list[Heading] = []
    cells: list[Cell] = []
    top = HEADER_HEIGHT
    for index, row in enumerate(rows):
        # A scene that goes on from the row above needs no second heading, except at the top of a page.
        if index == 0 or not row[0].continued:
            headings += _headings(row, top)
            top += _HEADING_HEIGHT
        frames = [frame for part in row for frame in part.frames]
        height = max(_MIN_ROW_HEIGHT, *(_picture_size(frame)[1] for frame in frames))
        cells += [Cell(frame, _left(column), top, height) for column, frame in enumerate(frames)]
        top += height + CAPTION_HEIGHT + _ROW_GAP
    return SheetPage(top - _ROW_GAP + MARGIN, tuple(headings), tuple(cells))


def _rows(scenes: Iterable[SheetScene]) -> Iterator[SheetRow]:
    row: SheetRow = ()
    for scene in scenes:
        if row and sum(len(part.frames) for part in row) + len(scene.frames) > COLUMNS:
            yield row
            row = ()
        if len(scene.frames) > COLUMNS:
            for start in range(0, len(scene.frames), COLUMNS):
                yield (RowPart(scene.title, start > 0, scene.frames[start : start + COLUMNS]),)
        elif scene.frames:
            row += (RowPart(scene.title, False, scene.frames),)
    if row:
        yield row


def _headings(row: SheetRow, top: int) -> Iterator[Heading]:
    column = 0
    for part in row:
        text = f"{isolate(part.title)} (continued)" if part.continued else part.title
        # The title of a scene that is alone in its row may be as wide as the row.
        columns = len(part.frames) if len(row) > 1 else COLUMNS
        yield Heading(text, _left(column), top, _left(columns) - _left(0) - GUTTER)
        column += len(part.frames)


def _left(column: int) -> int:
    return MARGIN + column * (THUMBNAIL_SIDE + GUTTER)


def _picture_size(frame: SheetFrame) -> tuple[int, int]:
    if frame.thumbnail is not None:
        with contextlib.suppress(UnreadablePictureError, OSError):
            size = open_picture(frame.thumbnail).size
            return fitting_size((size.width, size.height))
    return _MISSING_SIZE
