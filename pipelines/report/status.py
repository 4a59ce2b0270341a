"""What the runs of a storyboard are doing, have spent and will take; read from the books alone, at any time."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import assert_never

from pipelines.common.errors import UsageError
from pipelines.common.formatting import format_decimal, format_duration
from pipelines.common.settings import Settings
from pipelines.ledger.database import LedgerDatabase, require_ledger
from pipelines.ledger.models import RunSnapshot, RunState
from pipelines.ledger.run_status import current_runs


@dataclass(frozen=True, slots=True)
class RunStatus:
    """One run as it stands at a moment.

    Attributes:
        entry: what the books say of it.
        now: the moment, in microseconds since 1970.
    """

    entry: RunSnapshot
    now: int

    @property
    def running(self) -> bool:
        """Whether it goes on, here or elsewhere."""
        return self.entry.state in (RunState.RUNNING, RunState.RUNNING_ELSEWHERE)

    @property
    def spent_usd(self) -> Decimal:
        """What it has cost, and at most may have."""
        return self.entry.cost_usd + self.entry.uncertain_usd

    @property
    def elapsed_s(self) -> float:
        """How long it went on: until now, until its end, or until it was last seen."""
        entry = self.entry
        end = self.now if self.running else entry.finished_at or entry.seen_at
        return max(end - entry.started_at, 0) / 1_000_000

    @property
    def done(self) -> int:
        """Frames that are there."""
        return (self.entry.standing.reused or 0) + (self.entry.standing.bought or 0)

    @property
    def seconds_left(self) -> float | None:
        """How long the frames that are left will take at the rate at which takes are kept; None where nobody knows."""
        standing, kept = self.entry.standing, self.entry.flow.kept
        left = (standing.to_buy or 0) - (standing.bought or 0) - (standing.failed or 0)
        return 60 * left / kept if self.running and left > 0 and kept >= 1 else None

    @property
    def ends_at(self) -> int | None:
        """When that will be, in microseconds since 1970."""
        left = self.seconds_left
        return None if left is None else self.now + round(left * 1_000_000)

    def as_json(self) -> dict[str, object]:
        """Return the run as plain JSON values: amounts as decimal strings, times as ISO 8601 in UTC."""
        entry, run = self.entry, self.entry.run
        standing = {name: value for name, value in asdict(entry.standing).items() if name != "quote_usd"}
        return {
            "run_id": run.run_id,
            "state": entry.state.value,
            **standing,
            "endpoint": run.endpoint,
            "simulated": run.simulated,
            "requests": entry.requests,
            "open": entry.open,
            "requests_per_minute": round(entry.flow.sent, 1) if self.running else None,
            "kept_per_minute": round(entry.flow.kept, 1) if self.running else None,
            "pace": entry.flow.pace,
            "quote_usd": _amount(entry.standing.quote_usd),
            "budget_usd": _amount(run.budgets.run_usd),
            "spent_usd": format_decimal(self.spent_usd),
            "uncertain_usd": format_decimal(entry.uncertain_usd),
            "started_at": _iso(entry.started_at),
            "seen_at": _iso(entry.seen_at),
            "finished_at": _iso(entry.finished_at),
            "elapsed_s": round(self.elapsed_s, 3),
            "seconds_left": None if self.seconds_left is None else round(self.seconds_left, 1),
            "ends_at": _iso(self.ends_at),
        }

    def lines(self, zone: tzinfo | None = None) -> list[str]:
        """Return the run as it is said to a person; times in `zone`, by default that of this machine."""
        rows = self._running_rows(zone) if self.running else self._ended_rows()
        return [
            f"{self.entry.run.storyboard}: {self._headline(zone)}",
            *(f"  {name:<6}  {value}" for name, value in rows if value),
        ]

    def _headline(self, zone: tzinfo | None) -> str:
        entry, since = self.entry, self._clock(self.entry.started_at, zone)
        stage = entry.standing.stage or "starting"
        match entry.state:
            case RunState.RUNNING:
                return f"running since {since} as process {entry.pid}: {stage}"
            case RunState.RUNNING_ELSEWHERE:
                silent = format_duration(max(self.now - entry.seen_at, 0) / 1_000_000)
                return f"running since {since} on {_machine(entry)}, heard of {silent} ago: {stage}"
            case RunState.DIED:
                gone = "its process is gone" if entry.here else f"nothing is heard of it on {_machine(entry)}"
                return f"died: {stage}; {gone}, last seen at {self._clock(entry.seen_at, zone)}"
            case RunState.COMPLETED | RunState.FAILED | RunState.CANCELLED:
                ended = self._clock(entry.finished_at or self.now, zone)
                return f"{entry.state.value.lower()} at {ended}, after {format_duration(self.elapsed_s)}"
            case _:
                assert_never(entry.state)

    def _running_rows(self, zone: tzinfo | None) -> Iterator[tuple[str, str]]:
        yield "frames", self._frames()
        yield "rate", self._rate()
        yield "spent", self._spent()
        if self.entry.standing.pieces:
            yield "film", f"{self.entry.standing.pieces_done} of {self.entry.standing.pieces} segments"
        if self.seconds_left is not None and self.ends_at is not None:
            yield "left", f"{format_duration(self.seconds_left)}: ends at {self._clock(self.ends_at, zone)}"

    def _ended_rows(self) -> Iterator[tuple[str, str]]:
        yield "frames", self._frames()
        yield "spent", self._spent()
        if self.entry.open:
            yield "open", f"{_counted(self.entry.open, 'request')} without an answer; the next run sees what came of it"
        if self.entry.state is not RunState.COMPLETED:
            yield "next", "what was bought is kept; run again to complete"

    def _frames(self) -> str:
        standing = self.entry.standing
        if standing.frames is None:
            return ""
        kinds = {"bought": standing.bought, "reused": standing.reused, "failed": standing.failed}
        details = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
        return f"{self.done} of {standing.frames}" + (f": {details}" if details else "")

    def _rate(self) -> str:
        standing, flow = self.entry.standing, self.entry.flow
        if not standing.to_buy or not standing.rate_limit:
            return ""
        in_flight = f", {self.entry.open} in flight" if self.entry.open else ""
        slowed = f", slowed to {flow.pace:.0%} after the endpoint said that it was too much" if flow.pace < 1 else ""
        return f"{flow.sent:.0f} of {standing.rate_limit} requests a minute{in_flight}{slowed}"

    def _spent(self) -> str:
        entry, budget = self.entry, self.entry.run.budgets.run_usd
        of_budget = f" of {format_decimal(budget)}" if budget is not None else ""
        uncertain = f", {format_decimal(entry.uncertain_usd)} of it uncertain" if entry.uncertain_usd else ""
        simulated = ", simulated" if entry.run.simulated else ""
        requests = _counted(entry.requests, "request")
        return f"{format_decimal(self.spent_usd)}{of_budget} USD for {requests}{uncertain}{simulated}"

    def _clock(self, when: int, zone: tzinfo | None) -> str:
        """Return a time of day; with its date where that is not today's."""
        then, today = (datetime.fromtimestamp(us // 1_000_000, UTC).astimezone(zone) for us in (when, self.now))
        return f"{then:%H:%M:%S}" if then.date() == today.date() else f"{then:%H:%M:%S on %Y-%m-%d}"


@dataclass(frozen=True, slots=True)
class StoryboardStatus:
    """The runs of a storyboard that matter now, oldest first; never empty."""

    storyboard: str
    runs: tuple[RunStatus, ...]

    def as_json(self) -> dict[str, object]:
        """Return the status as plain JSON values."""
        return {"storyboard": self.storyboard, "runs": [run.as_json() for run in self.runs]}

    def lines(self, zone: tzinfo | None = None) -> list[str]:
        """Return the status as it is said to a person, a paragraph for each run."""
        paragraphs = ["\n".join(run.lines(zone)) for run in self.runs]
        return "\n\n".join(paragraphs).split("\n")


def status_of(settings: Settings, storyboard: str, *, clock: Callable[[], float] | None = None) -> StoryboardStatus:
    """Say how the runs of a storyboard stand; write nothing, and wait for nobody.

    Args:
        settings: where the books are.
        storyboard: its id.
        clock: in the place of the books' own; see `LedgerDatabase`.

    Raises:
        UsageError: there are no books yet, or they know no run of this storyboard.
    """
    url = require_ledger(settings.effective_database_url, output=settings.output)
    with LedgerDatabase(url, clock=clock, read_only=True) as books:
        entries, now = current_runs(books, storyboard)
    if not entries:
        raise UsageError(f"{storyboard}: was never rendered here; see `storyreel render`, or choose its --output")
    return StoryboardStatus(storyboard, tuple(RunStatus(entry, now) for entry in entries))


def _machine(entry: RunSnapshot) -> str:
    return entry.host.split(" ")[0] or "another machine"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _amount(value: Decimal | None) -> str | None:
    return None if value is None else format_decimal(value)


def _iso(microseconds: int | None) -> str | None:
    if microseconds is None:
        return None
    return f"{datetime.fromtimestamp(microseconds // 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"
