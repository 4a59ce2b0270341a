"""One frame from spec to settled take: gate -> client -> check -> store -> settle, with retry. Plain asyncio."""

import asyncio
import functools
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import assert_never

from pipelines.aspect import Fit, Size
from pipelines.conduct import Brake, Line
from pipelines.errors import BudgetError, StorageError, StoryreelError, WrongEndpointError
from pipelines.files import hash_file
from pipelines.flux.client import Answer, BrokenBody, FluxClient, ImageBody, NoAnswerError, Refused
from pipelines.flux.picture import UnusablePictureError, inspect_picture
from pipelines.flux.retry import GiveUp, NextPrompt, PromptTrials, Resend, RetryPolicy, RetryQuota, StopRun, Verdict
from pipelines.flux.wire import Bill, ImageRequest, Refusal
from pipelines.frames import FrameStore
from pipelines.ledger.desk import BooksDesk
from pipelines.ledger.gate import Gate
from pipelines.ledger.records import (
    Admission,
    Admitted,
    AlreadyKept,
    AttemptStatus,
    Billed,
    Ending,
    HeldElsewhere,
    NewTake,
    Order,
    OverBudget,
    Run,
)
from pipelines.ledger.settlement import close_attempt, keep_take, settle_bill
from pipelines.plan import FrameSpec
from pipelines.pricing import plain
from pipelines.progress import Progress

Note = Callable[[str], None]


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
class Stations:
    """What an attempt passes on its way: the gate, the API, the store, and the books all along."""

    desk: BooksDesk
    gate: Gate
    client: FluxClient
    store: FrameStore


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
        self._run = run
        self._desk = stations.desk
        self._gate = stations.gate
        self._client = stations.client
        self._store = stations.store
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
                self._progress.bought += 1
            case Failed():
                self._progress.failed += 1
            case Postponed() | Unsent():
                pass
            case _:
                assert_never(outcome)

    async def _try_prompts(self, spec: FrameSpec, note: Note) -> FrameOutcome:
        requests = 0
        refusal = ""
        for prompt in (spec.prompt, *spec.fallback_prompts):
            trials = PromptTrials(self._bounds.policy, self._bounds.quota, self._rng)
            verdict: Verdict | Rendered | None = None
            # Bounded: every Resend is counted by the trials against one of the policy's bounds.
            while verdict is None or isinstance(verdict, Resend):
                requests += 1
                admission = await self._admit(Order(spec, prompt, requests))
                if not isinstance(admission, Admitted):
                    return admission
                verdict = await self._attempt(Order(spec, prompt, requests), admission, trials, note)
                await self._obey(verdict, note)
            match verdict:
                case Rendered():
                    return verdict
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

    async def _obey(self, verdict: Verdict | Rendered, note: Note) -> None:
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
            case Rendered():
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
        await self._line.admitted(order.spec.number)
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

    async def _attempt(self, order: Order, admitted: Admitted, trials: PromptTrials, note: Note) -> Verdict | Rendered:
        spec, attempt_id = order.spec, admitted.attempt_id
        part = self._store.part_path(attempt_id)
        request = ImageRequest(order.prompt, spec.steps, spec.aspect)
        try:
            answer = await self._send(request, part, attempt_id)
            match answer:
                case Refused():
                    await self._close(attempt_id, _refused_ending(answer))
                    verdict = trials.refused(answer)
                    await self._slow_down(answer, admitted, verdict)
                    return verdict
                case BrokenBody(_, reason):
                    return await self._unusable(attempt_id, part, reason, trials)
                case ImageBody(bill):
                    return await self._keep(order, attempt_id, part, bill, trials, note)
                case _:
                    assert_never(answer)
        except NoAnswerError as error:
            await self._close(attempt_id, _unanswered_ending(error))
            return trials.no_answer(error)
        finally:
            self._progress.answered()
            self._settled.set()

    async def _slow_down(self, answer: Refused, admitted: Admitted, verdict: Verdict) -> None:
        """Lower everyone's pace where the endpoint says that it is too much."""
        if answer.refusal in (Refusal.RATE_LIMITED, Refusal.CAPACITY):
            cool_down_s = verdict.delay_s if isinstance(verdict, Resend) and verdict.cool_down else 0
            await self._desk(self._gate.slow_down, sent_at=admitted.send_at, cool_down_s=cool_down_s)

    async def _send(self, request: ImageRequest, part: Path, attempt_id: int) -> Answer:
        try:
            return await self._client.attempt(
                request, part=part, on_billed=functools.partial(self._settle_bill, attempt_id)
            )
        except StorageError as error:
            # Only here: once the body has arrived whole, the next run keeps what this one could not.
            await asyncio.to_thread(part.unlink, missing_ok=True)
            await self._close(attempt_id, Ending(AttemptStatus.UNUSABLE, f"paid for and lost: {error}"))
            raise

    async def _settle_bill(self, attempt_id: int, bill: Bill) -> None:
        billed = Billed(bill.cost_usd, bill.neurons, bill.tiles)
        try:
            await self._desk.insist(settle_bill, self._desk.books, attempt_id, billed)
        except StorageError as error:
            # The image is paid for: it is still taken in, and the next run enters it in the books.
            self._brake.pull(error)
        self._progress.cost_usd += bill.cost_usd or 0

    async def _keep(
        self, order: Order, attempt_id: int, part: Path, bill: Bill, trials: PromptTrials, note: Note
    ) -> Verdict | Rendered:
        if bill.model not in (None, self._run.model):
            await self._unusable(attempt_id, part, f"made by model {bill.model}", trials)
            return StopRun(_wrong_model(asked=self._run.model, answered=str(bill.model)))
        try:
            required = order.spec.aspect.size if order.spec.fit is Fit.ERROR else None
            take = await asyncio.to_thread(
                store_take, self._store, attempt_id, order.spec.request_key, required=required
            )
        except UnusablePictureError as exc:
            return await self._unusable(attempt_id, part, str(exc), trials)
        await self._desk.insist(keep_take, self._desk.books, attempt_id, take)
        if take.remark:
            note(take.remark)
        if (answered := Size(take.width, take.height)) != order.spec.aspect.size:
            note(f"answered with {answered} pixels instead of {order.spec.aspect.size}; fitted: {order.spec.fit}")
        return Rendered(order.spec, order.number)

    async def _unusable(self, attempt_id: int, part: Path, reason: str, trials: PromptTrials) -> Verdict:
        """Keep a paid body that is no usable image aside, and decide."""
        aside = await asyncio.to_thread(self._store.set_aside, part, attempt_id)
        kept = f"; kept as {aside.relative_to(self._store.folder)}" if aside else ""
        ending = Ending(AttemptStatus.UNUSABLE, f"{reason}{kept}", http_status=200)
        await self._close(attempt_id, ending)
        return trials.unusable(reason)

    async def _close(self, attempt_id: int, ending: Ending) -> None:
        await self._desk.insist(close_attempt, self._desk.books, attempt_id, ending)


def store_take(store: FrameStore, attempt_id: int, request_key: str, *, required: Size | None = None) -> NewTake:
    """Check the body of an attempt, as it arrived, and make it the take of its request.

    Args:
        store: the storyboard's takes.
        attempt_id: whose body.
        request_key: what was asked.
        required: the only size that will do; None where any can be fitted.

    Raises:
        UnusablePictureError: it is no usable image; it stays where it is.
        StorageError: it could not be made durable.
    """
    part = store.part_path(attempt_id)
    picture = inspect_picture(part)
    if required not in (None, picture.size):
        raise UnusablePictureError(f"{picture.size} pixels where {required} were asked for, and fit is error")
    sha256, size = hash_file(part), part.stat().st_size
    path, spare = store.keep(attempt_id, request_key=request_key, suffix=f".{picture.format}")
    file = path.relative_to(store.folder).as_posix()
    remark = "its take had been bought meanwhile: kept as a spare" if spare else None
    return NewTake(file, size, sha256, picture.size.width, picture.size.height, remark)


_STATUS_OF = {
    Refusal.RATE_LIMITED: AttemptStatus.RATE_LIMITED,
    Refusal.CREDENTIALS: AttemptStatus.REFUSED,
}


def _refused_ending(answer: Refused) -> Ending:
    by_http = AttemptStatus.FAILED if answer.http_status >= 500 else AttemptStatus.REJECTED
    status = _STATUS_OF.get(answer.refusal, by_http)
    # The API bills images only. A 5xx in other words than its own comes from something before it: who knows.
    not_billed = None if answer.http_status >= 500 and not answer.by_api else Decimal(0)
    cost_usd = not_billed if answer.bill.cost_usd is None else answer.bill.cost_usd
    return Ending(status, answer.message, http_status=answer.http_status, cost_usd=cost_usd)


def _unanswered_ending(error: NoAnswerError) -> Ending:
    if error.sent:
        return Ending(AttemptStatus.UNKNOWN, str(error))
    return Ending(AttemptStatus.FAILED, f"never sent: {error}", cost_usd=Decimal(0))


def _budget_error(over: OverBudget) -> BudgetError:
    return BudgetError(
        f"{over.scope.label} of {plain(over.budget_usd)} USD is used up ({plain(over.committed_usd)} USD spent or "
        f"reserved); what was bought is kept: {over.scope.cure}; then run again to complete"
    )


def _wrong_model(*, asked: str, answered: str) -> WrongEndpointError:
    cure = "--model sketch" if answered == "sketch" else f"--model {answered}"
    return WrongEndpointError(
        f"the endpoint answers with model {answered!r} where {asked!r} was asked for; run with {cure}, "
        "or check --endpoint"
    )
