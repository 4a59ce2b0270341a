"""The contact sheet: every frame in small, numbered, captioned and grouped by scene, on pages of JPEG."""

import hashlib
import io
import re
from collections.abc import Sequence
from pathlib import Path

from pipelines.common.files import storage_errors, write_atomic
from pipelines.report.sheet_drawing import SheetHeader, draw_page
from pipelines.report.sheet_layout import SheetRow, SheetScene, choose_evenly, lay_out_page, split_into_pages

_NAME = "contact-sheet"
# Raised with each change of the look: pages of another version are drawn again.
_VERSION = 2
_QUALITY = 88
# The comment is before the picture.
_HEAD_BYTES = 4096


def write_contact_sheet(
    title: str, scenes: Sequence[SheetScene], folder: Path, *, language: str | None = None
) -> list[Path]:
    """Write `contact-sheet.jpg`, and `contact-sheet-2.jpg` and so on where a page is not enough.

    A page that would come out the same is left as it is. Pages that an earlier, longer storyboard left are removed.

    Args:
        title: the film's.
        scenes: with their frames.
        folder: where the pages go.
        language: of titles, as a BCP 47 tag; None where it is not known.

    Returns:
        The pages, in order; one at least.

    Raises:
        StorageError: a page could not be written; every page that is there is complete.
    """
    pages = split_into_pages(scenes)
    paths = [
        folder / (f"{_NAME}-{number}.jpg" if number > 1 else f"{_NAME}.jpg") for number in range(1, len(pages) + 1)
    ]
    frames = _count_frames(scenes)
    for number, (rows, path) in enumerate(zip(pages, paths, strict=True), start=1):
        _write_page(path, rows, SheetHeader(title, frames, f"page {number} of {len(pages)}", language))
    _remove_other_pages(folder, paths)
    return paths


def write_short_contact_sheet(
    title: str, scenes: Sequence[SheetScene], folder: Path, *, most: int, language: str | None = None
) -> Path:
    """Write a contact sheet of one page, of at most so many frames, evenly chosen; return it.

    The arguments are those of `write_contact_sheet`. Pages that a sheet of all frames left are removed.

    Raises:
        StorageError: the page could not be written; the one that was there is as it was.
    """
    path = folder / f"{_NAME}.jpg"
    write_sample(title, scenes, path, most=most, language=language)
    _remove_other_pages(folder, [path])
    return path


def write_sample(
    title: str, scenes: Sequence[SheetScene], path: Path, *, most: int, language: str | None = None
) -> None:
    """Write one page of at most so many frames, evenly chosen, unless it would come out as it is.

    Raises:
        StorageError: it could not be written; the page that was there is as it was.
    """
    chosen = choose_evenly(scenes, most=most)
    shown, there = (sum(len(scene.frames) for scene in each) for each in (chosen, scenes))
    rows = [row for page in split_into_pages(chosen) for row in page]
    which = "all of them" if shown == there else f"{shown:,} of them, evenly chosen"
    _write_page(path, rows, SheetHeader(title, _count_frames(scenes), which, language))


def _write_page(path: Path, rows: Sequence[SheetRow], header: SheetHeader) -> None:
    fingerprint = _fingerprint(header, rows)
    if not _has_fingerprint(path, fingerprint):
        write_atomic(path, _page_as_jpeg(rows, header, fingerprint))


def find_contact_sheets(folder: Path) -> list[Path]:
    """Return the pages of the contact sheet that a folder holds, in order."""
    return sorted(folder.glob(f"{_NAME}*.jpg"), key=lambda path: (len(path.name), path.name))


def _count_frames(scenes: Sequence[SheetScene]) -> str:
    """Return how many frames there are, and how many of them are missing, in words."""
    frames = [frame for scene in scenes for frame in scene.frames]
    count = f"{len(frames):,} frame{'s' if len(frames) != 1 else ''}"
    missing = sum(frame.thumbnail is None for frame in frames)
    return f"{count}, {missing:,} missing" if missing else count


def _page_as_jpeg(rows: Sequence[SheetRow], header: SheetHeader, fingerprint: bytes) -> bytes:
    sheet = draw_page(lay_out_page(rows), header)
    jpeg = io.BytesIO()
    # 4:4:4 keeps colour at full size: at half of it, letters blur.
    sheet.save(jpeg, "JPEG", quality=_QUALITY, subsampling="4:4:4", comment=fingerprint)
    return jpeg.getvalue()


def _fingerprint(header: SheetHeader, rows: Sequence[SheetRow]) -> bytes:
    """Return the sha-256 of a page's texts, thumbnails and version, in hexadecimal."""
    times = [[_changed_ns(frame.thumbnail) for frame in part.frames] for row in rows for part in row]
    return hashlib.sha256(repr((_VERSION, header, rows, times)).encode()).hexdigest().encode()


def _changed_ns(thumbnail: Path | None) -> int | None:
    try:
        return thumbnail.stat().st_mtime_ns if thumbnail else None
    except OSError:
        return None


def _has_fingerprint(page: Path, fingerprint: bytes) -> bool:
    """Return whether a page holds this fingerprint as its JPEG comment."""
    try:
        with page.open("rb") as file:
            return fingerprint in file.read(_HEAD_BYTES)
    except OSError:
        return False


def _remove_other_pages(folder: Path, pages: Sequence[Path]) -> None:
    with storage_errors(folder):
        for path in set(folder.glob(f"{_NAME}-*.jpg")) - set(pages):
            # A file that a person named `contact-sheet-final.jpg` is not ours to remove.
            if re.fullmatch(rf"{_NAME}-[1-9][0-9]*", path.stem):
                path.unlink(missing_ok=True)
