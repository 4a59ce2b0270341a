"""One attempt from its first byte to its end in the ledger: sent -> billed -> checked -> kept."""

import asyncio
import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import assert_never

from pipelines.common.errors import StorageError, WrongEndpointError
from pipelines.common.formatting import format_decimal
from pipelines.common.geometry import Fit
from pipelines.endpoints.answers import Answer, Bill, BrokenBody, ImageBody, NoAnswerError, Refusal, Refused
from pipelines.endpoints.client import EndpointClient
from pipelines.endpoints.error_table import MAX_ERROR_BYTES, read_refusal
from pipelines.endpoints.image_check import UnusablePictureError
from pipelines.endpoints.retry import Resend, RetryDecision, RetryState, StopRun
from pipelines.ledger.executor import AsyncGate, AsyncLedger
from pipelines.ledger.models import AttemptRequest, AttemptStatus, Billed, CostBasis, Outcome, Permit
from pipelines.run.progress import Progress
from pipelines.run.scheduling import StopSignal
from pipelines.takes.models import Take
from pipelines.takes.png_metadata import metadata_chunks
from pipelines.takes.store import BodyTakenError, TakeStore, check_and_store

_log = logging.getLogger(__name__)

# Called with each event of a take, in words.
Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Kept:
    """The image is durable among the takes, and the ledger says so."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """Another run took this one for dead, and has closed the attempt: as kept, or as one of unknown cost."""


class AttemptRunner:
    """Runs attempts of one run that the gate has admitted, each to its end.

    It closes each attempt in the ledger, whatever comes back. One that is cancelled, or whose process is killed, stays
    open there, and is closed by the recovery.
    """

    def __init__(
        self,
        client: EndpointClient,
        *,
        ledger: AsyncLedger,
        gate: AsyncGate,
        store: TakeStore,
        stop_signal: StopSignal,
        progress: Progress,
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._gate = gate
        self._store = store
        self._stop_signal = stop_signal
        self._progress = progress

    async def run(
        self, request: AttemptRequest, permit: Permit, retries: RetryState, log: Log
    ) -> RetryDecision | Kept | Recovered:
        """Send an admitted request, and return Kept, or what to do next where no take came of it.

        Args:
            request: what is asked.
            permit: the gate's.
            retries: counts the outcome, and decides.
            log: called with what happens, in words.

        Raises:
            StorageError: the ledger or the disk cannot be written to.
        """
        attempt_id = permit.attempt_id
        part = self._store.part_path(attempt_id)
        try:
            answer = await self._send(request, part, attempt_id)
        except NoAnswerError as error:
            _log.debug("%s: attempt %d: %s", request.take.label, attempt_id, error)
            await self._close_unkept(request, attempt_id, _unanswered_outcome(error))
            return retries.no_answer(error)
        _log.debug("%s: attempt %d: %s", request.take.label, attempt_id, _answer_text(answer))
        match answer:
            case Refused():
                await self._close_unkept(request, attempt_id, _refused_outcome(answer))
                return await self._decide(answer, permit, retries)
            case BrokenBody(http_status, _, reason, cut_off):
                await self._quarantine(attempt_id, reason, http_status)
                return retries.unusable(reason, cut_off=cut_off)
            case ImageBody():
                return await self._keep(request, permit, answer, retries, log)
            case _:
                assert_never(answer)

    async def _send(self, request: AttemptRequest, part: Path, attempt_id: int) -> Answer:
        try:
            return await self._client.attempt(
                request.take.frame.request_with(request.prompt),
                part=part,
                on_billed=functools.partial(self._settle_bill, request, attempt_id),
            )
        except StorageError as error:
            # Only here: once the body has arrived whole, the next run keeps what this one could not.
            await asyncio.to_thread(part.unlink, missing_ok=True)
            await self._close(attempt_id, Outcome(AttemptStatus.UNUSABLE, f"paid for and lost: {error}"))
            raise

    async def _settle_bill(self, request: AttemptRequest, attempt_id: int, http_status: int, bill: Bill) -> None:
        billed = self._billed(request, http_status, bill)
        try:
            await self._ledger.settle_bill(attempt_id, billed)
        except StorageError as error:
            # Not raised: the image is paid for. It is still received, and the next run enters it in the ledger.
            self._stop_signal.stop(error)
        self._progress.charge(attempt_id, billed.cost_usd, at_most_usd=request.reserve_usd)

    def _billed(self, request: AttemptRequest, http_status: int, bill: Bill) -> Billed:
        """Return what an attempt costs: as its answer states it, else by the list where the dialect states nothing."""
        billed = Billed(bill.cost_usd, bill.neurons, bill.tiles, bill.steps, http_status)
        estimate = self._client.endpoint.estimate(bill, request.take.frame.request_with(request.prompt))
        return billed if estimate is None else replace(billed, cost_usd=estimate.usd, basis=CostBasis.ESTIMATED)

    async def _decide(self, answer: Refused, permit: Permit, retries: RetryState) -> RetryDecision:
        """Decide after a refusal; lower the pace of all runs after a 429 or a lack of capacity."""
        decision = retries.refused(answer)
        if answer.refusal in (Refusal.RATE_LIMITED, Refusal.CAPACITY):
            cool_down_s = decision.delay_s if isinstance(decision, Resend) and decision.cool_down else 0
            await self._gate.slow_down(sent_at=permit.send_at, cool_down_s=cool_down_s)
        return decision

    async def _keep(
        self, request: AttemptRequest, permit: Permit, body: ImageBody, retries: RetryState, log: Log
    ) -> RetryDecision | Kept | Recovered:
        frame, bill, attempt_id = request.take.frame, body.bill, permit.attempt_id
        part = self._store.part_path(attempt_id)
        # An endpoint that does not name its model is believed.
        if bill.model not in (None, self._client.endpoint.model.name):
            await self._quarantine(attempt_id, f"made by model {bill.model}", body.http_status)
            return StopRun(_wrong_model(asked=self._client.endpoint.model.name, answered=str(bill.model)))
        try:
            # Decoding and fsync block, and other attempts' answers arrive meanwhile.
            take = await asyncio.to_thread(
                check_and_store,
                self._store,
                attempt_id,
                request.take.request_key,
                asked=frame.aspect.size,
                must_fit=frame.fit is Fit.ERROR,
                metadata=metadata_chunks(Take(request.take, part, request.prompt, bill.cost_usd)),
            )
        except BodyTakenError:
            return Recovered()
        except UnusablePictureError as exc:
            # Its attempt stays one that may have been billed, whatever the words say.
            refused = await asyncio.to_thread(self._refusal_in_place, attempt_id, body)
            await self._quarantine(attempt_id, str(exc), body.http_status)
            return await self._decide(refused, permit, retries) if refused else retries.unusable(str(exc))
        await self._ledger.keep_take(attempt_id, take)
        retries.image_came()
        for remark in take.remarks:
            log(f"the take {remark.text}")
        return Kept()

    def _refusal_in_place(self, attempt_id: int, body: ImageBody) -> Refused | None:
        with self._store.part_path(attempt_id).open("rb") as file:
            refused = read_refusal(file.read(MAX_ERROR_BYTES), body.http_status, body.bill)
        return refused and replace(refused, message=self._client.without_secrets(refused.message))

    async def _quarantine(self, attempt_id: int, reason: str, http_status: int) -> None:
        """Put a body that was paid for and is no usable image aside, and close its attempt."""
        quarantined = await asyncio.to_thread(self._store.quarantine, attempt_id)
        kept = f"; kept as {quarantined.relative_to(self._store.folder)}" if quarantined else ""
        await self._close(attempt_id, Outcome(AttemptStatus.UNUSABLE, f"{reason}{kept}", http_status=http_status))

    async def _close_unkept(self, request: AttemptRequest, attempt_id: int, outcome: Outcome) -> None:
        """Close an attempt without a bill; its cost is that of its outcome."""
        self._progress.charge(attempt_id, outcome.cost_usd, at_most_usd=request.reserve_usd)
        await self._close(attempt_id, outcome)

    async def _close(self, attempt_id: int, outcome: Outcome) -> None:
        await self._ledger.close_attempt(attempt_id, outcome)


def _answer_text(answer: Answer) -> str:
    match answer:
        case Refused(http_status, refusal, message):
            return f"{refusal} ({http_status} {message})"
        case BrokenBody(reason=reason):
            return reason
        case ImageBody(_, bill, received):
            cost = "an unknown cost" if bill.cost_usd is None else f"{format_decimal(bill.cost_usd)} USD"
            return f"{received} bytes for {cost}"
        case _:
            assert_never(answer)


def _refused_outcome(answer: Refused) -> Outcome:
    unstated = None if answer.may_be_billed else Decimal(0)
    cost_usd = unstated if answer.bill.cost_usd is None else answer.bill.cost_usd
    return Outcome(_refused_status(answer), answer.message, http_status=answer.http_status, cost_usd=cost_usd)


def _refused_status(answer: Refused) -> AttemptStatus:
    """Return the status of an attempt that was refused: by HTTP's, but for what is refused to the account."""
    if answer.refusal in (Refusal.CREDENTIALS, Refusal.CREDIT):
        return AttemptStatus.REFUSED
    if answer.http_status == 429:
        return AttemptStatus.RATE_LIMITED
    return AttemptStatus.FAILED if answer.http_status >= 500 else AttemptStatus.REJECTED


def _unanswered_outcome(error: NoAnswerError) -> Outcome:
    if error.sent:
        # It may have been billed: without a cost here, it stays charged at what was reserved.
        return Outcome(AttemptStatus.UNKNOWN, str(error))
    return Outcome(AttemptStatus.FAILED, f"never sent: {error}", cost_usd=Decimal(0))


def _wrong_model(*, asked: str, answered: str) -> WrongEndpointError:
    cure = "--model sketch" if answered == "sketch" else f"--model {answered}"
    return WrongEndpointError(
        f"the endpoint answers with model {answered!r} where {asked!r} was asked for; run with {cure}, "
        "or check --endpoint"
    )
