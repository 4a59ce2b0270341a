"""The nouns of the books: what goes in, what comes out."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from pipelines.common.budgets import Budgets, BudgetScope
from pipelines.endpoints.prices import Price
from pipelines.storyboard.plan import FrameSpec


class AttemptStatus(StrEnum):
    """How an attempt ended."""

    OK = "ok"
    RATE_LIMITED = "rate_limited"
    REJECTED = "rejected"
    REFUSED = "refused"
    FAILED = "failed"
    UNUSABLE = "unusable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of the flow, as the books know it."""

    run_id: str
    storyboard: str
    endpoint: str
    model: str
    simulated: bool
    budgets: Budgets = field(default_factory=Budgets)


@dataclass(frozen=True, slots=True)
class RunCounters:
    """How far a run has come, as it says itself; None where it has said nothing yet.

    Attributes:
        stage: what it is doing, in words.
        frames, reused, to_buy: the storyboard's frames, those that were bought before, those to buy.
        bought, failed: of those to buy, how many are done.
        pieces, pieces_done: the films' segments, and how many of them are encoded.
        rate_limit: requests a minute that its endpoint allows.
        quote_usd: what the frames to buy were quoted at.
    """

    stage: str | None = None
    frames: int | None = None
    reused: int | None = None
    to_buy: int | None = None
    bought: int | None = None
    failed: int | None = None
    pieces: int | None = None
    pieces_done: int | None = None
    rate_limit: int | None = None
    quote_usd: Decimal | None = None


class RunState(StrEnum):
    """How a run stands; ended ones in Prefect's words."""

    RUNNING = "running"
    RUNNING_ELSEWHERE = "running_elsewhere"
    DIED = "died"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


@dataclass(frozen=True, slots=True)
class Flow:
    """What goes to the endpoint and what comes back, a minute, of late.

    Attributes:
        sent: attempts that left.
        kept: takes that came of them.
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
        state: how it stands now.
        host, pid: the machine and the process that it runs in.
        here: whether that is this machine.
        started_at, seen_at: when it began, and when it last said that it lives.
        finished_at: None as long as it has not ended in order.
        standing: how far it has come.
        requests: its attempts.
        open: those of them that have had no answer yet.
        cost_usd: what they cost, as far as that is known.
        uncertain_usd: what the others may cost at most.
        flow: how fast it is now.
    """

    run: Run
    state: RunState
    host: str
    pid: int
    here: bool
    started_at: int
    seen_at: int
    finished_at: int | None
    standing: RunCounters
    requests: int
    open: int
    cost_usd: Decimal
    uncertain_usd: Decimal
    flow: Flow


@dataclass(frozen=True, slots=True)
class AttemptRequest:
    """An attempt that wants to be admitted: this prompt for this frame, for the `number`th time, from 1."""

    spec: FrameSpec
    prompt: str
    number: int

    @property
    def reserve_usd(self) -> Decimal:
        """The most that the attempt can cost by the price list."""
        return self.spec.price.usd


@dataclass(frozen=True, slots=True)
class Permit:
    """The attempt stands in the books and may be sent at `send_at`, in microseconds since 1970.

    Attributes:
        pace: the share of the rate limit that is aimed at: below 1 after the endpoint said that it was too much.
    """

    attempt_id: int
    send_at: int
    wait_s: float
    pace: float = 1.0


@dataclass(frozen=True, slots=True)
class AlreadyKept:
    """Another run has just kept this take: nothing to buy."""


@dataclass(frozen=True, slots=True)
class HeldElsewhere:
    """Another run is buying this take, or died over it, and what it left has to be looked at first."""

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
    """What the headers of a 200 said; a figure that they did not give is None."""

    cost_usd: Decimal | None
    neurons: Decimal | None = None
    tiles: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended that left no take.

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
        remark: what is unusual about it, if anything.
    """

    file: str
    bytes: int
    sha256: str
    width: int
    height: int
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class Correction:
    """What a person found out of an attempt that nobody had answered: its cost; None where nobody can find out."""

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
    """A take that was asked for besides a frame's first.

    Attributes:
        frame_key: the request key of the frame's first take, which tells the frame from all others.
        take: its number, from 1.
        prompt: what was asked instead of the frame's own prompt; None for that.
        request_key: under which it is kept.
        run_id: the run that asked for it.
    """

    frame_key: str
    take: int
    request_key: str
    prompt: str | None
    run_id: str


@dataclass(frozen=True, slots=True)
class OpenAttempt:
    """An attempt that a dead process left open.

    Attributes:
        holds_lease: nobody else has begun to buy its take since.
    """

    attempt_id: int
    request_key: str
    holds_lease: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """What some attempts came to.

    Attributes:
        requests: attempts, each one HTTP request.
        by_status: how many ended how; open ones count as unknown.
        cost: the sum of what is known.
        uncertain_usd: reserved by attempts whose cost is not known.
    """

    requests: int
    by_status: dict[AttemptStatus, int]
    cost: Price
    uncertain_usd: Decimal
