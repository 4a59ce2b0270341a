"""The status of a storyboard's runs: their stage, cost and time left; read from the ledger alone, at any time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal

from pipelines.common.errors import UsageError
from pipelines.common.formatting import counted, format_decimal, format_duration, format_spent
from pipelines.common.settings import Settings
from pipelines.ledger.database import require_ledger
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import RunCounters, RunSnapshot, RunState

# The keys of a run's counters in JSON. Some keep an older name: programs read them.
_COUNTER_KEYS = {
    "stage": "stage",
    "frames": "frames",
    "reused": "reused",
    "to_generate": "to_buy",
    "generated": "bought",
    "failed": "failed",
    "segments": "pieces",
    "segments_done": "pieces_done",
    "rate_limit": "rate_limit",
}


@dataclass(frozen=True, slots=True)
class RunStatus:
    """One run at a moment.

    Attributes:
        snapshot: its entry and its attempts, as read from the ledger.
        now: the moment, in microseconds since 1970.
    """

    snapshot: RunSnapshot
    now: int

    @property
    def _counters(self) -> RunCounters:
        """Its progress; all zero before its first report."""
        return self.snapshot.counters or RunCounters()

    @property
    def running(self) -> bool:
        """Whether it is running, on this machine or another."""
        return self.snapshot.state in (RunState.RUNNING, RunState.RUNNING_ELSEWHERE)

    @property
    def spent_usd(self) -> Decimal:
        """Its cost, including the most that attempts of unknown cost may have cost."""
        return self.snapshot.totals.cost.usd + self.snapshot.totals.uncertain_usd

    @property
    def elapsed_s(self) -> float:
        """Seconds from its start until now, until its end, or, if it died, until its last heartbeat."""
        entry = self.snapshot
        end = self.now if self.running else entry.finished_at or entry.seen_at
        return max(end - entry.started_at, 0) / 1_000_000

    @property
    def done(self) -> int:
        """The number of frames that have a take."""
        return self._counters.reused + self._counters.generated

    @property
    def seconds_left(self) -> float | None:
        """Seconds until its last segment is encoded, by its own estimate; None where it has none."""
        reported_s = self._counters.seconds_left
        if reported_s is None or not self.running:
            return None
        # Time goes on between two reports; a run that is late is not done.
        return max(reported_s - (self.now - self.snapshot.seen_at) / 1_000_000, 1.0)

    @property
    def ends_at(self) -> int | None:
        """The time at which `seconds_left` will be over, in microseconds since 1970."""
        left = self.seconds_left
        return None if left is None else self.now + round(left * 1_000_000)

    def as_json(self) -> dict[str, object]:
        """Return the run as plain JSON values: amounts as decimal strings, times as ISO 8601 in UTC."""
        entry, run, totals = self.snapshot, self.snapshot.run, self.snapshot.totals
        reported = entry.counters
        # Null, not zero, before the first report: nothing is known yet.
        counters = {key: getattr(reported, name) if reported else None for name, key in _COUNTER_KEYS.items()}
        return {
            "run_id": run.run_id,
            "state": entry.state.value,
            **counters,
            "endpoint": run.endpoint,
            "simulated": run.simulated,
            "requests": totals.requests,
            "open": totals.open,
            "requests_per_minute": round(entry.rates.sent, 1) if self.running else None,
            "kept_per_minute": round(entry.rates.kept, 1) if self.running else None,
            "pace": entry.rates.pace,
            "quote_usd": _amount(self._counters.quote_usd),
            "budget_usd": _amount(run.budgets.run_usd),
            "spent_usd": format_decimal(self.spent_usd),
            "uncertain_usd": format_decimal(totals.uncertain_usd),
            "started_at": _iso(entry.started_at),
            "seen_at": _iso(entry.seen_at),
            "finished_at": _iso(entry.finished_at),
            "elapsed_s": round(self.elapsed_s, 3),
            "seconds_left": None if self.seconds_left is None else round(self.seconds_left, 1),
            "ends_at": _iso(self.ends_at),
        }

    def lines(self, zone: tzinfo | None = None) -> list[str]:
        """Return the run as lines of text; times in `zone`, by default the time zone of this machine."""
        rows = self._running_rows(zone) if self.running else self._ended_rows()
        return [
            f"{self.snapshot.run.storyboard}: {self._headline(zone)}",
            *(f"  {name:<6}  {value}" for name, value in rows if value),
        ]

    def _headline(self, zone: tzinfo | None) -> str:
        entry, since = self.snapshot, self._clock(self.snapshot.started_at, zone)
        stage = self._counters.stage or "starting"
        match entry.state:
            case RunState.RUNNING:
                return f"running since {since} as process {entry.pid}: {stage}"
            case RunState.RUNNING_ELSEWHERE:
                silent = format_duration(max(self.now - entry.seen_at, 0) / 1_000_000)
                return f"running since {since} on {_machine(entry)}, heard of {silent} ago: {stage}"
            case RunState.DIED:
                gone = "its process is gone" if entry.here else f"nothing is heard of it on {_machine(entry)}"
                return f"died: {stage}; {gone}, last seen at {self._clock(entry.seen_at, zone)}"
            case _:
                ended = self._clock(entry.finished_at or self.now, zone)
                return f"{entry.state.phrase} at {ended}, after {format_duration(self.elapsed_s)}"

    def _running_rows(self, zone: tzinfo | None) -> Iterator[tuple[str, str]]:
        yield "frames", self._frames()
        yield "rate", self._rate()
        yield "spent", self._spent()
        if self._counters.segments:
            yield "film", f"{self._counters.segments_done} of {counted(self._counters.segments, 'segment')}"
        if self.seconds_left is not None and self.ends_at is not None:
            yield "left", f"{format_duration(self.seconds_left)}: ends at {self._clock(self.ends_at, zone)}"

    def _ended_rows(self) -> Iterator[tuple[str, str]]:
        yield "frames", self._frames()
        yield "spent", self._spent()
        if still_open := self.snapshot.totals.open:
            yield "open", f"{counted(still_open, 'request')} without an answer; the next run sees what came of it"
        if self.snapshot.state is not RunState.COMPLETED:
            yield "next", "what was generated is kept; run again to complete"

    def _frames(self) -> str:
        counters = self.snapshot.counters
        if counters is None:
            return ""
        kinds = {"generated": counters.generated, "reused": counters.reused, "failed": counters.failed}
        details = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
        return f"{self.done} of {counters.frames}" + (f": {details}" if details else "")

    def _rate(self) -> str:
        counters, rates, still_open = self._counters, self.snapshot.rates, self.snapshot.totals.open
        if not counters.to_generate or not counters.rate_limit:
            return ""
        in_flight = f", {still_open} in flight" if still_open else ""
        slowed = f", slowed to {rates.pace:.0%} after the endpoint said that it was too much" if rates.pace < 1 else ""
        return f"{rates.sent:.0f} of {counters.rate_limit} requests a minute{in_flight}{slowed}"

    def _spent(self) -> str:
        run, totals = self.snapshot.run, self.snapshot.totals
        simulated = ", simulated" if run.simulated else ""
        spent = format_spent(totals.cost.usd, totals.uncertain_usd, budget_usd=run.budgets.run_usd)
        return f"{spent} for {counted(totals.requests, 'request')}{simulated}"

    def _clock(self, when: int, zone: tzinfo | None) -> str:
        """Return a time of day, with its date where that is not today."""
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
        """Return the status as lines of text, a paragraph for each run."""
        paragraphs = ["\n".join(run.lines(zone)) for run in self.runs]
        return "\n\n".join(paragraphs).split("\n")


def status_of(settings: Settings, storyboard: str, *, clock: Callable[[], float] | None = None) -> StoryboardStatus:
    """Return the status of a storyboard's runs; see `Ledger.open_to_read`.

    Args:
        settings: where the ledger is.
        storyboard: its id.
        clock: in place of the ledger's own; see `LedgerDatabase`.

    Raises:
        UsageError: there is no ledger yet, or it knows no run of this storyboard.
    """
    url = require_ledger(settings.effective_database_url, output=settings.output)
    with Ledger.open_to_read(url, clock=clock) as ledger:
        snapshots, now = ledger.current_runs(storyboard)
    if not snapshots:
        raise UsageError(f"{storyboard}: was never rendered here; see `storyreel render`, or choose its --output")
    return StoryboardStatus(storyboard, tuple(RunStatus(snapshot, now) for snapshot in snapshots))


def _machine(entry: RunSnapshot) -> str:
    # The host's name; what follows tells boots and containers apart, see `this_host`.
    return entry.host.split(" ")[0] or "another machine"


def _amount(value: Decimal | None) -> str | None:
    return None if value is None else format_decimal(value)


def _iso(microseconds: int | None) -> str | None:
    if microseconds is None:
        return None
    return f"{datetime.fromtimestamp(microseconds // 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"
