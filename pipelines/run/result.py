"""The result of a run, for programs and people: the record that it keeps as it goes, and what it came to."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path

from pipelines.common.errors import (
    BudgetError,
    EndpointError,
    FramesMissingError,
    IncompleteError,
    InterruptedRunError,
    StoryreelError,
)
from pipelines.common.formatting import counted, format_decimal
from pipelines.film.probe import Film
from pipelines.ledger.models import RunState, Totals
from pipelines.run.worker import Failed, Generated, Reused, TakeOutcome
from pipelines.storyboard.plan import Plan, TakeSpec
from pipelines.storyboard.quote import Quote
from pipelines.takes.inventory import TakeInventory
from pipelines.takes.models import Take

_MAX_NAMED = 3
_FOR_PEOPLE = ("more_videos", "new_takes", "remarks")

# The state that a run ends in, by its error; the first that fits.
_STATES = (
    (InterruptedRunError, RunState.CANCELLED),
    (asyncio.CancelledError, RunState.CANCELLED),
    (BudgetError, RunState.OVER_BUDGET),
    (EndpointError, RunState.ENDPOINT_UNAVAILABLE),
    (IncompleteError, RunState.INCOMPLETE),
)


@dataclass(slots=True)
class RunRecord:
    """The record of a run, filled in step by step.

    Attributes:
        quote: of what it set out to generate.
        requested: the takes that it is about.
        reroll: whether these were asked for besides what the storyboard asks for.
        inventory: the takes that are there, as last looked for.
        outcomes: of each take that it set out to generate.
        published: the numbers of the frames that were published; None as long as none were.
        films: those that were cut.
        report: the page about it.
        remarks: what people should know besides.
        error: why it ended early.
        started: by the monotonic clock, in seconds.
    """

    quote: Quote | None = None
    requested: tuple[TakeSpec, ...] = ()
    reroll: bool = False
    inventory: TakeInventory | None = None
    outcomes: list[TakeOutcome] = field(default_factory=list)
    published: frozenset[int] | None = None
    films: list[Film] = field(default_factory=list)
    report: Path | None = None
    remarks: list[str] = field(default_factory=list)
    error: BaseException | None = None
    started: float = field(default_factory=time.monotonic)

    def count(self, kind: type[TakeOutcome]) -> int:
        """Return how many takes came out as `kind`."""
        return sum(isinstance(outcome, kind) for outcome in self.outcomes)


@dataclass(frozen=True, slots=True)
class RunResult:
    """The result of a run. Money and neurons are exact; costs are made up where `simulated` says so.

    Attributes:
        cost_usd: the sum of what is known.
        uncertain_usd: what attempts whose cost is not known may have cost at most.
        video: the film, the first where there are several; None if this run did not get as far.
        video_seconds: its length.
        ledger: the storyboard's ledger as CSV.
        report: the storyboard's page; None where the run ended before it could be written.
        more_videos: the other outputs' films; for people only.
        new_takes: the takes that a re-roll asked for, as far as they came.
        remarks: what people should know besides.
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
    neurons: Decimal
    simulated: bool
    video: Path | None
    video_seconds: float | None
    ledger: Path
    report: Path | None
    elapsed_s: float
    more_videos: tuple[Path, ...] = ()
    new_takes: tuple[Take, ...] = ()
    remarks: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the result as plain JSON values: amounts as decimal strings, paths as text."""
        names = (field.name for field in fields(self) if field.name not in _FOR_PEOPLE)
        values = {name: _plain_value(getattr(self, name)) for name in names}
        new_takes = [
            {"frame": take.frame.number, "take": take.spec.number, "file": str(take.path)} for take in self.new_takes
        ]
        return {**values, "takes": new_takes} if new_takes else values


def state_after(error: BaseException | None) -> RunState:
    """Return the state of a run that ended with this error, or without one."""
    if error is None:
        return RunState.COMPLETED
    return next((state for kind, state in _STATES if isinstance(error, kind)), RunState.FAILED)


def sum_up(plan: Plan, record: RunRecord, totals: Totals, *, run_id: str, simulated: bool, ledger: Path) -> RunResult:
    """Return a run's result from its plan, its record and the sums of its attempts."""
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
        cost_thb=totals.cost.thb,
        neurons=totals.cost.neurons,
        simulated=simulated,
        video=record.films[0].path if record.films else None,
        video_seconds=float(record.films[0].duration_s) if record.films else None,
        more_videos=tuple(film.path for film in record.films[1:]),
        new_takes=_new_takes(record),
        remarks=tuple(_remarks(record)),
        ledger=ledger,
        report=record.report,
        elapsed_s=round(time.monotonic() - record.started, 3),
    )


def incomplete_error(plan: Plan, record: RunRecord, *, stopped_by: StoryreelError | None) -> StoryreelError | None:
    """Return why the run is not whole, in one paragraph; None if it is.

    A run is whole where each take that it is about is there, and each of those frames was published. So a re-roll is
    judged by the takes that it was asked for, and not by holes elsewhere.
    """
    if stopped_by is not None:
        return stopped_by
    missing = dict(_missing_takes(record))
    if not missing:
        return None
    named = "; ".join(f"{spec.label}: {reason}" for spec, reason in list(missing.items())[:_MAX_NAMED])
    rest = f"; and {len(missing) - _MAX_NAMED} more" if len(missing) > _MAX_NAMED else ""
    return FramesMissingError(
        f"{len(missing)} of {_counted(plan, record)} {'is' if len(missing) == 1 else 'are'} missing: {named}{rest}. "
        "Everything generated is kept; run again to complete"
    )


def _missing_takes(record: RunRecord) -> Iterator[tuple[TakeSpec, str]]:
    """Yield each take that this run is about and that is not there in the end, and why."""
    reasons = {outcome.spec: outcome.reason for outcome in record.outcomes if isinstance(outcome, Failed)}
    there = record.inventory.found.takes if record.inventory else {}
    for spec in record.requested:
        gone = record.published is not None and spec.number == 1 and spec.frame.number not in record.published
        if spec.request_key not in there or gone:
            yield spec, reasons.get(spec, "its file is gone")


def _new_takes(record: RunRecord) -> tuple[Take, ...]:
    if record.inventory is None or not record.reroll:
        return ()
    there = record.inventory.found.takes
    return tuple(there[spec.request_key] for spec in record.requested if spec.request_key in there)


def _remarks(record: RunRecord) -> Iterator[str]:
    yield from record.remarks
    for frame in record.inventory.frames if record.inventory else ():
        if frame.lost_pick:
            instead = f"take {frame.selected.spec.number} stands in for it" if frame.selected else "no other is there"
            yield (
                f"{frame.frame.label}: take {frame.picked}, which was picked, is gone; {instead}; "
                f"pick another, or put its file back"
            )


def _counted(plan: Plan, record: RunRecord) -> str:
    """Return what the run was about: frames, or takes where they are not one for each."""
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
