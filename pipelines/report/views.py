"""Gathers the views of a page from the plan, the takes, the ledger and the films."""

import contextlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from pipelines.common.errors import Problem
from pipelines.common.settings import Settings
from pipelines.film.identity import drafts_among
from pipelines.film.outputs import film_path
from pipelines.ledger.attempt_history import PastAttempt
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import AttemptStatus, GroupMember
from pipelines.report.contact_sheet import find_contact_sheets
from pipelines.report.lanes import by_lane, sum_up_group
from pipelines.report.models import (
    AttemptView,
    CostView,
    FilmView,
    FrameView,
    LaneView,
    NarrationView,
    PageView,
    RunView,
    SceneView,
    TakeView,
    WordView,
)
from pipelines.storyboard.narrated import PlannedNarration
from pipelines.storyboard.plan import Plan, TakeSpec
from pipelines.storyboard.speech import Word
from pipelines.storyboard.timeline import Hold, Timeline
from pipelines.takes.inventory import TakeInventory
from pipelines.takes.models import FrameTakes, Take
from pipelines.takes.remarks import sum_up_remarks

_MIME_TYPES = {
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mov": "video/quicktime",
    "gif": "image/gif",
    "webp": "image/webp",
}


@dataclass(frozen=True, slots=True)
class Addresses:
    """The functions by which a page names files.

    Attributes:
        picture: of a take's file, the address of the picture.
        thumbnail: of a take's file, the address of its thumbnail; empty where there is none.
        speech: of a speech's file, its address.
        file: of any other file, its address.
    """

    picture: Callable[[Path], str]
    thumbnail: Callable[[Path], str]
    speech: Callable[[Path], str]
    file: Callable[[Path], str]


def relative_address(path: Path, *, folder: Path) -> str:
    """Return the address of a file in a page that lies in `folder`."""
    with contextlib.suppress(ValueError):
        return quote(path.relative_to(folder).as_posix())
    # A take that another storyboard generated lies in that one's folder.
    return quote(Path(os.path.relpath(path, folder)).as_posix())


def build_page(
    plan: Plan,
    inventory: TakeInventory,
    ledger: Ledger,
    settings: Settings,
    addresses: Addresses,
    notes: Iterable[Problem] = (),
) -> PageView:
    """Gather the views of a storyboard's page.

    Args:
        plan: the storyboard's frames and films.
        inventory: their takes.
        ledger: where the attempts are.
        settings: where the files are, and the rate limit.
        addresses: how the page names files.
        notes: on the storyboard.
    """
    folder = settings.output / plan.storyboard
    history = ledger.attempt_history(plan.storyboard)
    specs = {spec.request_key: spec for spec in inventory.known}
    return PageView(
        title=plan.title,
        storyboard=plan.storyboard,
        made_at=datetime.now(UTC),
        scenes=tuple(_scene_views(plan, _frame_views(plan, inventory, _by_frame(history, specs), addresses))),
        films=tuple(_film_views(plan, folder, addresses)),
        costs=tuple(_cost_views(ledger, plan.storyboard)),
        last_run=_last_run_view(ledger, history, specs, settings) if history else None,
        sheets=tuple(addresses.file(path) for path in find_contact_sheets(folder)),
        ledger=addresses.file(folder / "ledger.csv"),
        remarks=tuple(sum_up_remarks(inventory.selected)),
        notes=tuple(map(str, notes)),
        language=plan.timeline.captions.language,
    )


_NumberedAttempt = tuple[int, PastAttempt]
"""An attempt, after the number of the take that it was for."""


def _by_frame(
    history: Iterable[PastAttempt], specs: Mapping[str, TakeSpec]
) -> Mapping[int, Sequence[_NumberedAttempt]]:
    """Sort attempts by the number of their frame; leave out those for takes that no frame asks for any more."""
    by_frame: defaultdict[int, list[_NumberedAttempt]] = defaultdict(list)
    for attempt in history:
        if spec := specs.get(attempt.request_key):
            by_frame[spec.frame.number].append((spec.number, attempt))
    return by_frame


def _frame_views(
    plan: Plan,
    inventory: TakeInventory,
    attempts: Mapping[int, Sequence[_NumberedAttempt]],
    addresses: Addresses,
) -> Iterator[FrameView]:
    holds, fps = plan.timeline.holds, plan.timeline.output.fps
    narrations = {planned.narration.frame: _narration_view(planned, addresses) for planned in plan.narrations}
    narrated_from = _narrated_from(plan)
    for frame in inventory.frames:
        number = frame.frame.number
        view = _frame_view(frame, holds[number], fps, attempts.get(number, ()), addresses)
        yield replace(view, narration=narrations.get(number), narrated_from=narrated_from.get(number))


def _narrated_from(plan: Plan) -> dict[int, int]:
    """Return the first frame of each narration by the numbers of the others."""
    narrations = [planned.narration for planned in plan.narrations]
    return {
        narration.frame + later: narration.frame for narration in narrations for later in range(1, narration.frames)
    }


def _narration_view(planned: PlannedNarration, addresses: Addresses) -> NarrationView:
    narration, speech = planned.narration, planned.speech
    return NarrationView(
        text=narration.text,
        words=tuple(_word_views(narration.text, speech.words)),
        voice=planned.voice,
        sound=addresses.speech(speech.file),
        length_s=float(speech.length_s),
        frames=narration.frames,
        missing_s=float(planned.missing_s),
    )


def _word_views(text: str, words: Iterable[Word]) -> Iterator[WordView]:
    end = 0
    for word in words:
        yield WordView(text[end : word.at], word.text, float(word.start_s), float(word.end_s))
        end = word.at + len(word.text)


def _frame_view(
    frame: FrameTakes, hold: Hold, fps: Fraction, attempts: Sequence[_NumberedAttempt], addresses: Addresses
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
        takes=tuple(_take_view(take, latencies.get(take.spec.number), addresses) for take in frame.takes),
        selected=frame.selected.spec.number if frame.selected else None,
        picked=frame.picked is not None and not frame.lost_pick,
        attempts=tuple(_attempt_view(attempt, number) for number, attempt in attempts),
    )


def _take_view(take: Take, latency_s: float | None, addresses: Addresses) -> TakeView:
    return TakeView(
        number=take.spec.number,
        picture=addresses.picture(take.path),
        thumbnail=addresses.thumbnail(take.path),
        prompt=take.prompt,
        cost_usd=take.cost_usd,
        latency_s=latency_s,
        remarks=tuple(remark.text for remark in take.remarks),
    )


def _attempt_view(attempt: PastAttempt, take: int) -> AttemptView:
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


def _scene_views(plan: Plan, frames: Iterable[FrameView]) -> Iterator[SceneView]:
    # The timeline has a chapter for each scene, in the same order.
    scenes = groupby(frames, key=lambda frame: frame.scene)
    for chapter, (scene, group) in zip(plan.timeline.chapters, scenes, strict=True):
        of_scene = tuple(group)
        yield SceneView(scene, chapter.title, of_scene[0].start_s, of_scene)


def _film_views(plan: Plan, folder: Path, addresses: Addresses) -> Iterator[FilmView]:
    for timeline in plan.timelines:
        path = film_path(folder, plan.storyboard, timeline)
        if path.is_file():
            yield _film_view(path, timeline, addresses)


def _film_view(path: Path, timeline: Timeline, addresses: Addresses) -> FilmView:
    return FilmView(
        url=addresses.file(path),
        mime=_MIME_TYPES.get(path.suffix[1:], "application/octet-stream"),
        seconds=float(timeline.duration_s),
        size=str(timeline.output.size),
        draft=bool(drafts_among([path])),
    )


def _cost_views(ledger: Ledger, storyboard: str) -> Iterator[CostView]:
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


def _last_run_view(
    ledger: Ledger, history: Sequence[PastAttempt], specs: Mapping[str, TakeSpec], settings: Settings
) -> RunView:
    run_id = history[-1].run_id
    members = ledger.group_members(ledger.run_group_id(run_id))
    together = {run_id, *(member.run_id for member in members)}
    attempts = [attempt for attempt in history if attempt.run_id in together]
    # The charts do not say which take an attempt was for; the number is 1 where nothing asks for that take any more.
    numbers = {key: spec.number for key, spec in specs.items()}
    # Its own, whatever holds where its report is looked at.
    rate_limit = ledger.run_rate_limit(run_id) or settings.rate_limit
    return RunView(
        started_at=min(attempt.sent_at for attempt in attempts),
        attempts=tuple(_attempt_view(attempt, numbers.get(attempt.request_key, 1)) for attempt in attempts),
        rate_limit=rate_limit,
        # The reservations of first attempts are the quote; re-sends come on top of it.
        quote_usd=sum((attempt.reserved_usd for attempt in attempts if attempt.number == 1), Decimal(0)),
        budget_usd=ledger.run_budget_usd(run_id),
        lanes=_lane_views(members, attempts, rate_limit=rate_limit),
    )


def _lane_views(
    members: Iterable[GroupMember], attempts: Iterable[PastAttempt], *, rate_limit: int
) -> tuple[LaneView, ...]:
    """Return the lanes in which the runs of a group have sent anything; none where that is only one."""
    sent_at: defaultdict[str, list[datetime]] = defaultdict(list)
    for attempt in attempts:
        sent_at[attempt.run_id].append(attempt.sent_at)
    lanes = by_lane(member for member in members if sent_at[member.run_id])
    views = [
        LaneView(
            name=name,
            kept=sums.kept,
            requests=sums.requests,
            spent=sums.spent,
            rate_limit=max(member.rate_limit for member in of_lane) or rate_limit,
            sent_at=tuple(sorted(moment for member in of_lane for moment in sent_at[member.run_id])),
        )
        for name, of_lane in lanes.items()
        for sums in [sum_up_group(of_lane)]
    ]
    return tuple(views) if len(views) > 1 else ()
