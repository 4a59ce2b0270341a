"""The ledger's models: the frozen values that go in and come out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from pipelines.common.budgets import Budgets, BudgetScope
from pipelines.common.geometry import Size
from pipelines.endpoints.amounts import Price
from pipelines.storyboard.plan import TakeSpec


class AttemptStatus(StrEnum):
    """The ways in which an attempt can end."""

    OK = "ok"
    RATE_LIMITED = "rate_limited"
    REJECTED = "rejected"
    REFUSED = "refused"
    FAILED = "failed"
    UNUSABLE = "unusable"
    UNKNOWN = "unknown"


class CostBasis(StrEnum):
    """The ways in which a cost can be known."""

    # By the answer, which states it, or which is of a kind that is never billed.
    STATED = "stated"
    # By a price list, where the endpoint states nothing.
    ESTIMATED = "estimated"
    # By a person, who found it out later.
    SETTLED = "settled"


class RemarkKind(StrEnum):
    """The kinds of remarks about a take."""

    # Made at another size than was asked for.
    SIZE = "size"
    # One flat colour, as safety filters answer.
    FLAT = "flat"
    # The same bytes as another take.
    SAME = "same"
    # It had an orientation in its EXIF data, which is dropped.
    ORIENTATION = "orientation"
    # Another run had generated the same take meanwhile.
    SPARE = "spare"


@dataclass(frozen=True, slots=True)
class Remark:
    """Something unusual about a take; `text` says it in words that follow the take's name: `is one flat colour`."""

    kind: RemarkKind
    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of the pipeline, as the ledger knows it.

    Attributes:
        run_id: tells it from all others.
        storyboard: its id.
        endpoint: as the ledger names it: what its rate limit belongs to.
        model: the model that it asks for, by its short name.
        simulated: whether its costs are made up.
        budgets: the caps that hold for it; that of a run for all runs of its group together.
        lane: the name of the address that it sends from, for which its endpoint has a limit of its own.
        place: the id of the output folder that it makes takes for; None where that is not known.
        group: the run that conducts it; None where it is alone, or conducts others.
        address: where it asks, as people gave it but for its secrets; None where the storyboard says it, and for the
            embedded endpoint.
        dialect: the language that it asks in.
        model_id: the model as people named it, where that is not its short name.
    """

    run_id: str
    storyboard: str
    endpoint: str
    model: str
    simulated: bool
    budgets: Budgets = field(default_factory=Budgets)
    lane: str = ""
    place: str | None = None
    group: str | None = None
    address: str | None = None
    dialect: str | None = None
    model_id: str | None = None

    @property
    def group_id(self) -> str:
        """The id of its group: the run id of its conductor."""
        return self.group or self.run_id

    @property
    def conducts(self) -> bool:
        """Whether it makes the film: alone, or for all runs of its group."""
        return self.group_id == self.run_id


@dataclass(frozen=True, slots=True)
class RunCounters:
    """The progress of a run in numbers.

    Attributes:
        stage: the step that it is at, in words.
        frames, reused: the frames that the run is about, and those that had a take before, or got one of another run.
        to_generate: those that had none when it began.
        generated, failed: how many of these it has generated, and how many could not be.
        segments, segments_done: the films' segments, and those of them that are encoded.
        rate_limit: requests a minute that its endpoint allows.
        quote_usd: the quote for what was to be generated; None before there is one.
        cost_usd: the cost of its answers so far, as far as it is known.
        uncertain_usd: the most that the others may have cost. Both are added up from the attempts, and not stored.
        seconds_left: until its last segment is encoded, by its own estimate; None where it has none.
        megapixels_per_s: the speed of its encoders, see `film.effort`; None where it measured none.
    """

    stage: str = ""
    frames: int = 0
    reused: int = 0
    to_generate: int = 0
    generated: int = 0
    failed: int = 0
    segments: int = 0
    segments_done: int = 0
    rate_limit: int = 0
    quote_usd: Decimal | None = None
    cost_usd: Decimal = Decimal(0)
    uncertain_usd: Decimal = Decimal(0)
    seconds_left: float | None = None
    megapixels_per_s: float | None = None

    @property
    def done(self) -> int:
        """Frames that need no more work."""
        return self.reused + self.generated + self.failed


class RunState(StrEnum):
    """The state of a run; the states of ended runs are the names of Prefect's states too."""

    RUNNING = "running"
    RUNNING_ELSEWHERE = "running_elsewhere"
    # Not running, and never ended in order: its process was killed, or its machine went down.
    DIED = "died"
    # Every frame has its take, and every film that was asked for exists.
    COMPLETED = "Completed"
    INCOMPLETE = "Incomplete"
    OVER_BUDGET = "OverBudget"
    ENDPOINT_UNAVAILABLE = "EndpointUnavailable"
    CANCELLED = "Cancelled"
    FAILED = "Failed"

    @property
    def running(self) -> bool:
        """Whether the run goes on, on this machine or another."""
        return self in (RunState.RUNNING, RunState.RUNNING_ELSEWHERE)

    @property
    def phrase(self) -> str:
        """An ended run's state in a sentence: `stopped by the budget`."""
        return _PHRASES.get(self, self.value.lower())


_PHRASES = {
    RunState.OVER_BUDGET: "stopped by the budget",
    RunState.ENDPOINT_UNAVAILABLE: "stopped by the endpoint",
}


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums of some attempts.

    Attributes:
        requests: the number of attempts, each one HTTP request.
        open: those of them that are not closed yet.
        by_status: the number of attempts that ended in each way; open ones count as unknown.
        cost: the sum of the costs that are known.
        uncertain_usd: the sum of what attempts of unknown cost have reserved.
        estimated_usd: the part of `cost` that is known by a price list only.
    """

    requests: int
    open: int
    by_status: dict[AttemptStatus, int]
    cost: Price
    uncertain_usd: Decimal
    estimated_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class RequestRates:
    """The rates of a run over the last minute.

    Attributes:
        sent: attempts that were sent, a minute.
        kept: takes that were kept, a minute.
        pace: the share of the rate limit that is aimed at, from 0 to 1.
    """

    sent: float
    kept: float
    pace: float


@dataclass(frozen=True, slots=True)
class RunSnapshot:
    """A run at a moment, read from its entry and its attempts; times in microseconds since 1970.

    Attributes:
        run: its entry.
        state: its state now.
        host, pid: the machine and the process that it runs in.
        here: whether that is this machine.
        started_at, seen_at: when it began, and when its last heartbeat came.
        finished_at: None as long as it has not ended in order.
        counters: its progress; None before its first report.
        totals: the sums of its attempts.
        rates: its speed now.
    """

    run: Run
    state: RunState
    host: str
    pid: int
    here: bool
    started_at: int
    seen_at: int
    finished_at: int | None
    counters: RunCounters | None
    totals: Totals
    rates: RequestRates


@dataclass(frozen=True, slots=True)
class AttemptRequest:
    """A request to the gate to admit an attempt.

    Attributes:
        take: the take to be generated.
        prompt: the take's own, or one of its fallbacks.
        number: of the attempts for this take in this run, from 1.
        resend: whether it is sent again after one that may have been billed, which its group's quota bounds.
    """

    take: TakeSpec
    prompt: str
    number: int
    resend: bool = False

    @property
    def reserve_usd(self) -> Decimal:
        """The most that the attempt can cost by the price list."""
        return self.take.most_usd_with(self.prompt)


@dataclass(frozen=True, slots=True)
class Permit:
    """The permission to send an attempt, which is in the ledger now.

    Attributes:
        attempt_id: its number in the ledger.
        send_at: the earliest moment to send it, in microseconds since 1970.
        wait_s: seconds until then, from the moment of its admission.
        pace: the share of the rate limit that is aimed at: below 1 after the endpoint answered that it was too much.
    """

    attempt_id: int
    send_at: int
    wait_s: float
    pace: float = 1.0


@dataclass(frozen=True, slots=True)
class AlreadyKept:
    """The take is there already, perhaps only just: nothing is to be generated."""


@dataclass(frozen=True, slots=True)
class HeldElsewhere:
    """Another run is generating this take, or died over it and has not been recovered yet.

    Attributes:
        run_id: that run.
    """

    run_id: str


@dataclass(frozen=True, slots=True)
class OverBudget:
    """The reservation would pass a budget.

    Attributes:
        scope: the budget: of the run, the storyboard or the day.
        budget_usd: its cap.
        committed_usd: spent or reserved of it so far.
    """

    scope: BudgetScope
    budget_usd: Decimal
    committed_usd: Decimal


@dataclass(frozen=True, slots=True)
class GivenUp:
    """No run of this group is to try the take again; `reason` says why."""

    reason: str


Admission = Permit | AlreadyKept | HeldElsewhere | OverBudget | GivenUp


@dataclass(frozen=True, slots=True)
class TakeClaims:
    """What a run got of the takes that it asked for.

    Attributes:
        claimed: those that it is to generate, in the order in which it asked for them.
        kept: those that are there already.
        held: those that other runs generate, or died over.
        given_up: those that its group has given up, and why.
        resends: how often those of `claimed` that a dead run of its group had may have been billed without a take.
    """

    claimed: tuple[str, ...]
    kept: frozenset[str]
    held: frozenset[str]
    given_up: Mapping[str, str]
    resends: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class GroupStop:
    """Why a group of runs is to stop: the state that its runs end in, and the reason in words."""

    state: RunState
    reason: str
    stopped_by: str


@dataclass(frozen=True, slots=True)
class GroupNews:
    """What the other runs of a group tell this one.

    Attributes:
        stop: why it is to stop; None as long as it is not.
        conductor: the state of the run that makes the film.
        encoder: what the conductor's pieces are encoded with; None where it has not said.
        stage: the step that the conductor is at, in words; empty before its first report.
        seconds_left: until the film is made, by the conductor's last estimate; None where it has none.
        runs: how many runs have been in the group so far.
    """

    stop: GroupStop | None
    conductor: RunState
    encoder: str | None
    stage: str = ""
    seconds_left: float | None = None
    runs: int = 1


@dataclass(frozen=True, slots=True)
class GroupMember:
    """One run of a group at a moment, to be shown beside the others and added up with them.

    Attributes:
        run_id: its id.
        lane: the name of the address that it sends from; empty where it has none.
        host: the machine that it runs on.
        here: whether that is this machine.
        state: its state now.
        conducts: whether it makes the film.
        kept, failed: takes that it has generated, and those that it has given up.
        requests: attempts that it has sent.
        cost_usd: the cost of its answers, as far as it is known.
        uncertain_usd: the most that its attempts of unknown cost may have cost.
        requests_per_minute: attempts that it sent in the last minute, a minute.
        rate_limit: requests a minute that its endpoint allows its lane; 0 before its first report.
        pace: the share of that which is aimed at, from 0 to 1.
    """

    run_id: str
    lane: str
    host: str
    here: bool
    state: RunState
    conducts: bool
    kept: int = 0
    failed: int = 0
    requests: int = 0
    cost_usd: Decimal = Decimal(0)
    uncertain_usd: Decimal = Decimal(0)
    requests_per_minute: float = 0.0
    rate_limit: int = 0
    pace: float = 1.0


@dataclass(frozen=True, slots=True)
class Billed:
    """The bill of a 2xx; a figure that it does not state is None.

    Attributes:
        cost_usd, neurons, tiles, steps: what it states.
        http_status: its status.
        basis: how the cost is known.
    """

    cost_usd: Decimal | None
    neurons: Decimal | None = None
    tiles: int | None = None
    steps: int | None = None
    http_status: int = 200
    basis: CostBasis = CostBasis.STATED


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of an attempt that left no take.

    Attributes:
        status: the way it ended.
        error: the reason, in words.
        http_status: None where no status line came.
        cost_usd: its cost where that is known; 0 for an answer that is never billed. None changes nothing: the bill's
            cost stays, or else the reservation.
    """

    status: AttemptStatus
    error: str
    http_status: int | None = None
    cost_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class NewTake:
    """A take that has just been made safe on disk.

    Attributes:
        file: relative to the storyboard's folder.
        bytes: its size.
        sha256: of its bytes, in hex.
        width, height: in pixels.
        remarks: what is unusual about it.
        place: the id of the output folder; None where it has none.
        body_sha256: of the bytes as they came, before a text was added; None where that is the same.
    """

    file: str
    bytes: int
    sha256: str
    width: int
    height: int
    remarks: tuple[Remark, ...] = ()
    place: str | None = None
    body_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Correction:
    """The settlement of an attempt of unknown cost by hand.

    Attributes:
        cost_usd: None where it cannot be found out.
        corrected_by: the person.
        reason: how the cost was found out, in words.
    """

    cost_usd: Decimal | None
    corrected_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class KeptTake:
    """A take that is safe on disk: `file` is relative to the folder of `storyboard`; sizes are in bytes and pixels.

    `place` is the id of the output folder that it was kept in; None where an older version kept it.
    """

    attempt_id: int
    request_key: str
    storyboard: str
    file: str
    bytes: int
    sha256: str
    prompt: str
    cost_usd: Decimal | None
    width: int
    height: int
    remarks: tuple[Remark, ...] = ()
    place: str | None = None


class TakeLoss(StrEnum):
    """Why a take that the ledger called kept is there no more."""

    GONE = "gone"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class RequestedTake:
    """A take that was requested besides a frame's first.

    Attributes:
        frame_key: the request key of the frame's first take; it identifies the frame.
        number: of the frame's takes, from 1.
        request_key: the one under which it is kept.
        prompt: a re-roll's own; None for the frame's.
        run_id: the run that requested it last.
    """

    frame_key: str
    number: int
    request_key: str
    prompt: str | None
    run_id: str


@dataclass(frozen=True, slots=True)
class AbandonedAttempt:
    """An attempt that an ended run left open.

    Attributes:
        asked: the size that was asked for.
        holds_lease: whether no other run has begun to generate its take since.
    """

    attempt_id: int
    request_key: str
    asked: Size
    holds_lease: bool
