"""Writes what a run leaves for people to look at: the thumbnails, the contact sheet and `report.html`."""

import base64
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
from pipelines.common.files import atomic_path
from pipelines.common.lettering.segmentation import isolate
from pipelines.common.settings import Settings
from pipelines.ledger.ledger import Ledger
from pipelines.report.contact_sheet import write_contact_sheet
from pipelines.report.models import PageView
from pipelines.report.page import render_report
from pipelines.report.sheet_layout import SheetFrame, SheetScene
from pipelines.report.thumbnails import Thumbnails
from pipelines.report.views import Addresses, build_page, relative_address
from pipelines.storyboard.plan import Plan
from pipelines.takes.inventory import TakeInventory
from pipelines.takes.models import FrameTakes, Take

# At about ten KiB each, that many make an HTML file of about twenty MiB.
_MAX_EMBEDDED = 2000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The fingerprint is in the head, before the style sheet.
_HEAD_BYTES = 4096

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
    on_unreadable: Callable[[Take], None] = lambda _: None,
) -> Path:
    """Write the contact sheet and `report.html` into a storyboard's folder; return the report's path.

    For one run at a time. A report that would say the same as the one that is there is left as it is. One of more than
    `max_embedded` takes refers to their thumbnails' files instead of holding them. `notes` are those on the storyboard;
    `on_unreadable` is called with each take of which no thumbnail could be made.

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
    write_contact_sheet(
        plan.title,
        list(_sheet_scenes(plan, inventory, paths)),
        folder,
        language=plan.timeline.captions.language,
    )
    page = build_page(plan, inventory, ledger, settings, _addresses(folder, paths), notes)
    path = report_path(folder)
    _write_if_changed(path, page, embedded=len(paths) <= max_embedded)
    return path


def _addresses(folder: Path, thumbnails: _ThumbnailPaths) -> Addresses:
    """Return the addresses of files relative to the storyboard's folder."""
    address = partial(relative_address, folder=folder)

    def thumbnail_address(take: Path) -> str:
        thumbnail = thumbnails.get(take)
        return address(thumbnail) if thumbnail else ""

    return Addresses(picture=address, thumbnail=thumbnail_address, file=address)


def _write_if_changed(path: Path, page: PageView, *, embedded: bool) -> None:
    fingerprint = _fingerprint(page, embedded=embedded)
    if _has_fingerprint(path, fingerprint):
        return
    embed = partial(_data_uri, path.parent) if embedded else str
    # Written part by part: a report of thousands of frames need not be in memory as a whole.
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(render_report(page, embed=embed, fingerprint=fingerprint))


def _fingerprint(page: PageView, *, embedded: bool) -> str:
    """Return the sha-256 of everything that a report says, except when it was made, in hexadecimal."""
    content = repr((version("storyreel"), embedded, replace(page, made_at=_EPOCH)))
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
