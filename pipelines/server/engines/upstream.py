"""The engine that passes requests on: to an endpoint of any dialect, each exactly once, and each in the book."""

import contextlib
import logging
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import assert_never

from pipelines.common.errors import StorageError
from pipelines.common.imaging import open_picture
from pipelines.common.picture_file import PictureFormat, UnreadablePictureError
from pipelines.endpoints.amounts import in_baht
from pipelines.endpoints.answers import MAY_BE_BILLED, Bill, BrokenBody, ImageBody, NoAnswerError, Refused
from pipelines.endpoints.client import Endpoint, EndpointClient
from pipelines.endpoints.dialects.flux import headers_of
from pipelines.endpoints.error_table import MAX_ERROR_BYTES, read_refusal
from pipelines.endpoints.requests import ImageRequest
from pipelines.server.answers import ApiError, ServedAnswer, retry_later
from pipelines.server.book import Book, Ending
from pipelines.server.book_executor import AsyncBook
from pipelines.server.config import UpstreamConfig
from pipelines.server.stats import MINUTE_S, RateLimiter

_log = logging.getLogger(__name__)

# The upstream counts arrivals, and one request may be a second longer on its way than another.
_WINDOW_S = MINUTE_S + 1
_ALL_CLIENTS = "all"
_MEDIA_TYPES = {
    PictureFormat.PNG: "image/png",
    PictureFormat.JPEG: "image/jpeg",
    PictureFormat.WEBP: "image/webp",
}


class UpstreamEngine:
    """An engine that draws nothing itself; see `Engine`.

    Args:
        config: the endpoint, and the book.
        rate_limit: requests that are sent in any 60 s, those before a restart included; 0 for any number.
        clock: the time in seconds, from any start.

    Raises:
        UsageError: the book cannot be kept, or the endpoint cannot be asked.
    """

    def __init__(self, config: UpstreamConfig, *, rate_limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = EndpointClient(
            config.endpoint,
            concurrency=config.concurrency,
            timeouts=config.timeouts,
            max_body_bytes=config.max_body_bytes,
        )
        self._concurrency = config.concurrency
        book = Book(config.book)
        self._book = AsyncBook(book)
        self._limiter = RateLimiter(rate_limit, clock, _WINDOW_S)
        self._limiter.remember(_ALL_CLIENTS, book.ages_s(within_s=_WINDOW_S))
        self._folder = tempfile.TemporaryDirectory(prefix="storyreel-serve-")
        self._in_flight = 0

    async def __aenter__(self) -> "UpstreamEngine":
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.__aexit__()
        self._book.close()
        self._folder.cleanup()

    async def figures(self) -> Mapping[str, object]:
        """Return the totals of the book."""
        return await self._book.figures()

    async def generate(self, request: ImageRequest) -> ServedAnswer:
        """Pass a request on, and answer as the upstream does; see `Engine`."""
        _require_encodable(request)
        with self._admitted():
            try:
                number = await self._book.enter(request, model=self._client.endpoint.model.name)
            except StorageError as exc:
                # Where files lie is no client's business.
                _log.error("%s", exc)
                raise ApiError(500, "The book cannot be written; nothing was sent") from exc
            with self._part(number) as part:
                return await _Exchange(self._client, self._book, number, request, part).run()

    @contextlib.contextmanager
    def _part(self, number: int) -> Iterator[Path]:
        """Yield the path of a file for a picture, which is removed in the end."""
        part = Path(self._folder.name, str(number))
        try:
            yield part
        finally:
            part.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _admitted(self) -> Iterator[None]:
        """Take a place among the requests in flight, and in the rate limit.

        Raises:
            ApiError: there is none.
        """
        # Refused, not queued: what waited for longer than its client does would be sent, and paid for, all the same.
        if self._in_flight >= self._concurrency:
            raise retry_later("Rate limited: too many requests in flight", 1)
        if (retry_after_s := self._limiter.admit(_ALL_CLIENTS)) is not None:
            raise retry_later("Rate limited", retry_after_s)
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1


@dataclass(slots=True)
class _Exchange:
    """One request on its way to the upstream and back.

    Attributes:
        client: asks the upstream.
        book: is told how the request fares.
        number: of the request, in the book.
        request: what is asked.
        part: the file that receives the picture.
        http_status: of the answer, once there is one.
        bill: what it costs, as far as that is known.
    """

    client: EndpointClient
    book: AsyncBook
    number: int
    request: ImageRequest
    part: Path
    http_status: int | None = None
    bill: Bill = field(default_factory=Bill)

    async def run(self) -> ServedAnswer:
        """Send the request, write down how it ended, and return the picture.

        Raises:
            ApiError: none came.
        """
        try:
            answer = await self.client.attempt(self.request, part=self.part, on_billed=self._settle)
        except NoAnswerError as error:
            raise await self._unanswered(error) from error
        except StorageError as error:
            # Nothing is stored before there is a bill.
            _log.error("%s", error)
            raise await self._without_picture("it could not be stored on its way") from error
        match answer:
            case Refused():
                raise await self._refused(answer)
            case BrokenBody(reason=reason):
                raise await self._without_picture(reason)
            case ImageBody():
                return await self._pass_on()
            case _:
                assert_never(answer)

    async def _settle(self, http_status: int, stated: Bill) -> None:
        self.http_status, self.bill = http_status, _priced(stated, self.request, self.client.endpoint)
        await self.book.bill(self.number, http_status, self.bill)

    async def _pass_on(self) -> ServedAnswer:
        """Return the picture to the byte, with its size as it is and what the upstream states of the rest."""
        try:
            # Taken apart, not decoded: that takes no longer than handing it to a thread would.
            picture, body = open_picture(self.part), self.part.read_bytes()
        except UnreadablePictureError as exc:
            raise await self._without_picture(self._refusal_in_place() or str(exc)) from exc
        await self._end(picture_bytes=len(body))
        model = self.bill.model or self.client.endpoint.model.name
        bill = replace(self.bill, width=picture.size.width, height=picture.size.height, model=model)
        return ServedAnswer(body, _MEDIA_TYPES[picture.format], bill)

    def _refusal_in_place(self) -> str | None:
        """Return the text of an error that stands in a picture's place; None for anything else."""
        with self.part.open("rb") as file:
            refused = read_refusal(file.read(MAX_ERROR_BYTES), self.http_status or 200, self.bill)
        return _text_of(refused) if refused else None

    async def _without_picture(self, reason: str) -> ApiError:
        """End a request that was answered, and billed, without a picture."""
        await self._end(error=reason)
        billed = MAY_BE_BILLED if self.bill.cost_usd is None else "is billed"
        return ApiError(502, f"the upstream's answer is no image, and {billed}: {reason}", _costs(self.bill))

    async def _refused(self, answer: Refused) -> ApiError:
        """End a request that was refused; return the refusal as it came."""
        uncertain = answer.may_be_billed and answer.bill.cost_usd is None
        self.http_status = answer.http_status
        self.bill = answer.bill if uncertain else replace(answer.bill, cost_usd=answer.bill.cost_usd or Decimal(0))
        await self._end(error=answer.message)
        text = _text_of(answer)
        if uncertain and MAY_BE_BILLED not in text:
            text = f"{MAY_BE_BILLED}: {text}"
        # A redirection, say, is no answer of this API.
        status = answer.http_status if answer.http_status >= 400 else 502
        return ApiError(status, text, {**_retry_after(answer), **_costs(answer.bill)})

    async def _unanswered(self, error: NoAnswerError) -> ApiError:
        if error.sent:
            await self._end(error=str(error))
            return ApiError(504, f"the request was sent, and {MAY_BE_BILLED}: {error}")
        self.bill = Bill(cost_usd=Decimal(0))
        await self._end(error=str(error))
        return ApiError(502, f"{error}; nothing was sent")

    async def _end(self, *, picture_bytes: int | None = None, error: str | None = None) -> None:
        ending = Ending(self.http_status, self.bill.cost_usd, self.bill.neurons, picture_bytes, error)
        await self.book.end(self.number, ending)


def _require_encodable(request: ImageRequest) -> None:
    try:
        request.prompt.encode()
    except UnicodeEncodeError as exc:
        raise ApiError(400, "Prompt must be text; it holds half of a surrogate pair") from exc


def _priced(stated: Bill, request: ImageRequest, endpoint: Endpoint) -> Bill:
    """Return a bill with what it leaves out: by the price list where the dialect states none; and the cost in baht."""
    bill = stated
    if price := endpoint.estimate(stated, request):
        bill = replace(bill, cost_usd=price.usd, neurons=price.neurons)
    if bill.cost_thb is None and bill.cost_usd is not None:
        bill = replace(bill, cost_thb=round(in_baht(bill.cost_usd), 4))
    return bill


def _text_of(answer: Refused) -> str:
    """Return the text of a refusal with Workers AI's numbers in it, by which clients tell what it means."""
    missing = [f"{code}: " for code in answer.codes if isinstance(code, int) and f"{code}:" not in answer.message]
    return f"{''.join(missing)}{answer.message}"


def _retry_after(answer: Refused) -> dict[str, str]:
    return {} if answer.retry_after_s is None else {"Retry-After": str(math.ceil(answer.retry_after_s))}


def _costs(bill: Bill) -> dict[str, str]:
    """Return the headers that state what an error costs, where that is known."""
    return headers_of(Bill(bill.cost_usd, bill.cost_thb, bill.neurons))
