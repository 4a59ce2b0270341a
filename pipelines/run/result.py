"""The result of a run, for programs and people, and the record of its steps from which the result is made."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path

from pipelines.common.errors import (
    BudgetError,
    EndpointError,
    FramesMissingError,
    IncompleteError,
    InterruptedRunError,
    Note,
    StoryreelError,
)
from pipelines.common.formatting import counted, format_decimal
from pipelines.common.quality import Quality
from pipelines.film.probe import Film
from pipelines.ledger.models import AttemptStatus, GroupMember, RunState, TakeLoss, Totals
from pipelines.report.lanes import members_json, other_runs
from pipelines.run.outcomes import Failed, Generated, Reused, TakeOutcome
from pipelines.storyboard.plan import Plan, TakeSpec
from pipelines.storyboard.quote import Quote
from pipelines.takes.inventory import TakeInventory
from pipelines.takes.models import FrameTakes, Take
from pipelines.takes.remarks import sum_up_remarks

# Enough to see what is wrong: the ledger has a row for each.
_MAX_NAMED = 3
# These fields do not enter the JSON as they are.
_FOR_PEOPLE = ("more_videos", "drafts", "finished", "new_takes", "remarks", "unanswered", "elsewhere", "members")

# The state that a run ends in, by its error; the first that fits. asyncio's error comes from a second Ctrl-C.
_STATES = (
    (InterruptedRunError, RunState.CANCELLED),
    (asyncio.CancelledError, RunState.CANCELLED),
    (BudgetError, RunState.OVER_BUDGET),
    (EndpointError, RunState.ENDPOINT_UNAVAILABLE),
    (IncompleteError, RunState.INCOMPLETE),
)


@dataclass(slots=True)
class RunRecord:
    """The record of a run, filled in step by step: fields keep their defaults until their step is done.

    Attributes:
        quote: the price of the takes that were missing when it began.
        requested: the takes that it is about.
        reroll: whether these are extra ones, and not what the storyboard asks for.
        inventory: the takes that are there, as last looked up.
        losses: what became of takes that were there once, by request key, when it began.
        unreadable: why takes that it set aside could not be read, by request key.
        outcomes: of each take that was started and has ended.
        published: the numbers of the frames that were published; None before that step.
        films: those that were cut.
        drafts: the paths of those that are drafts.
        finished: the paths of those that were drafts before, and are final now.
        report: the path of report.html.
        remarks: sentences for people, of what else is not as it should be.
        notes: on the storyboard and its sounds.
        error: the exception that ended the run.
        started: when a person began to wait for it, by the monotonic clock, in seconds.
    """

    quote: Quote | None = None
    requested: tuple[TakeSpec, ...] = ()
    reroll: bool = False
    inventory: TakeInventory | None = None
    losses: Mapping[str, TakeLoss] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    outcomes: list[TakeOutcome] = field(default_factory=list)
    published: frozenset[int] | None = None
    films: list[Film] = field(default_factory=list)
    drafts: frozenset[Path] = frozenset()
    finished: frozenset[Path] = frozenset()
    report: Path | None = None
    remarks: list[str] = field(default_factory=list)
    notes: tuple[Note, ...] = ()
    error: BaseException | None = None
    started: float = field(default_factory=time.monotonic)

    def count(self, kind: type[TakeOutcome]) -> int:
        """Return how many takes have an outcome of this kind."""
        return sum(isinstance(outcome, kind) for outcome in self.outcomes)


@dataclass(frozen=True, slots=True)
class RunResult:
    """The result of a run. Money and neurons are exact; costs are made up where `simulated` says so.

    Attributes:
        storyboard: its id.
        run_id: 32 hexadecimal digits.
        state: the state that the run ended in.
        frames: frames in the storyboard.
        reused, generated, failed: takes that were there before, or came of other runs meanwhile; that this run
            generated; and that could not be.
        requests: attempts that this run sent.
        cost_usd: the sum of the costs that are known.
        uncertain_usd: the most that attempts of unknown cost may have cost.
        cost_thb: as `cost_usd`, in baht.
        neurons: as `cost_usd`, in neurons; None where images are not billed in them.
        simulated: whether sketches were generated, which are free.
        video: the film, the first where there are several; None if this run made none.
        video_seconds: its length.
        ledger: path of the storyboard's ledger.csv.
        report: path of report.html; None if this run could not write it.
        elapsed_s: seconds from when a person began to wait for it to its last step.
        estimated_usd: the part of `cost_usd` that is known by a price list only.
        more_videos: the other outputs' films; for people only.
        drafts: those of the films that are drafts; of them, JSON says `quality` alone.
        finished: those that were drafts before, and are final now; for people only.
        new_takes: those of a re-roll's takes that are there.
        remarks: sentences for people, of what else is not as it should be.
        unanswered: attempts that were sent and got no answer, and may have been billed; for people only.
        notes: on the storyboard and its sounds, as lines.
        elsewhere: those of `reused` that other runs have generated meanwhile; for people only.
        members: all runs of its group, itself among them, where there were several.
    """

    storyboard: str
    run_id: str
    state: RunState
    frames: int
    reused: int
    generated: int
    failed: int
    requests: int
    cost_usd: Decimal
    uncertain_usd: Decimal
    cost_thb: Decimal
    neurons: Decimal | None
    simulated: bool
    video: Path | None
    video_seconds: float | None
    ledger: Path
    report: Path | None
    elapsed_s: float
    estimated_usd: Decimal = Decimal(0)
    more_videos: tuple[Path, ...] = ()
    drafts: frozenset[Path] = frozenset()
    finished: frozenset[Path] = frozenset()
    new_takes: tuple[Take, ...] = ()
    remarks: tuple[str, ...] = ()
    unanswered: int = 0
    notes: tuple[str, ...] = ()
    elsewhere: int = 0
    members: tuple[GroupMember, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the result as plain JSON values: amounts as decimal strings, paths as text."""
        names = (field.name for field in fields(self) if field.name not in _FOR_PEOPLE)
        values = {name: _plain_value(getattr(self, name)) for name in names}
        new_takes = [
            {"frame": take.frame.number, "take": take.spec.number, "file": str(take.path)} for take in self.new_takes
        ]
        takes = {"takes": new_takes} if new_takes else {}
        lanes = {"lanes": members_json(self.members)} if self.members else {}
        # Of a final film there is nothing to say.
        drafts = {"quality": str(Quality.DRAFT)} if self.drafts else {}
        return {**values, **drafts, **takes, **lanes}

    @property
    def counts(self) -> str:
        """What became of the takes, in words."""
        rest = f"{self.failed} failed"
        if not self.members:
            return f"{self.generated} generated, {self.reused} reused, {rest}"
        elsewhere = f"{self.elsewhere} by {other_runs(self.members, self.run_id)}"
        return f"{self.generated} generated here, {elsewhere}, {self.reused - self.elsewhere} reused, {rest}"


def state_after(error: BaseException | None) -> RunState:
    """Return the state of a run that ended with this error, or without one."""
    if error is None:
        return RunState.COMPLETED
    return next((state for kind, state in _STATES if isinstance(error, kind)), RunState.FAILED)


def sum_up(
    plan: Plan,
    record: RunRecord,
    totals: Totals,
    *,
    run_id: str,
    simulated: bool,
    ledger: Path,
    members: tuple[GroupMember, ...] = (),
) -> RunResult:
    """Return a run's result.

    Args:
        plan: its frames.
        record: as far as it was filled in.
        totals: of the run's attempts in the ledger, the only source for requests and money.
        run_id: its id.
        simulated: whether its costs are made up.
        ledger: path of the storyboard's ledger.csv.
        members: the runs of its group, where there are several.
    """
    # Those that were there at the start; others may have been generated elsewhere since.
    reused = record.quote.reuse if record.quote else 0
    return RunResult(
        storyboard=plan.storyboard,
        run_id=run_id,
        state=state_after(record.error),
        frames=len(plan.frames),
        reused=reused + record.count(Reused),
        generated=record.count(Generated),
        failed=record.count(Failed),
        requests=totals.requests,
        cost_usd=totals.cost.usd,
        uncertain_usd=totals.uncertain_usd,
        estimated_usd=totals.estimated_usd,
        cost_thb=totals.cost.thb,
        neurons=totals.cost.neurons or plan.frames[0].model.rates.zero.neurons,
        simulated=simulated,
        video=record.films[0].path if record.films else None,
        video_seconds=float(record.films[0].duration_s) if record.films else None,
        more_videos=tuple(film.path for film in record.films[1:]),
        drafts=record.drafts,
        finished=record.finished,
        new_takes=_new_takes(record),
        remarks=tuple(_remarks(record)),
        unanswered=totals.by_status.get(AttemptStatus.UNKNOWN, 0),
        notes=tuple(map(str, record.notes)),
        elsewhere=record.count(Reused),
        members=members,
        ledger=ledger,
        report=record.report,
        elapsed_s=round(time.monotonic() - record.started, 3),
    )


def interrupted_error(error: InterruptedRunError, result: RunResult | None) -> InterruptedRunError:
    """Return the error of an interrupted run with what is uncertain: the answers that were not awaited."""
    if result is None or not result.unanswered:
        return error
    simulated = ", simulated" if result.simulated else ""
    return InterruptedRunError(
        f"{error}. {counted(result.unanswered, 'request')} got no answer and may have been billed: "
        f"at most {format_decimal(result.uncertain_usd)} USD{simulated}"
    )


def incomplete_error(plan: Plan, record: RunRecord, *, stopped_by: StoryreelError | None) -> StoryreelError | None:
    """Return why takes or frames are missing, in one paragraph; None if none are.

    A run is whole if each take that it is about is there and the frames of those takes were published. So a re-roll is
    judged by the takes that it was asked for, and not by frames that are missing elsewhere.
    """
    # The reason for which the run was stopped explains whatever is missing.
    if stopped_by is not None:
        return stopped_by
    missing = dict(_missing_takes(record))
    if not missing:
        return None
    named = "; ".join(f"{spec.label}: {reason}" for spec, reason in list(missing.items())[:_MAX_NAMED])
    rest = f"; and {len(missing) - _MAX_NAMED} more" if len(missing) > _MAX_NAMED else ""
    again = any(spec.request_key in record.unreadable for spec in missing)
    cure = "run again to generate what was unreadable anew, which costs again" if again else "run again to complete"
    return FramesMissingError(
        f"{len(missing)} of {_counted(plan, record)} {'is' if len(missing) == 1 else 'are'} missing: {named}{rest}. "
        f"Everything generated is kept; {cure}"
    )


def _missing_takes(record: RunRecord) -> Iterator[tuple[TakeSpec, str]]:
    """Yield each take that this run is about and that is missing in the end, and why."""
    # Judged by what is there, not by outcomes: a take that failed here may have been generated by another run.
    reasons = {outcome.spec: outcome.reason for outcome in record.outcomes if isinstance(outcome, Failed)}
    there = record.inventory.found.takes if record.inventory else {}
    for spec in record.requested:
        # Its file may have gone between the last look and the publishing of frames.
        gone = record.published is not None and spec.number == 1 and spec.frame.number not in record.published
        if spec.request_key not in there or gone:
            yield spec, _unreadable_text(record, spec) or reasons.get(spec, _absence_text(record, spec))


def _absence_text(record: RunRecord, spec: TakeSpec) -> str:
    # A run on another machine may have kept it while this one was at work.
    if record.inventory and spec.request_key in record.inventory.found.elsewhere:
        return "another run has kept it in an output folder that is not seen from here"
    return "its file is gone"


def _unreadable_text(record: RunRecord, spec: TakeSpec) -> str | None:
    reason = record.unreadable.get(spec.request_key)
    return f"its take was unreadable ({reason}), and is set aside in takes/unusable" if reason else None


def _new_takes(record: RunRecord) -> tuple[Take, ...]:
    if record.inventory is None or not record.reroll:
        return ()
    found = record.inventory.found
    return tuple(take for spec in record.requested if (take := found.of(spec)))


def _remarks(record: RunRecord) -> Iterator[str]:
    """Yield what people should know besides the state: of the run, of the takes that are shown, and of lost ones."""
    yield from record.remarks
    yield from _generated_again(record)
    if record.inventory:
        yield from sum_up_remarks(record.inventory.selected)
        yield from _unreadable_takes(record, record.inventory.known)
        yield from _lost_picks(record.inventory.frames)


def _generated_again(record: RunRecord) -> Iterator[str]:
    generated = [outcome.spec.request_key for outcome in record.outcomes if isinstance(outcome, Generated)]
    again = Counter(record.losses[key] for key in generated if key in record.losses)
    if again:
        kinds = ", ".join(f"{count} {loss}" for loss, count in sorted(again.items()))
        yield f"{counted(again.total(), 'take')} had been generated before, and cost again: {kinds}"


def _unreadable_takes(record: RunRecord, known: Iterable[TakeSpec]) -> Iterator[str]:
    for spec in known:
        text = _unreadable_text(record, spec)
        # Not those that the error names: it may be about something else, or about other frames.
        if text and f"{spec.label}: {text}" not in str(record.error):
            yield f"{spec.label}: {text}"


def _lost_picks(frames: Iterable[FrameTakes]) -> Iterator[str]:
    for frame in frames:
        if frame.lost_pick:
            instead = f"take {frame.selected.spec.number} stands in for it" if frame.selected else "no other is there"
            yield (
                f"{frame.frame.label}: take {frame.picked}, which was picked, is gone; {instead}; "
                f"pick another, or put its file back"
            )


def _counted(plan: Plan, record: RunRecord) -> str:
    """Return how many takes the run was about; called frames where each frame has one."""
    count = len(record.requested)
    return counted(count, "frame" if count == len(plan.frames) and not record.reroll else "take")


def _plain_value(value: object) -> object:
    match value:
        case Decimal():
            return format_decimal(value)
        case Path() | RunState():
            return str(value)
        case _:
            return value
