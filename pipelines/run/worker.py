"""One take from its spec to the store: through the gate, attempt by attempt and prompt by prompt."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import assert_never

from pipelines.common.clocks import seconds_awake_and_asleep
from pipelines.common.errors import BudgetError, StoryreelError
from pipelines.common.formatting import format_decimal
from pipelines.endpoints.retry import (
    GiveUp,
    NextPrompt,
    Resend,
    RetryDecision,
    RetryState,
    RunRetries,
    StopRun,
)
from pipelines.ledger.executor import AsyncGate
from pipelines.ledger.models import Admission, AlreadyKept, AttemptRequest, GivenUp, HeldElsewhere, OverBudget, Permit
from pipelines.run.attempt import AttemptRunner, Kept, Log, Recovered
from pipelines.run.outcomes import Failed, Generated, Postponed, Reused, TakeOutcome, Unsent
from pipelines.run.progress import Progress
from pipelines.run.scheduling import AdmissionQueue, StopSignal
from pipelines.storyboard.plan import TakeSpec

# Seconds. An attempt that is sent so much later than it was admitted has slept with its machine, or its process was
# stopped; meanwhile another machine may have taken its take over. Far less than what makes a run count as dead.
_LATE_S = 10


@dataclass(frozen=True, slots=True)
class Timing:
    """The waits of a run.

    Attributes:
        pause: sleeps for seconds.
        clock: seconds that go on while the machine is asleep.
    """

    pause: Callable[[float], Awaitable[None]]
    clock: Callable[[], float] = seconds_awake_and_asleep


class TakeGenerator:
    """Generates the takes of one run. There is one for a run; all its coroutines share one event loop."""

    def __init__(
        self,
        attempts: AttemptRunner,
        gate: AsyncGate,
        retries: RunRetries,
        *,
        queue: AdmissionQueue,
        stop_signal: StopSignal,
        progress: Progress,
        rng: random.Random | None = None,
        timing: Timing | None = None,
    ) -> None:
        """Set up a run's generator.

        Args:
            attempts: runs the attempts that were admitted.
            gate: admits them.
            retries: bounds on re-sends.
            queue: learns when a take's first attempt has passed the gate.
            stop_signal: is given where no further request would help.
            progress: is kept up to date.
            rng: the source of the back-off's jitter.
            timing: how waits are made and measured; by default no longer than until the run is stopped.
        """
        self._attempts = attempts
        self._gate = gate
        self._retries = retries
        self._queue = queue
        self._stop_signal = stop_signal
        self._progress = progress
        self._rng = rng or random.Random()  # noqa: S311 - jitter needs no secrecy
        self._timing = timing or Timing(stop_signal.pause)
        # One attempt at a time waits for its moment: the gate hands these out in order.
        self._turn = asyncio.Lock()
        self._attempt_ended = asyncio.Event()

    async def generate(self, spec: TakeSpec, *, log: Log) -> TakeOutcome:
        """Generate one take, with retries and fallbacks as the policy says; `log` receives what happens, in words."""
        try:
            outcome = await self._try_prompts(spec, log)
            if not isinstance(outcome, Generated):
                # Another run need not wait for this one's end to try the take.
                await self._gate.release([spec.request_key])
        except StoryreelError as error:
            # The ledger or the disk: the next take would fare no better.
            self._stop_signal.stop(error)
            outcome = Failed(spec, str(error))
        self._count(outcome)
        return outcome

    def _count(self, outcome: TakeOutcome) -> None:
        match outcome:
            case Generated():
                self._progress.count(outcome.spec.frame.scene)
            case Reused():
                self._progress.count(outcome.spec.frame.scene, elsewhere=True)
            case Failed():
                self._progress.count(outcome.spec.frame.scene, failed=True)
            case Postponed() | Unsent():
                pass
            case _:
                assert_never(outcome)

    async def _try_prompts(self, spec: TakeSpec, log: Log) -> TakeOutcome:
        requests = 0
        refusal = ""
        prompts = (spec.prompt, *spec.fallback_prompts)
        for number, prompt in enumerate(prompts, start=1):
            # Each prompt has bounds of its own, but for those that the run shares.
            retries = RetryState(
                self._retries,
                spec.frame.number,
                self._rng,
                has_fallback=number < len(prompts),
                resends=self._retries.earlier.get(spec.request_key, 0),
            )
            decision: RetryDecision | Kept | Recovered | None = None
            # Bounded: every Resend is counted by the retry state against one of the policy's bounds.
            while decision is None or isinstance(decision, Resend):
                requests += 1
                counted = isinstance(decision, Resend) and decision.counted
                request = AttemptRequest(spec, prompt, requests, resend=counted)
                admission = await self._admit(request)
                if not isinstance(admission, Permit):
                    return admission
                decision = await self._attempt(request, admission, retries, log)
                await self._apply(decision, log)
            if not isinstance(decision, NextPrompt):
                return await self._conclude(spec, decision, requests)
            refusal = decision.reason
        return await self._give_up(spec, f"{refusal}; reword the prompt or add fallback_prompts")

    async def _conclude(
        self, spec: TakeSpec, decision: Kept | Recovered | GiveUp | StopRun, requests: int
    ) -> TakeOutcome:
        match decision:
            case Kept():
                return Generated(spec, requests)
            case Recovered():
                return Postponed(spec)
            case GiveUp(reason):
                return await self._give_up(spec, reason)
            case StopRun(error):
                self._stop_signal.stop(error)
                return Failed(spec, str(error))
            case _:
                assert_never(decision)

    async def _give_up(self, spec: TakeSpec, reason: str) -> Failed:
        """Give up a take, for all runs of the group."""
        await self._gate.give_up(spec.request_key, reason=reason)
        return Failed(spec, reason)

    async def _apply(self, decision: RetryDecision | Kept | Recovered, log: Log) -> None:
        """Log a decision, and wait where it says so."""
        match decision:
            case Resend(delay_s, cool_down=True, reason=reason):
                # No pause here: the gate delays every request, this one's next attempt as well.
                log(f"{reason}: no run sends for {delay_s:.1f} s")
                self._progress.cool_down(reason, seconds=delay_s)
            case Resend(delay_s, reason=reason):
                log(f"sending again in {delay_s:.1f} s: {reason}")
                await self._timing.pause(delay_s)
            case NextPrompt(reason):
                log(f"{reason}: trying the next fallback prompt")
            case GiveUp(reason):
                log(f"giving up: {reason}")
            case StopRun(error):
                log(f"stopping the run: {error}")
            case Recovered():
                log("another run took this one for dead, and has what came: looking again")
            case Kept():
                pass
            case _:
                assert_never(decision)

    async def _admit(self, request: AttemptRequest) -> Permit | TakeOutcome:
        """Return this attempt's permit, once its moment to be sent has come; or the outcome of a take without one."""
        spec = request.take
        async with self._turn:
            asked_at = self._timing.clock()
            admission = await self._ask_gate(request)
            if isinstance(admission, Permit):
                with self._progress.waiting("for the rate limit", seconds=admission.wait_s):
                    await self._timing.pause(admission.wait_s)
                # In each case nothing was asked, so nothing stays reserved.
                if self._stop_signal.stopped:
                    await self._gate.withdraw(admission)
                    return Unsent(spec, request.number - 1)
                late_s = self._timing.clock() - asked_at - admission.wait_s
                if late_s > _LATE_S and not await self._gate.confirm(admission):
                    await self._gate.withdraw(admission)
                    return Postponed(spec)
                self._progress.sent(again=request.number > 1, pace=admission.pace)
        await self._queue.admitted(spec.request_key)
        return admission if isinstance(admission, Permit) else await self._refused(request, admission)

    async def _refused(
        self, request: AttemptRequest, refusal: AlreadyKept | HeldElsewhere | OverBudget | GivenUp
    ) -> TakeOutcome:
        spec = request.take
        match refusal:
            case AlreadyKept():
                return Reused(spec)
            case HeldElsewhere():
                return Postponed(spec)
            case GivenUp(reason):
                return await self._give_up(spec, reason)
            case OverBudget():
                self._stop_signal.stop(_budget_error(refusal))
                return Unsent(spec, request.number - 1)
            case _:
                assert_never(refusal)

    async def _ask_gate(self, request: AttemptRequest) -> Admission:
        while True:
            # Cleared before the gate is asked: an attempt that ends meanwhile must not be missed.
            self._attempt_ended.clear()
            in_flight = self._progress.in_flight
            admission = await self._gate.admit(request)
            # Each attempt in flight may yet turn out to cost less than was reserved for it.
            if not isinstance(admission, OverBudget) or not in_flight or self._stop_signal.stopped:
                return admission
            with self._progress.waiting("for answers, for which the rest of the budget is reserved"):
                await self._attempt_ended.wait()

    async def _attempt(
        self, request: AttemptRequest, permit: Permit, retries: RetryState, log: Log
    ) -> RetryDecision | Kept | Recovered:
        try:
            return await self._attempts.run(request, permit, retries, log)
        finally:
            self._progress.answered()
            # It may have cost less than was reserved: an attempt that was over budget can ask again.
            self._attempt_ended.set()


def _budget_error(over: OverBudget) -> BudgetError:
    committed = f"{format_decimal(over.committed_usd)} USD spent or reserved"
    return BudgetError(
        f"{over.scope.label} of {format_decimal(over.budget_usd)} USD is used up ({committed}); what was generated is "
        f"kept: {over.scope.cure}; then run again to complete"
    )
