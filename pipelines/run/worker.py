"""One frame from spec to take: past the gate, attempt by attempt, prompt by prompt, as the policy says."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import assert_never

from pipelines.common.errors import BudgetError, StoryreelError
from pipelines.common.formatting import plain
from pipelines.endpoints.retry import (
    GiveUp,
    NextPrompt,
    PromptTrials,
    Resend,
    RetryPolicy,
    RetryQuota,
    StopRun,
    Verdict,
)
from pipelines.ledger.models import (
    Admission,
    Admitted,
    AlreadyKept,
    HeldElsewhere,
    Order,
    OverBudget,
    Run,
)
from pipelines.run.attempt import AttemptMaker, Kept, Note, Stations
from pipelines.run.progress import Progress
from pipelines.run.scheduling import Brake, Line
from pipelines.storyboard.plan import FrameSpec


@dataclass(frozen=True, slots=True)
class Rendered:
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


FrameOutcome = Rendered | Reused | Failed | Postponed | Unsent


@dataclass(frozen=True, slots=True)
class Conduct:
    """How this run goes on and stops, and who is told."""

    brake: Brake
    line: Line
    progress: Progress


@dataclass(frozen=True, slots=True)
class Bounds:
    """How often to try: the policy for one prompt, and what is left for the whole run."""

    policy: RetryPolicy
    quota: RetryQuota


class FrameBuyer:
    """Buys frames for one run. One per run; every `buy` is a coroutine of the same event loop."""

    def __init__(
        self,
        run: Run,
        stations: Stations,
        conduct: Conduct,
        bounds: Bounds,
        *,
        rng: random.Random | None = None,
        pause: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        self._attempts = AttemptMaker(run.model, stations, brake=conduct.brake, progress=conduct.progress)
        self._desk = stations.desk
        self._gate = stations.gate
        self._brake = conduct.brake
        self._line = conduct.line
        self._progress = conduct.progress
        self._bounds = bounds
        self._rng = rng or random.Random()  # noqa: S311 - jitter needs no secrecy
        self._pause = pause or conduct.brake.pause
        self._turn = asyncio.Lock()
        self._settled = asyncio.Event()

    async def buy(self, spec: FrameSpec, *, note: Note) -> FrameOutcome:
        """Buy one frame, trying again and falling back as the policy says; `note` is told what happens in words."""
        try:
            outcome = await self._try_prompts(spec, note)
            if not isinstance(outcome, Rendered):
                await self._desk(self._gate.release, spec.request_key)
        except StoryreelError as error:
            # The books or the disk: the next frame would fare no better.
            self._brake.pull(error)
            outcome = Failed(spec, str(error))
        self._count(outcome)
        return outcome

    def _count(self, outcome: FrameOutcome) -> None:
        match outcome:
            case Rendered() | Reused():
                self._progress.settle(outcome.spec.scene)
            case Failed():
                self._progress.settle(outcome.spec.scene, failed=True)
            case Postponed() | Unsent():
                pass
            case _:
                assert_never(outcome)

    async def _try_prompts(self, spec: FrameSpec, note: Note) -> FrameOutcome:
        requests = 0
        refusal = ""
        for prompt in (spec.prompt, *spec.fallback_prompts):
            trials = PromptTrials(self._bounds.policy, self._bounds.quota, self._rng)
            verdict: Verdict | Kept | None = None
            # Bounded: every Resend is counted by the trials against one of the policy's bounds.
            while verdict is None or isinstance(verdict, Resend):
                requests += 1
                order = Order(spec, prompt, requests)
                admission = await self._admit(order)
                if not isinstance(admission, Admitted):
                    return admission
                verdict = await self._attempt(order, admission, trials, note)
                await self._obey(verdict, note)
            match verdict:
                case Kept():
                    return Rendered(spec, requests)
                case NextPrompt(reason):
                    refusal = reason
                case GiveUp(reason):
                    return Failed(spec, reason)
                case StopRun(error):
                    self._brake.pull(error)
                    return Failed(spec, str(error))
                case _:
                    assert_never(verdict)
        return Failed(spec, f"{refusal}; reword the prompt or add fallback_prompts")

    async def _obey(self, verdict: Verdict | Kept, note: Note) -> None:
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

    async def _admit(self, order: Order) -> Admitted | FrameOutcome:
        """Wait for this order's turn, its place in the rate limit and its moment; or say why it gets none."""
        async with self._turn:
            admission = await self._ask_gate(order)
            if isinstance(admission, Admitted):
                await self._pause(admission.wait_s)
                if self._brake.pulled:
                    await self._desk(self._gate.withdraw, admission)
                    return Unsent(order.spec)
                self._progress.sent(again=order.number > 1, pace=admission.pace)
        await self._line.admitted(order.spec.request_key)
        match admission:
            case Admitted():
                return admission
            case AlreadyKept():
                return Reused(order.spec)
            case HeldElsewhere():
                return Postponed(order.spec)
            case OverBudget():
                self._brake.pull(_budget_error(admission))
                return Unsent(order.spec)
            case _:
                assert_never(admission)

    async def _ask_gate(self, order: Order) -> Admission:
        while True:
            self._settled.clear()
            in_flight = self._progress.in_flight
            admission = await self._desk(self._gate.admit, order)
            # Each attempt in flight may yet turn out to cost less than was reserved for it.
            if not isinstance(admission, OverBudget) or not in_flight or self._brake.pulled:
                return admission
            await self._settled.wait()

    async def _attempt(self, order: Order, admitted: Admitted, trials: PromptTrials, note: Note) -> Verdict | Kept:
        try:
            return await self._attempts.make(order, admitted, trials, note)
        finally:
            self._progress.answered()
            self._settled.set()


def _budget_error(over: OverBudget) -> BudgetError:
    return BudgetError(
        f"{over.scope.label} of {plain(over.budget_usd)} USD is used up ({plain(over.committed_usd)} USD spent or "
        f"reserved); what was bought is kept: {over.scope.cure}; then run again to complete"
    )
