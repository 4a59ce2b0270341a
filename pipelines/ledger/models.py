"""The ledger's models: what goes in, what comes out."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from pipelines.common.budgets import Budgets, BudgetScope
from pipelines.endpoints.prices import Price
from pipelines.storyboard.plan import TakeSpec


class AttemptStatus(StrEnum):
    """The ways in which an attempt ends."""

    OK = "ok"
    RATE_LIMITED = "rate_limited"
    REJECTED = "rejected"
    REFUSED = "refused"
    FAILED = "failed"
    UNUSABLE = "unusable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of the pipeline, as the ledger knows it."""

    run_id: str
    storyboard: str
    endpoint: str
    model: str
    simulated: bool
    budgets: Budgets = field(default_factory=Budgets)


@dataclass(frozen=True, slots=True)
class RunCounters:
    """How far a run has come.

    Attributes:
        stage: the step that it is at, in words.
        frames, reused, to_generate: what the run is about, the part that was there before, and the rest.
        generated, failed: how much of the rest is done.
        segments, segments_done: the films' segments, and those of them that are encoded.
        rate_limit: requests a minute that its endpoint allows.
        quote_usd: the quote for what was to be generated; None before there is one.
        cost_usd: what its answers have cost so far; not written down with the others, for the attempts tell it.
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

    @property
    def done(self) -> int:
        """Frames that need no more work."""
        return self.reused + self.generated + self.failed


class RunState(StrEnum):
    """The state of a run; those of ended runs are the names of Prefect's states, too."""

    RUNNING = "running"
    RUNNING_ELSEWHERE = "running_elsewhere"
    DIED = "died"
    # Every frame has its take, and every film that was asked for exists.
    COMPLETED = "Completed"
    INCOMPLETE = "Incomplete"
    OVER_BUDGET = "OverBudget"
    ENDPOINT_UNAVAILABLE = "EndpointUnavailable"
    CANCELLED = "Cancelled"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class RequestRates:
    """Requests and takes a minute, in the last minute.

    Attributes:
        sent: attempts that were sent.
        kept: takes that were kept.
        pace: the share of the rate limit that is aimed at, from 0 to 1.
    """

    sent: float
    kept: float
    pace: float


@dataclass(frozen=True, slots=True)
class RunSnapshot:
    """A run as its entry and its attempts tell it; times in microseconds since 1970.

    Attributes:
        run: what was entered when it began.
        state: its state now.
        host, pid: the machine and the process that it runs in.
        here: whether that is this machine.
        started_at, seen_at: when it began, and when its last heartbeat came.
        finished_at: None as long as it has not ended in order.
        counters: how far it has come; None before its first report.
        totals: what its attempts came to.
        rates: how fast it is now.
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
    totals: "Totals"
    rates: RequestRates


@dataclass(frozen=True, slots=True)
class AttemptRequest:
    """An attempt that asks to be admitted.

    Attributes:
        take: what is to be generated.
        prompt: the take's own, or one of its fallbacks.
        number: of the attempts for this take in this run, from 1.
    """

    take: TakeSpec
    prompt: str
    number: int

    @property
    def reserve_usd(self) -> Decimal:
        """The most that the attempt can cost by the price list."""
        return self.take.price.usd


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to send: the attempt stands in the ledger and may be sent at `send_at`.

    Attributes:
        send_at: in microseconds since 1970.
        wait_s: seconds from now until then.
        pace: the share of the rate limit that is aimed at: below 1 after the endpoint said that it was too much.
    """

    attempt_id: int
    send_at: int
    wait_s: float
    pace: float = 1.0


@dataclass(frozen=True, slots=True)
class AlreadyKept:
    """Another run has just kept this take: nothing is to be generated."""


@dataclass(frozen=True, slots=True)
class HeldElsewhere:
    """Another run is generating this take, or died over it, and what it left has to be looked at first."""

    run_id: str


@dataclass(frozen=True, slots=True)
class OverBudget:
    """The reservation would pass a budget."""

    scope: BudgetScope
    budget_usd: Decimal
    committed_usd: Decimal


Admission = Permit | AlreadyKept | HeldElsewhere | OverBudget


@dataclass(frozen=True, slots=True)
class Billed:
    """The bill in the headers of a 200; a figure that they did not give is None."""

    cost_usd: Decimal | None
    neurons: Decimal | None = None
    tiles: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of an attempt that left no take.

    Attributes:
        status: which way.
        error: in words.
        http_status: None where no status line came.
        cost_usd: what it cost, where that is known: 0 for an answer that is never billed. None leaves what the bill
            said, or else the reservation, standing.
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
        remark: anything unusual about it, in words.
    """

    file: str
    bytes: int
    sha256: str
    width: int
    height: int
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class Correction:
    """The cost of an attempt of unknown outcome, as a person found it out; None where it cannot be found out."""

    cost_usd: Decimal | None
    corrected_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class KeptTake:
    """A take that is safe on disk: `file` is relative to the folder of `storyboard`."""

    attempt_id: int
    request_key: str
    storyboard: str
    file: str
    bytes: int
    sha256: str
    prompt: str
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class RequestedTake:
    """A take that was requested besides a frame's first.

    Attributes:
        frame_key: the request key of the frame's first take, which tells the frame from all others.
        number: of the frame's takes, from 1.
        prompt: what was asked instead of the frame's own prompt; None for that.
        request_key: under which it is kept.
        run_id: the run that asked for it.
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
        holds_lease: no other run has begun to generate its take since.
    """

    attempt_id: int
    request_key: str
    holds_lease: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums of some attempts.

    Attributes:
        requests: attempts, each one HTTP request.
        open: those of them that have had no answer yet.
        by_status: how many ended in which way; open ones count as unknown.
        cost: the sum of what is known.
        uncertain_usd: reserved by attempts whose cost is not known.
    """

    requests: int
    open: int
    by_status: dict[AttemptStatus, int]
    cost: Price
    uncertain_usd: Decimal
