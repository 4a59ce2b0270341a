"""What the report and the cutting room show, gathered from the plan, the takes, the books and the films."""

import base64
import contextlib
import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from functools import partial
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from urllib.parse import quote, unquote

from pipelines.common.files import atomic_path
from pipelines.common.settings import Settings
from pipelines.film.outputs import film_path
from pipelines.ledger.attempt_history import PastAttempt
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import AttemptStatus
from pipelines.report.contact_sheet import SheetFrame, SheetScene, contact_sheets, write_contact_sheet
from pipelines.report.models import (
    AttemptView,
    CostView,
    FilmView,
    FrameView,
    PageView,
    RunView,
    SceneView,
    TakeView,
)
from pipelines.report.page import render_report
from pipelines.report.thumbnails import Thumbnails
from pipelines.storyboard.plan import Plan
from pipelines.storyboard.timeline import Hold
from pipelines.takes.inventory import TakeInventory
from pipelines.takes.models import FrameTakes, Take

# About twenty MiB of HTML.
_MOST_EMBEDDED = 2000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The mark stands in the head, before the style.
_HEAD_BYTES = 4096
_MIMES = {
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mov": "video/quicktime",
    "gif": "image/gif",
    "webp": "image/webp",
}


@dataclass(frozen=True, slots=True)
class Addresses:
    """How a page names files: a take's picture, its thumbnail (empty where there is none), and anything else."""

    picture: Callable[[Path], str]
    thumbnail: Callable[[Path], str]
    file: Callable[[Path], str]


def relative_address(path: Path, *, folder: Path) -> str:
    """Return the address of a file as a page in `folder` names it."""
    with contextlib.suppress(ValueError):
        return quote(path.relative_to(folder).as_posix())
    return quote(Path(os.path.relpath(path, folder)).as_posix())


def build_page(
    plan: Plan, inventory: TakeInventory, ledger: Ledger, settings: Settings, addresses: Addresses
) -> PageView:
    """Gather what a page about a storyboard says.

    Args:
        plan: the storyboard's frames and films.
        inventory: their takes.
        ledger: where the attempts are.
        settings: where the files are, and the rate limit.
        addresses: how the page names files.
    """
    folder = settings.output / plan.storyboard
    past = ledger.attempt_history(plan.storyboard)
    frames = _frames(plan, inventory, past, addresses)
    return PageView(
        title=plan.title,
        storyboard=plan.storyboard,
        made_at=datetime.now(UTC),
        scenes=tuple(_scenes(plan, frames)),
        films=tuple(_films(plan, folder, addresses)),
        accounts=tuple(_costs(ledger, plan.storyboard)),
        run=_last_run(ledger, past, inventory, settings),
        sheets=tuple(addresses.file(path) for path in contact_sheets(folder)),
        ledger=addresses.file(folder / "ledger.csv"),
    )


def write_report(
    plan: Plan, inventory: TakeInventory, ledger: Ledger, settings: Settings, *, most_embedded: int = _MOST_EMBEDDED
) -> Path:
    """Write the contact sheet and `report.html` into a storyboard's folder; return the report's path.

    For one run at a time. A report that would say the same as the one that is there is left as it is. One of more takes
    than `most_embedded` has their thumbnails beside it.

    Raises:
        StorageError: a file could not be written.
    """
    folder = settings.output / plan.storyboard
    thumbnails = Thumbnails(folder / "thumbnails")
    made = thumbnails.make([take.path for frame in inventory.frames for take in frame.takes])
    thumbnails.prune(made)
    write_contact_sheet(plan.title, _sheet_scenes(plan, inventory, made), folder)
    beside = partial(relative_address, folder=folder)

    def thumbnail(take: Path) -> str:
        small = made.get(take)
        return beside(small) if small else ""

    page = build_page(plan, inventory, ledger, settings, Addresses(picture=beside, thumbnail=thumbnail, file=beside))
    embedded = len(made) <= most_embedded
    path, mark = folder / "report.html", _mark_of(page, embedded=embedded)
    if not _bears(path, mark):
        embed = partial(_data_uri, folder) if embedded else str
        with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.writelines(render_report(page, embed=embed, mark=mark))
    return path


def _mark_of(page: PageView, *, embedded: bool) -> str:
    """Return what tells a report from all others but for when it was made."""
    told = repr((version("storyreel"), embedded, replace(page, made_at=_EPOCH)))
    return hashlib.sha256(told.encode(errors="surrogatepass")).hexdigest()


def _bears(path: Path, mark: str) -> bool:
    try:
        with path.open("rb") as file:
            return f'content="{mark}"'.encode() in file.read(_HEAD_BYTES)
    except OSError:
        return False


def _sheet_scenes(plan: Plan, inventory: TakeInventory, made: Mapping[Path, Path | None]) -> list[SheetScene]:
    scenes = groupby(inventory.frames, key=lambda frame: frame.frame.scene)
    return [
        SheetScene(chapter.title, tuple(_sheet_frame(frame, made) for frame in group))
        for chapter, (_, group) in zip(plan.timeline.chapters, scenes, strict=True)
    ]


def _sheet_frame(frame: FrameTakes, made: Mapping[Path, Path | None]) -> SheetFrame:
    selected = frame.selected
    prompt = selected.prompt if selected else frame.frame.prompt
    return SheetFrame(
        frame.frame.number, f"{frame.frame.shot} · {prompt}", made.get(selected.path) if selected else None
    )


def _data_uri(folder: Path, address: str) -> str:
    thumbnail = folder / unquote(address)
    return f"data:image/jpeg;base64,{base64.b64encode(thumbnail.read_bytes()).decode()}"


def _frames(plan: Plan, inventory: TakeInventory, past: Iterable[PastAttempt], addresses: Addresses) -> list[FrameView]:
    """Return every frame with its attempts; those for what it no longer asks are in the account only."""
    asked = {spec.request_key: spec for spec in inventory.known}
    attempts: defaultdict[int, list[tuple[int, PastAttempt]]] = defaultdict(list)
    for attempt in past:
        if spec := asked.get(attempt.request_key):
            attempts[spec.frame.number].append((spec.number, attempt))
    holds = plan.timeline.holds
    fps = plan.timeline.output.fps
    return [
        _frame(frame, holds[frame.frame.number], fps, attempts[frame.frame.number], addresses)
        for frame in inventory.frames
    ]


def _frame(
    frame: FrameTakes,
    hold: Hold,
    fps: Fraction,
    attempts: Sequence[tuple[int, PastAttempt]],
    addresses: Addresses,
) -> FrameView:
    spec, size = frame.frame, frame.frame.aspect.size
    latencies = {number: attempt.latency_s for number, attempt in attempts if attempt.status is AttemptStatus.OK}
    return FrameView(
        number=spec.number,
        name=spec.name,
        key=spec.request_key,
        scene=spec.scene,
        shot=spec.shot,
        prompt=spec.prompt,
        caption=hold.caption,
        width=size.width,
        height=size.height,
        start_s=float(hold.start / fps),
        hold_s=float(hold.length / fps),
        price_usd=spec.price.usd,
        takes=tuple(_take(take, latencies.get(take.spec.number), addresses) for take in frame.takes),
        shown=frame.selected.spec.number if frame.selected else None,
        picked=frame.picked is not None and not frame.lost_pick,
        attempts=tuple(_attempt(attempt, number) for number, attempt in attempts),
    )


def _take(take: Take, latency_s: float | None, addresses: Addresses) -> TakeView:
    return TakeView(
        number=take.spec.number,
        picture=addresses.picture(take.path),
        thumbnail=addresses.thumbnail(take.path),
        prompt=take.prompt,
        cost_usd=take.cost_usd,
        latency_s=latency_s,
    )


def _attempt(attempt: PastAttempt, take: int) -> AttemptView:
    return AttemptView(
        take=take,
        number=attempt.number,
        status=attempt.status.value,
        http_status=attempt.http_status,
        error=attempt.error,
        cost_usd=attempt.cost_usd,
        reserved_usd=attempt.reserved_usd,
        sent_at=attempt.sent_at,
        latency_s=attempt.latency_s,
    )


def _scenes(plan: Plan, frames: Iterable[FrameView]) -> Iterator[SceneView]:
    # A chapter for each scene, in the same order.
    scenes = groupby(frames, key=lambda frame: frame.scene)
    for chapter, (scene, group) in zip(plan.timeline.chapters, scenes, strict=True):
        here = tuple(group)
        yield SceneView(scene, chapter.title, here[0].start_s, here)


def _films(plan: Plan, folder: Path, addresses: Addresses) -> Iterator[FilmView]:
    for timeline in plan.timelines:
        path = film_path(folder, plan.storyboard, timeline)
        if path.is_file():
            yield FilmView(
                url=addresses.file(path),
                mime=_MIMES.get(path.suffix[1:], "application/octet-stream"),
                seconds=float(timeline.duration_s),
                size=str(timeline.output.size),
            )


def _costs(ledger: Ledger, storyboard: str) -> Iterator[CostView]:
    for simulated in (False, True):
        totals = ledger.storyboard_totals(storyboard, simulated=simulated)
        if totals.requests:
            yield CostView(
                requests=totals.requests,
                cost_usd=totals.cost.usd,
                cost_thb=totals.cost.thb,
                neurons=totals.cost.neurons,
                uncertain_usd=totals.uncertain_usd,
                simulated=simulated,
            )


def _last_run(
    ledger: Ledger, past: Sequence[PastAttempt], inventory: TakeInventory, settings: Settings
) -> RunView | None:
    if not past:
        return None
    asked = {spec.request_key: spec.number for spec in inventory.known}
    last = [attempt for attempt in past if attempt.run_id == past[-1].run_id]
    return RunView(
        started_at=last[0].sent_at,
        attempts=tuple(_attempt(attempt, asked.get(attempt.request_key, 1)) for attempt in last),
        rate_limit=settings.rate_limit,
        # What each take was to cost; re-sends come on top.
        quote_usd=sum((attempt.reserved_usd for attempt in last if attempt.number == 1), Decimal(0)),
        budget_usd=ledger.run_budget_usd(past[-1].run_id),
    )
