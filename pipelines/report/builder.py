"""Writes what a run leaves for people to look at: the thumbnails, the contact sheet and `report.html`.

Of a long storyboard no single page could be opened, and no sheet looked at: `report.html` is an index then, `report/`
holds the pages of its scenes, each with a contact sheet of its own, and the contact sheet shows a choice of all frames.
"""

import base64
import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from urllib.parse import unquote

from pipelines.common.errors import Note
from pipelines.common.files import atomic_path, storage_errors
from pipelines.common.lettering.segmentation import isolate
from pipelines.common.settings import Settings
from pipelines.ledger.ledger import Ledger
from pipelines.report.contact_sheet import write_contact_sheet, write_sample, write_short_contact_sheet
from pipelines.report.division import FOLDER, ScenePage, divide, index_rows, page_view
from pipelines.report.models import PageView
from pipelines.report.page import render_index, render_report
from pipelines.report.sheet_layout import SheetFrame, SheetScene
from pipelines.report.thumbnails import Thumbnails
from pipelines.report.views import Addresses, build_page, relative_address
from pipelines.storyboard.plan import Plan
from pipelines.takes.inventory import TakeInventory
from pipelines.takes.models import FrameTakes, Take

# At about ten KiB each, that many make an HTML file of about twenty MiB.
_MAX_EMBEDDED = 2000
# More frames than that have a page a scene.
_MAX_ON_ONE_PAGE = 2000
# Of the sheet of all scenes, and of each page's: what can be taken in at a look.
_MAX_ON_A_SHEET = 100
# Of all pages' sheets together: at twelve KiB each, some twenty MiB, however long the storyboard is.
_MAX_ON_ALL_SHEETS = 2000
_LEAST_ON_A_SHEET = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The fingerprint is in the head, before the style sheet.
_HEAD_BYTES = 4096
_PAGE_SUFFIXES = (".html", ".jpg")

_ThumbnailPaths = Mapping[Path, Path | None]
"""The thumbnail of each take, by the take's file; None where the take cannot be read as a picture."""


def write_report(
    plan: Plan,
    inventory: TakeInventory,
    ledger: Ledger,
    settings: Settings,
    *,
    notes: Iterable[Note] = (),
    max_embedded: int = _MAX_EMBEDDED,
    max_on_one_page: int = _MAX_ON_ONE_PAGE,
    on_unreadable: Callable[[Take], None] = lambda _: None,
) -> Path:
    """Write the contact sheet and `report.html` into a storyboard's folder; return the report's path.

    For one run at a time. A report that would say the same as the one that is there is left as it is. One of more than
    `max_embedded` takes refers to their thumbnails' files instead of holding them. One of more than `max_on_one_page`
    frames is an index, with pages of its scenes beside it. `notes` are those on the storyboard; `on_unreadable` is
    called with each take of which no thumbnail could be made.

    Raises:
        StorageError: a file could not be written.
    """
    folder = settings.output / plan.storyboard
    thumbnails = Thumbnails(folder / "thumbnails")
    takes = [take for frame in inventory.frames for take in frame.takes]
    paths = thumbnails.make([take.path for take in takes])
    for take in takes:
        if paths[take.path] is None:
            on_unreadable(take)
    thumbnails.prune(paths)
    scenes, language = list(_sheet_scenes(plan, inventory, paths)), plan.timeline.captions.language
    path = report_path(folder)
    if len(plan.frames) > max_on_one_page:
        write_short_contact_sheet(plan.title, scenes, folder, most=_MAX_ON_A_SHEET, language=language)
        report = build_page(plan, inventory, ledger, settings, _addresses(folder, paths, of_pages=FOLDER), notes)
        _write_divided(path, report, {frame.number: frame for scene in scenes for frame in scene.frames})
    else:
        write_contact_sheet(plan.title, scenes, folder, language=language)
        page = build_page(plan, inventory, ledger, settings, _addresses(folder, paths), notes)
        _write_whole(path, page, embedded=len(paths) <= max_embedded)
        _remove_other_pages(folder / FOLDER, ())
    return path


def _addresses(folder: Path, thumbnails: _ThumbnailPaths, *, of_pages: str = "") -> Addresses:
    """Return the addresses of files relative to a storyboard's folder; of what frames have, to that of pages in it."""
    picture = partial(relative_address, folder=folder / of_pages)

    def thumbnail_address(take: Path) -> str:
        thumbnail = thumbnails.get(take)
        return picture(thumbnail) if thumbnail else ""

    file = partial(relative_address, folder=folder)
    return Addresses(picture=picture, thumbnail=thumbnail_address, speech=picture, file=file)


def _write_whole(path: Path, page: PageView, *, embedded: bool) -> None:
    embed = partial(_data_uri, path.parent) if embedded else str
    _write_if_changed(path, page, partial(render_report, embed=embed), embedded)


def _write_divided(path: Path, report: PageView, frames: Mapping[int, SheetFrame]) -> None:
    """Write the pages of a long report with their contact sheets, then its index, and remove what was there before.

    Args:
        path: the index's.
        report: all that is said; the addresses of its pictures are relative to the folder of the pages.
        frames: as they are on contact sheets, by number.
    """
    folder, pages = path.parent / FOLDER, divide(report.scenes)
    most = min(_MAX_ON_A_SHEET, max(_LEAST_ON_A_SHEET, _MAX_ON_ALL_SHEETS // len(pages)))
    for index, page in enumerate(pages):
        scenes = [SheetScene(scene.title, tuple(frames[each.number] for each in scene.frames)) for scene in page.scenes]
        write_sample(report.title, scenes, folder / f"{page.name}.jpg", most=most, language=report.language)
        view, way = page_view(report, pages, index)
        _write_if_changed(folder / f"{page.name}.html", view, partial(render_report, way=way), way)
    rows = tuple(index_rows(pages))
    # What it says of frames is in its rows.
    said = replace(report, scenes=tuple(replace(scene, frames=()) for scene in report.scenes))
    _write_if_changed(path, said, lambda _, **head: render_index(report, rows, **head), rows)
    # Last: until then the index that was there leads to them.
    _remove_other_pages(folder, pages)


def _remove_other_pages(folder: Path, pages: Iterable[ScenePage]) -> None:
    kept = {f"{page.name}{suffix}" for page in pages for suffix in _PAGE_SUFFIXES}
    with storage_errors(folder):
        for path in folder.glob("[0-9]*-*"):
            # A file that a person put there is not ours to remove.
            if path.suffix in _PAGE_SUFFIXES and path.name not in kept:
                path.unlink(missing_ok=True)
        # Goes where nothing is left in it.
        if folder.is_dir() and not kept:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _write_if_changed(path: Path, page: PageView, render: Callable[..., Iterator[str]], more: object) -> None:
    """Write a page, unless the one that is there says the same; `more` is what it says besides its view."""
    fingerprint = _fingerprint(page, more)
    if _has_fingerprint(path, fingerprint):
        return
    # Written part by part: a report of thousands of frames need not be in memory as a whole.
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(render(page, fingerprint=fingerprint))


def _fingerprint(page: PageView, more: object) -> str:
    """Return the sha-256 of everything that a report says, except when it was made, in hexadecimal."""
    content = repr((version("storyreel"), more, replace(page, made_at=_EPOCH)))
    return hashlib.sha256(content.encode()).hexdigest()


def _has_fingerprint(path: Path, fingerprint: str) -> bool:
    try:
        with path.open("rb") as file:
            return f'content="{fingerprint}"'.encode() in file.read(_HEAD_BYTES)
    except OSError:
        return False


def _data_uri(folder: Path, address: str) -> str:
    thumbnail = folder / unquote(address)
    return f"data:image/jpeg;base64,{base64.b64encode(thumbnail.read_bytes()).decode()}"


def _sheet_scenes(plan: Plan, inventory: TakeInventory, thumbnails: _ThumbnailPaths) -> Iterator[SheetScene]:
    # The timeline has a chapter for each scene, in the same order.
    scenes = groupby(inventory.frames, key=lambda frame: frame.frame.scene)
    for chapter, (_, frames) in zip(plan.timeline.chapters, scenes, strict=True):
        yield SheetScene(chapter.title, tuple(_sheet_frame(frame, thumbnails) for frame in frames))


def _sheet_frame(frame: FrameTakes, thumbnails: _ThumbnailPaths) -> SheetFrame:
    selected = frame.selected
    return SheetFrame(
        number=frame.frame.number,
        caption=f"{frame.frame.shot} · {isolate(selected.prompt if selected else frame.frame.prompt)}",
        thumbnail=thumbnails.get(selected.path) if selected else None,
    )


def report_path(folder: Path) -> Path:
    """Return where a storyboard's report is."""
    return folder / "report.html"
