"""ONE attempt over HTTP: send a request, hand over its bill before the body is read, stream the body to a file."""

import asyncio
import contextlib
import datetime
import email.utils
import json
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from pipelines.common.errors import UsageError
from pipelines.common.files import storage_errors
from pipelines.endpoints.answers import Bill, Refusal, classify_refusal
from pipelines.endpoints.dialects.flux import ImageRequest, read_bill

_POOL_SPARE = 8
_MAX_ERROR_BYTES = 64 << 10
_MAX_ERROR_CHARS = 500
# How long the text of an error is waited for, once its status is known.
_ERROR_TEXT_S = 10


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the API is and how to talk to it.

    Attributes:
        url: its address.
        token: a bearer token, or None.
        local: a server of our own on loopback: proxies from the environment are left out.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    local: bool = False


@dataclass(frozen=True, slots=True)
class Timeouts:
    """RetryBounds of one attempt, in seconds: to connect, between two bytes, and in all."""

    connect_s: float = 10
    read_s: float = 90
    total_s: float = 180


@dataclass(frozen=True, slots=True)
class ImageBody:
    """A 200 whose body arrived whole, as far as HTTP can tell; nobody has looked at it yet."""

    bill: Bill
    bytes: int


@dataclass(frozen=True, slots=True)
class BrokenBody:
    """A 200 whose body did not arrive whole. It is billed all the same."""

    bill: Bill
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer other than 200; `by_api` if it is in the API's own words, not those of something before it."""

    http_status: int
    refusal: Refusal
    message: str
    by_api: bool
    bill: Bill
    retry_after_s: float | None


Answer = ImageBody | BrokenBody | Refused


class NoAnswerError(Exception):
    """No status line came back.

    Attributes:
        sent: whether a byte of the request may have left. If so, it could have been billed.
    """

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


# What httpx raises before the first byte of a request leaves. A ProxyError means that no tunnel was opened.
_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.InvalidURL,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


class FluxClient:
    """One pooled connection to an endpoint. Use it in the event loop that opened it.

    Raises:
        UsageError: the endpoint's token cannot be sent.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        concurrency: int,
        timeouts: Timeouts,
        max_body_bytes: int,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = endpoint.url
        self._place = _place_of(endpoint.url)
        self._total_s = timeouts.total_s
        self._max_body_bytes = max_body_bytes
        self._http = httpx.AsyncClient(
            headers={"User-Agent": "storyreel", "Accept": "image/*, application/json", **_authorization(endpoint)},
            # The pool is never waited for: a request cancelled in that wait loses its slot for good (httpcore#1093).
            # Idle connections are dropped before a server would, so that none is closed under a request.
            limits=httpx.Limits(max_connections=concurrency + _POOL_SPARE, keepalive_expiry=2),
            timeout=httpx.Timeout(timeouts.read_s, connect=timeouts.connect_s),
            transport=transport,
            trust_env=not endpoint.local,
        )

    async def __aenter__(self) -> "FluxClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def attempt(
        self, request: ImageRequest, *, part: Path, on_billed: Callable[[Bill], Awaitable[None]]
    ) -> Answer:
        """Send `request` once; a 200's bill goes to `on_billed` before its body is streamed into `part`.

        Raises:
            NoAnswerError: no status line came back.
        """
        body_of: Bill | None = None
        try:
            async with (
                asyncio.timeout(self._total_s) as bound,
                self._http.stream("POST", self._url, json=request.body()) as answer,
            ):
                bill = read_bill(answer.headers)
                if answer.status_code != 200:
                    # The status stands however long its text takes, so the text has a bound of its own.
                    bound.reschedule(None)
                    return await _read_refusal(answer, bill, patience_s=min(self._total_s, _ERROR_TEXT_S))
                body_of = bill
                await on_billed(bill)
                return await self._save(answer, part, bill)
        except _NEVER_SENT as exc:
            raise NoAnswerError(f"cannot connect to {self._place}: {_reason(exc)}", sent=False) from exc
        except (httpx.HTTPError, OSError) as exc:
            if body_of is not None:
                return BrokenBody(body_of, f"the body broke off: {_reason(exc)}")
            raise NoAnswerError(f"no answer: {_reason(exc)}", sent=True) from exc

    async def _save(self, answer: httpx.Response, part: Path, bill: Bill) -> Answer:
        received = 0
        with storage_errors(part), part.open("wb") as file:
            async for chunk in _arriving(answer):
                received += len(chunk)
                if received > self._max_body_bytes:
                    return BrokenBody(bill, f"a body of more than {self._max_body_bytes >> 20} MiB; raise max_body_mib")
                file.write(chunk)
        return ImageBody(bill, received)


def _place_of(url: str) -> str:
    """Name an endpoint without what a URL may hold besides: a user's name and password, a key in its query."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "the endpoint"
    return f"{parsed.scheme}://{parsed.netloc.decode()}"


def _authorization(endpoint: Endpoint) -> dict[str, str]:
    if not endpoint.token:
        return {}
    # httpx and h11 would refuse it too, and quote it in their errors.
    if not re.fullmatch(r"[!-~]([ -~]*[!-~])?", endpoint.token):
        raise UsageError(
            "STORYREEL_API_TOKEN: holds a character that no HTTP header can carry, perhaps a line break or a space at "
            "its end; set it anew"
        )
    return {"Authorization": f"Bearer {endpoint.token}"}


async def _arriving(answer: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the body; what TLS or a socket throws unwrapped must not pass for an error of the disk."""
    try:
        async for chunk in answer.aiter_bytes():
            yield chunk
    except OSError as exc:
        raise httpx.ReadError(str(exc)) from exc


async def _read_refusal(answer: httpx.Response, bill: Bill, *, patience_s: float) -> Refused:
    text = await _read_text(answer, patience_s)
    said = _api_error(text)
    message = _one_line(said or text) or _one_line(answer.reason_phrase) or "no reason given"
    return Refused(
        http_status=answer.status_code,
        refusal=classify_refusal(answer.status_code, message),
        message=message,
        by_api=said is not None,
        bill=bill,
        retry_after_s=parse_retry_after(answer.headers.get("Retry-After")),
    )


async def _read_text(answer: httpx.Response, patience_s: float) -> str:
    """Return the beginning of an error's body."""
    body = b""
    # The status stands whatever becomes of the text.
    with contextlib.suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(patience_s):
            async for chunk in _arriving(answer):
                body += chunk
                if len(body) > _MAX_ERROR_BYTES:
                    break
    return body[:_MAX_ERROR_BYTES].decode("utf-8", errors="replace")


def _api_error(text: str) -> str | None:
    """Return what the API says in `{"error": ...}`; None where the text is something else's."""
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        return str(json.loads(text)["error"])
    return None


def parse_retry_after(value: str | None, *, now: Callable[[], datetime.datetime] | None = None) -> float | None:
    """Read a Retry-After header, seconds or an HTTP date, as seconds from now; None where it says nothing."""
    if value is None:
        return None
    with contextlib.suppress(ValueError):
        seconds = float(value)
        return seconds if math.isfinite(seconds) and seconds >= 0 else None
    try:
        date = email.utils.parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    current = now() if now else datetime.datetime.now(datetime.UTC)
    if date.tzinfo is None:
        date = date.replace(tzinfo=datetime.UTC)
    return max(0.0, (date - current).total_seconds())


def _reason(exc: Exception) -> str:
    return _one_line(str(exc)) or type(exc).__name__


def _one_line(text: str) -> str:
    """Return the beginning of a foreign text as one line that any terminal can show and any database can store."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_MAX_ERROR_CHARS]
