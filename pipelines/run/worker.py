"""One frame from spec to take: past the gate, attempt by attempt, prompt by prompt, as the policy says."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import assert_never

from pipelines.common.errors import BudgetError, StoryreelError
from pipelines.common.formatting import format_decimal
from pipelines.endpoints.retry import (
    GiveUp,
    NextPrompt,
    Resend,
    RetryDecision,
    RetryPolicy,
    RetryQuota,
    RetryState,
    StopRun,
)
from pipelines.ledger.models import (
    Admission,
    AlreadyKept,
    AttemptRequest,
    HeldElsewhere,
    OverBudget,
    Permit,
    Run,
)
from pipelines.run.attempt import AttemptRunner, Kept, Note, Stations
from pipelines.run.progress import Progress
from pipelines.run.scheduling import AdmissionQueue, StopSignal
from pipelines.storyboard.plan import FrameSpec


@dataclass(frozen=True, slots=True)
class Generated:
    """The frame was bought in this run."""

    spec: FrameSpec
    requests: int


@dataclass(frozen=True, slots=True)
class Reused:
    """The frame turned out to be bought already."""

    spec: FrameSpec


@dataclass(frozen=True, slots=True)
class Failed:
    """The frame could not be bought; `reason` says why."""

    spec: FrameSpec
    reason: str


@dataclass(frozen=True, slots=True)
class Postponed:
    """Another run is buying this frame."""

    spec: FrameSpec


@dataclass(frozen=True, slots=True)
class Unsent:
    """The run was stopped before the frame's turn, or before its next try."""

    spec: FrameSpec


TakeOutcome = Generated | Reused | Failed | Postponed | Unsent


@dataclass(frozen=True, slots=True)
class Conduct:
    """How this run goes on and stops, and who is told."""

    stop_signal: StopSignal
    line: AdmissionQueue
    progress: Progress


@dataclass(frozen=True, slots=True)
class RetryBounds:
    """How often to try: the policy for one prompt, and what is left for the whole run."""

    policy: RetryPolicy
    quota: RetryQuota


class TakeGenerator:
    """Buys frames for one run. One per run; every `buy` is a coroutine of the same event loop."""

    def __init__(
        self,
        run: Run,
        stations: Stations,
        conduct: Conduct,
        bounds: RetryBounds,
        *,
        rng: random.Random | None = None,
        pause: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        self._attempts = AttemptRunner(run.model, stations, stop_signal=conduct.stop_signal, progress=conduct.progress)
        self._desk = stations.desk
        self._gate = stations.gate
        self._stop_signal = conduct.stop_signal
        self._line = conduct.line
        self._progress = conduct.progress
        self._bounds = bounds
        self._rng = rng or random.Random()  # noqa: S311 - jitter needs no secrecy
        self._pause = pause or conduct.stop_signal.pause
        self._turn = asyncio.Lock()
        self._settled = asyncio.Event()

    async def buy(self, spec: FrameSpec, *, note: Note) -> TakeOutcome:
        """Buy one frame, trying again and falling back as the policy says; `note` is told what happens in words."""
        try:
            outcome = await self._try_prompts(spec, note)
            if not isinstance(outcome, Generated):
                await self._desk(self._gate.release, spec.request_key)
        except StoryreelError as error:
            # The books or the disk: the next frame would fare no better.
            self._stop_signal.stop(error)
            outcome = Failed(spec, str(error))
        self._count(outcome)
        return outcome

    def _count(self, outcome: TakeOutcome) -> None:
        match outcome:
            case Generated() | Reused():
                self._progress.settle(outcome.spec.scene)
            case Failed():
                self._progress.settle(outcome.spec.scene, failed=True)
            case Postponed() | Unsent():
                pass
            case _:
                assert_never(outcome)

    async def _try_prompts(self, spec: FrameSpec, note: Note) -> TakeOutcome:
        requests = 0
        refusal = ""
        for prompt in (spec.prompt, *spec.fallback_prompts):
            trials = RetryState(self._bounds.policy, self._bounds.quota, self._rng)
            verdict: RetryDecision | Kept | None = None
            # Bounded: every Resend is counted by the trials against one of the policy's bounds.
            while verdict is None or isinstance(verdict, Resend):
                requests += 1
                order = AttemptRequest(spec, prompt, requests)
                admission = await self._admit(order)
                if not isinstance(admission, Permit):
                    return admission
                verdict = await self._attempt(order, admission, trials, note)
                await self._obey(verdict, note)
            match verdict:
                case Kept():
                    return Generated(spec, requests)
                case NextPrompt(reason):
                    refusal = reason
                case GiveUp(reason):
                    return Failed(spec, reason)
                case StopRun(error):
                    self._stop_signal.stop(error)
                    return Failed(spec, str(error))
                case _:
                    assert_never(verdict)
        return Failed(spec, f"{refusal}; reword the prompt or add fallback_prompts")

    async def _obey(self, verdict: RetryDecision | Kept, note: Note) -> None:
        """Wait as the verdict says."""
        match verdict:
            case Resend(delay_s, cool_down=True):
                # The gate sees to it that this one waits too.
                note(f"rate limited: nobody sends for {delay_s:.1f} s")
            case Resend(delay_s):
                note(f"sending again in {delay_s:.1f} s")
                await self._pause(delay_s)
            case NextPrompt(reason):
                note(f"{reason}: trying the next fallback prompt")
            case GiveUp(reason):
                note(f"giving up: {reason}")
            case StopRun(error):
                note(f"stopping the run: {error}")
            case Kept():
                pass
            case _:
                assert_never(verdict)

    async def _admit(self, order: AttemptRequest) -> Permit | TakeOutcome:
        """Wait for this order's turn, its place in the rate limit and its moment; or say why it gets none."""
        async with self._turn:
            admission = await self._ask_gate(order)
            if isinstance(admission, Permit):
                await self._pause(admission.wait_s)
                if self._stop_signal.stopped:
                    await self._desk(self._gate.withdraw, admission)
                    return Unsent(order.spec)
                self._progress.sent(again=order.number > 1, pace=admission.pace)
        await self._line.admitted(order.spec.request_key)
        match admission:
            case Permit():
                return admission
            case AlreadyKept():
                return Reused(order.spec)
            case HeldElsewhere():
                return Postponed(order.spec)
            case OverBudget():
                self._stop_signal.stop(_budget_error(admission))
                return Unsent(order.spec)
            case _:
                assert_never(admission)

    async def _ask_gate(self, order: AttemptRequest) -> Admission:
        while True:
            self._settled.clear()
            in_flight = self._progress.in_flight
            admission = await self._desk(self._gate.admit, order)
            # Each attempt in flight may yet turn out to cost less than was reserved for it.
            if not isinstance(admission, OverBudget) or not in_flight or self._stop_signal.stopped:
                return admission
            await self._settled.wait()

    async def _attempt(
        self, order: AttemptRequest, admitted: Permit, trials: RetryState, note: Note
    ) -> RetryDecision | Kept:
        try:
            return await self._attempts.make(order, admitted, trials, note)
        finally:
            self._progress.answered()
            self._settled.set()


def _budget_error(over: OverBudget) -> BudgetError:
    return BudgetError(
        f"{over.scope.label} of {format_decimal(over.budget_usd)} USD is used up "
        f"({format_decimal(over.committed_usd)} USD spent or reserved); what was bought is kept: "
        f"{over.scope.cure}; then run again to complete"
    )
