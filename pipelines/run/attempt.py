"""One attempt from its first byte to its end in the books: send -> settle the bill -> check -> keep. Plain asyncio."""

import asyncio
import functools
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import assert_never

from pipelines.common.errors import StorageError, WrongEndpointError
from pipelines.common.geometry import Fit, Size
from pipelines.endpoints.answers import Answer, Bill, BrokenBody, ImageBody, NoAnswerError, Refusal, Refused
from pipelines.endpoints.client import FluxClient
from pipelines.endpoints.dialects.flux import ImageRequest
from pipelines.endpoints.image_check import UnusablePictureError
from pipelines.endpoints.retry import Resend, RetryDecision, RetryState, StopRun
from pipelines.ledger.executor import LedgerExecutor
from pipelines.ledger.gate import Gate
from pipelines.ledger.models import AttemptRequest, AttemptStatus, Billed, Outcome, Permit
from pipelines.ledger.settlement import close_attempt, keep_take, settle_bill
from pipelines.run.progress import Progress
from pipelines.run.scheduling import StopSignal
from pipelines.takes.store import TakeStore, store_take

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stations:
    """What an attempt passes on its way: the gate, the API, the store, and the books all along."""

    desk: LedgerExecutor
    gate: Gate
    client: FluxClient
    store: TakeStore


@dataclass(frozen=True, slots=True)
class Kept:
    """The image is safe among the takes, and the books say so."""


class AttemptRunner:
    """Makes the attempts of one run that have passed the gate, each to its end."""

    def __init__(self, model: str, stations: Stations, *, stop_signal: StopSignal, progress: Progress) -> None:
        self._model = model
        self._desk = stations.desk
        self._gate = stations.gate
        self._client = stations.client
        self._store = stations.store
        self._stop_signal = stop_signal
        self._progress = progress

    async def make(
        self, order: AttemptRequest, admitted: Permit, trials: RetryState, note: Note
    ) -> RetryDecision | Kept:
        """Send what was ordered, and see it through; return what comes next if no take came of it.

        Raises:
            StorageError: the books or the disk.
        """
        attempt_id = admitted.attempt_id
        part = self._store.part_path(attempt_id)
        request = ImageRequest(order.prompt, order.spec.steps, order.spec.aspect)
        try:
            answer = await self._send(request, part, attempt_id)
        except NoAnswerError as error:
            await self._close(attempt_id, _unanswered_ending(error))
            return trials.no_answer(error)
        match answer:
            case Refused():
                await self._close(attempt_id, _refused_ending(answer))
                verdict = trials.refused(answer)
                await self._slow_down(answer, admitted, verdict)
                return verdict
            case BrokenBody(_, reason):
                return await self._unusable(attempt_id, reason, trials)
            case ImageBody(bill):
                return await self._keep(order, attempt_id, bill, trials, note)
            case _:
                assert_never(answer)

    async def _send(self, request: ImageRequest, part: Path, attempt_id: int) -> Answer:
        try:
            return await self._client.attempt(
                request, part=part, on_billed=functools.partial(self._settle_bill, attempt_id)
            )
        except StorageError as error:
            # Only here: once the body has arrived whole, the next run keeps what this one could not.
            await asyncio.to_thread(part.unlink, missing_ok=True)
            await self._close(attempt_id, Outcome(AttemptStatus.UNUSABLE, f"paid for and lost: {error}"))
            raise

    async def _settle_bill(self, attempt_id: int, bill: Bill) -> None:
        billed = Billed(bill.cost_usd, bill.neurons, bill.tiles)
        try:
            await self._desk.insist(settle_bill, self._desk.books, attempt_id, billed)
        except StorageError as error:
            # The image is paid for: it is still taken in, and the next run enters it in the books.
            self._stop_signal.stop(error)
        self._progress.cost_usd += bill.cost_usd or 0

    async def _slow_down(self, answer: Refused, admitted: Permit, verdict: RetryDecision) -> None:
        """Lower everyone's pace where the endpoint says that it is too much."""
        if answer.refusal in (Refusal.RATE_LIMITED, Refusal.CAPACITY):
            cool_down_s = verdict.delay_s if isinstance(verdict, Resend) and verdict.cool_down else 0
            await self._desk(self._gate.slow_down, sent_at=admitted.send_at, cool_down_s=cool_down_s)

    async def _keep(
        self, order: AttemptRequest, attempt_id: int, bill: Bill, trials: RetryState, note: Note
    ) -> RetryDecision | Kept:
        spec = order.spec
        if bill.model not in (None, self._model):
            await self._unusable(attempt_id, f"made by model {bill.model}", trials)
            return StopRun(_wrong_model(asked=self._model, answered=str(bill.model)))
        try:
            required = spec.aspect.size if spec.fit is Fit.ERROR else None
            take = await asyncio.to_thread(store_take, self._store, attempt_id, spec.request_key, required=required)
        except UnusablePictureError as exc:
            return await self._unusable(attempt_id, str(exc), trials)
        await self._desk.insist(keep_take, self._desk.books, attempt_id, take)
        if take.remark:
            note(take.remark)
        if (answered := Size(take.width, take.height)) != spec.aspect.size:
            note(f"answered with {answered} pixels instead of {spec.aspect.size}; fitted: {spec.fit}")
        return Kept()

    async def _unusable(self, attempt_id: int, reason: str, trials: RetryState) -> RetryDecision:
        """Keep a paid body that is no usable image aside, and decide."""
        aside = await asyncio.to_thread(self._store.quarantine, attempt_id)
        kept = f"; kept as {aside.relative_to(self._store.folder)}" if aside else ""
        ending = Outcome(AttemptStatus.UNUSABLE, f"{reason}{kept}", http_status=200)
        await self._close(attempt_id, ending)
        return trials.unusable(reason)

    async def _close(self, attempt_id: int, ending: Outcome) -> None:
        await self._desk.insist(close_attempt, self._desk.books, attempt_id, ending)


_STATUS_OF = {
    Refusal.RATE_LIMITED: AttemptStatus.RATE_LIMITED,
    Refusal.CREDENTIALS: AttemptStatus.REFUSED,
}


def _refused_ending(answer: Refused) -> Outcome:
    by_http = AttemptStatus.FAILED if answer.http_status >= 500 else AttemptStatus.REJECTED
    status = _STATUS_OF.get(answer.refusal, by_http)
    # The API bills images only. A 5xx in other words than its own comes from something before it: who knows.
    not_billed = None if answer.http_status >= 500 and not answer.by_api else Decimal(0)
    cost_usd = not_billed if answer.bill.cost_usd is None else answer.bill.cost_usd
    return Outcome(status, answer.message, http_status=answer.http_status, cost_usd=cost_usd)


def _unanswered_ending(error: NoAnswerError) -> Outcome:
    if error.sent:
        return Outcome(AttemptStatus.UNKNOWN, str(error))
    return Outcome(AttemptStatus.FAILED, f"never sent: {error}", cost_usd=Decimal(0))


def _wrong_model(*, asked: str, answered: str) -> WrongEndpointError:
    cure = "--model sketch" if answered == "sketch" else f"--model {answered}"
    return WrongEndpointError(
        f"the endpoint answers with model {answered!r} where {asked!r} was asked for; run with {cure}, "
        "or check --endpoint"
    )
