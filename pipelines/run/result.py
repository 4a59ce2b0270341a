"""What a run came to, for programs and people: the record it keeps as it goes, and the summary in the end."""

import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path

from pipelines.common.errors import FramesMissingError, InterruptedRunError, StoryreelError
from pipelines.common.formatting import format_decimal
from pipelines.film.probe import Film
from pipelines.ledger.models import Totals
from pipelines.run.progress import Progress
from pipelines.run.worker import Failed, Generated, Reused, TakeOutcome
from pipelines.storyboard.plan import FrameSpec, Plan
from pipelines.storyboard.quote import Quote
from pipelines.takes.inventory import TakeInventory
from pipelines.takes.models import Take

_NAMED_FAILURES = 3
_FOR_PEOPLE = ("more_videos", "new_takes", "remarks")


@dataclass(slots=True)
class RunObserver:
    """What somebody in a run's own process sees of it: how it goes on, and in the end what it came to."""

    progress: Progress = field(default_factory=Progress)
    summary: "RunResult | None" = None


# Set by whoever wants to watch; a flow's own parameters must be plain data.
watch: ContextVar[RunObserver | None] = ContextVar("watch", default=None)


@dataclass(slots=True)
class RunRecord:
    """What a run has got done so far; filled in step by step.

    Attributes:
        quote: of what it set out to buy.
        asked: the takes that were asked for besides what the storyboard asks.
        takes: what there is in the end.
        outcomes: of each take that it set out to buy.
        films: those that were cut.
        report: the page about it.
        remarks: what people should know besides.
        error: why it ended early.
        started: by the monotonic clock, in seconds.
    """

    quote: Quote | None = None
    asked: tuple[FrameSpec, ...] = ()
    takes: TakeInventory | None = None
    outcomes: list[TakeOutcome] = field(default_factory=list)
    films: list[Film] = field(default_factory=list)
    report: Path | None = None
    remarks: list[str] = field(default_factory=list)
    error: BaseException | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def failures(self) -> list[Failed]:
        """The frames that could not be bought."""
        return [outcome for outcome in self.outcomes if isinstance(outcome, Failed)]

    @property
    def state(self) -> str:
        """The run's state, in Prefect's words."""
        if self.error is None:
            return "Completed"
        return "Cancelled" if isinstance(self.error, InterruptedRunError) else "Failed"

    def count(self, kind: type[TakeOutcome]) -> int:
        """Return how many frames came out as `kind`."""
        return sum(isinstance(outcome, kind) for outcome in self.outcomes)


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to. Money and neurons are exact; costs are made up where `simulated` says so.

    Attributes:
        video: the film, the first where there are several; None if this run did not get as far.
        video_seconds: its length.
        ledger: the storyboard's ledger as CSV.
        report: the storyboard's page; None where the run ended before it could be written.
        more_videos: the other outputs' films; for people only.
        new_takes: the takes that were asked for besides what the storyboard asks, as far as they came.
        remarks: what people should know besides.
    """

    storyboard: str
    run_id: str
    state: str
    frames: int
    reused: int
    generated: int
    failed: int
    requests: int
    cost_usd: Decimal
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
        """Return the summary as plain JSON values: amounts as decimal strings, paths as text."""
        names = (field.name for field in fields(self) if field.name not in _FOR_PEOPLE)
        said = {name: _plain_value(getattr(self, name)) for name in names}
        new_takes = [
            {"frame": take.spec.number, "take": take.spec.take, "file": str(take.path)} for take in self.new_takes
        ]
        return {**said, "takes": new_takes} if new_takes else said


def summarize(
    plan: Plan, record: RunRecord, account: Totals, *, run_id: str, simulated: bool, ledger: Path
) -> RunResult:
    """Sum up a run from its plan, its record and its account."""
    reused = record.quote.reuse if record.quote else 0
    return RunResult(
        storyboard=plan.storyboard,
        run_id=run_id,
        state=record.state,
        frames=len(plan.frames),
        reused=reused + record.count(Reused),
        generated=record.count(Generated),
        failed=record.count(Failed),
        requests=account.requests,
        cost_usd=account.cost.usd,
        cost_thb=account.cost.thb,
        neurons=account.cost.neurons,
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
    """Return why the frames are not complete, in one paragraph; None if they are."""
    if stopped_by is not None:
        return stopped_by
    failures = record.failures
    if not failures:
        return None
    named = "; ".join(f"{failure.spec.label}: {failure.reason}" for failure in failures[:_NAMED_FAILURES])
    rest = f"; and {len(failures) - _NAMED_FAILURES} more" if len(failures) > _NAMED_FAILURES else ""
    return FramesMissingError(
        f"{len(failures)} of {_counted(plan, record)} could not be bought: {named}{rest}. "
        "Everything bought is kept; run again to complete"
    )


def _new_takes(record: RunRecord) -> tuple[Take, ...]:
    there = record.takes.bought.takes if record.takes else {}
    return tuple(there[spec.request_key] for spec in record.asked if spec.request_key in there)


def _remarks(record: RunRecord) -> Iterator[str]:
    yield from record.remarks
    for frame in record.takes.frames if record.takes else ():
        if frame.lost_pick:
            instead = f"take {frame.shown.spec.take} stands in for it" if frame.shown else "no other take is there"
            yield (
                f"{frame.frame.label}: take {frame.picked}, which was picked, is gone; {instead}; "
                f"pick another, or put its file back"
            )


def _counted(plan: Plan, record: RunRecord) -> str:
    """Return what the run was about: frames, or takes where they are not one for each."""
    wanted = record.quote.reuse + record.quote.generate if record.quote else len(plan.frames)
    return f"{wanted} frames" if wanted == len(plan.frames) and not record.asked else f"{wanted} takes"


def _plain_value(value: object) -> object:
    match value:
        case Decimal():
            return format_decimal(value)
        case Path():
            return str(value)
        case _:
            return value
