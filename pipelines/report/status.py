"""The status of a storyboard's runs: their stage, cost and time left; read from the ledger alone, at any time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal

from pipelines.common.errors import UsageError
from pipelines.common.formatting import counted, format_decimal, format_duration, format_spent
from pipelines.common.settings import Settings
from pipelines.ledger.database import require_ledger
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import GroupMember, RunCounters, RunSnapshot, RunState
from pipelines.report.lanes import lane_costs, lane_rates, lanes_title, machine_name, members_json, sum_up_group

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
        shares: whether its group has other runs.
    """

    snapshot: RunSnapshot
    now: int
    shares: bool = False

    @property
    def _counters(self) -> RunCounters:
        """Its progress; all zero before its first report."""
        return self.snapshot.counters or RunCounters()

    @property
    def running(self) -> bool:
        """Whether it is running, on this machine or another."""
        return self.snapshot.state.running

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
            "lane": run.lane,
            "group_id": run.group_id,
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
        lane = f" in lane {entry.run.lane}" if entry.run.lane else ""
        match entry.state:
            case RunState.RUNNING:
                return f"running since {since} as process {entry.pid}{lane}: {stage}"
            case RunState.RUNNING_ELSEWHERE:
                silent = format_duration(max(self.now - entry.seen_at, 0) / 1_000_000)
                return f"running since {since} on {machine_name(entry.host)}{lane}, heard of {silent} ago: {stage}"
            case RunState.DIED:
                gone = "its process is gone" if entry.here else f"nothing is heard of it on {machine_name(entry.host)}"
                return f"died{lane}: {stage}; {gone}, last seen at {self._clock(entry.seen_at, zone)}"
            case _:
                ended = self._clock(entry.finished_at or self.now, zone)
                return f"{entry.state.phrase}{lane} at {ended}, after {format_duration(self.elapsed_s)}"

    def _running_rows(self, zone: tzinfo | None) -> Iterator[tuple[str, str]]:
        yield "frames", self._frames()
        yield "rate", self._rate()
        yield "spent", self._spent()
        if self._counters.segments:
            yield "film", f"{self._counters.segments_done} of {counted(self._counters.segments, 'segment')}"
        yield "left", self.time_left(zone)

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
        # Those of other runs count as reused.
        reused = "reused or by other runs" if self.shares else "reused"
        kinds = {"generated": counters.generated, reused: counters.reused, "failed": counters.failed}
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
        # The budget is that of all runs of its group together.
        budget_usd = None if self.shares else run.budgets.run_usd
        spent = format_spent(totals.cost.usd, totals.uncertain_usd, budget_usd=budget_usd)
        return f"{spent} for {counted(totals.requests, 'request')}{simulated}"

    def time_left(self, zone: tzinfo | None) -> str:
        """Return how long it takes yet, and when it ends, in words; empty where that is not known."""
        if self.seconds_left is None or self.ends_at is None:
            return ""
        return f"{format_duration(self.seconds_left)}: ends at {self._clock(self.ends_at, zone)}"

    def _clock(self, when: int, zone: tzinfo | None) -> str:
        """Return a time of day, with its date where that is not today."""
        then, today = (datetime.fromtimestamp(us // 1_000_000, UTC).astimezone(zone) for us in (when, self.now))
        return f"{then:%H:%M:%S}" if then.date() == today.date() else f"{then:%H:%M:%S on %Y-%m-%d}"


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """The runs of a group that has several, taken together.

    Attributes:
        members: all of them, ended ones too.
        run: the one that knows most of the frames and of the time left: the conductor, as long as it goes on.
    """

    members: tuple[GroupMember, ...]
    run: RunStatus

    @property
    def done(self) -> int:
        """The number of frames that have a take."""
        counters = self.run.snapshot.counters
        if counters is None or not self.run.snapshot.run.conducts:
            return self.run.done
        # The takes are newer than its last report; the others have joined after it began.
        there_before = counters.frames - counters.to_generate
        return min(there_before + sum(member.kept for member in self.members), counters.frames)

    def as_json(self) -> dict[str, object]:
        """Return the sums, and what each run has done, as plain JSON values."""
        sums, left = sum_up_group(self.members), self.run.as_json()
        of_members = zip(members_json(self.members), self.members, strict=True)
        return {
            **{key: left[key] for key in ("group_id", "frames", "seconds_left", "ends_at", "budget_usd")},
            "done": self.done,
            "generated": sums.kept,
            "requests": sums.requests,
            "requests_per_minute": round(sums.requests_per_minute, 1),
            "rate_limit": sums.rate_limit,
            "spent_usd": format_decimal(sums.cost_usd + sums.uncertain_usd),
            "uncertain_usd": format_decimal(sums.uncertain_usd),
            "lanes": [{**values, **_present_json(member)} for values, member in of_members],
        }

    def lines(self, zone: tzinfo | None = None) -> list[str]:
        """Return the sums as lines of text."""
        entry = self.run.snapshot
        rows = [row for row in self._rows(zone) if row[1]]
        title = f"{entry.run.storyboard}: {len(self.members)} runs together"
        return [title, *(f"  {name:<6}  {value}" for name, value in rows)]

    def _rows(self, zone: tzinfo | None) -> Iterator[tuple[str, str]]:
        sums, entry = sum_up_group(self.members), self.run.snapshot
        yield "frames", f"{self.done} of {entry.counters.frames}" if entry.counters else ""
        rates = lane_rates(self.members)
        yield "rate", f"{sums.rate} requests a minute: {rates}" if rates else ""
        spent = format_spent(sums.cost_usd, sums.uncertain_usd, budget_usd=entry.run.budgets.run_usd)
        simulated = ", simulated" if entry.run.simulated else ""
        yield "spent", f"{spent} for {counted(sums.requests, 'request')}{simulated}"
        yield lanes_title(self.members), lane_costs(self.members)
        yield "left", self.run.time_left(zone)


@dataclass(frozen=True, slots=True)
class StoryboardStatus:
    """The runs of a storyboard that matter now, oldest first; never empty.

    Attributes:
        storyboard: its id.
        runs: each by itself.
        groups: those of their groups that have several runs.
    """

    storyboard: str
    runs: tuple[RunStatus, ...]
    groups: tuple[GroupStatus, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the status as plain JSON values."""
        groups = {"groups": [group.as_json() for group in self.groups]} if self.groups else {}
        return {"storyboard": self.storyboard, "runs": [run.as_json() for run in self.runs], **groups}

    def lines(self, zone: tzinfo | None = None) -> list[str]:
        """Return the status as lines of text, a paragraph for each run, and one for the sums of each group."""
        paragraphs = [run.lines(zone) for run in self.runs] + [group.lines(zone) for group in self.groups]
        return "\n\n".join("\n".join(lines) for lines in paragraphs).split("\n")


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
        members = _members_of_groups(ledger, snapshots)
    if not snapshots:
        raise UsageError(f"{storyboard}: was never rendered here; see `storyreel render`, or choose its --output")
    told = [RunStatus(snapshot, now, shares=snapshot.run.group_id in members) for snapshot in snapshots]
    return StoryboardStatus(storyboard, tuple(told), tuple(_groups_of(told, members)))


def _members_of_groups(ledger: Ledger, snapshots: Sequence[RunSnapshot]) -> dict[str, tuple[GroupMember, ...]]:
    """Return the members of those groups of some runs that have several, by the ids of the groups."""
    # A dictionary for its order.
    groups = dict.fromkeys(snapshot.run.group_id for snapshot in snapshots)
    members = {group_id: tuple(ledger.group_members(group_id)) for group_id in groups}
    return {group_id: of_group for group_id, of_group in members.items() if len(of_group) > 1}


def _groups_of(told: Sequence[RunStatus], members: Mapping[str, tuple[GroupMember, ...]]) -> Iterator[GroupStatus]:
    for group_id, of_group in members.items():
        here = [run for run in told if run.snapshot.run.group_id == group_id]
        yield GroupStatus(of_group, max(here, key=lambda run: (run.running, run.snapshot.run.conducts, run.done)))


def _present_json(member: GroupMember) -> dict[str, object]:
    """Return what a run of a group is at."""
    return {
        "state": member.state.value,
        "conducts": member.conducts,
        "failed": member.failed,
        "requests_per_minute": round(member.requests_per_minute, 1) if member.state.running else None,
        "pace": member.pace,
    }


def _amount(value: Decimal | None) -> str | None:
    return None if value is None else format_decimal(value)


def _iso(microseconds: int | None) -> str | None:
    if microseconds is None:
        return None
    return f"{datetime.fromtimestamp(microseconds // 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"
