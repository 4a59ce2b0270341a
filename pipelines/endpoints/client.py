"""ONE attempt over HTTP: send a request, hand over its bill before the body is read, stream the body to a file."""

import asyncio
import contextlib
import datetime
import email.utils
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from pipelines.common.addresses import is_loopback, normalize
from pipelines.common.errors import UsageError
from pipelines.common.files import storage_errors
from pipelines.common.network_environment import require_readable_certificates, require_usable_proxies
from pipelines.endpoints.amounts import Price
from pipelines.endpoints.answers import Answer, Bill, BrokenBody, ImageBody, NoAnswerError, Refused
from pipelines.endpoints.bodies import Body, BrokenBodyError, PictureBody
from pipelines.endpoints.dialects.dialect import Dialect, JsonAnswer
from pipelines.endpoints.dialects.figures import read_decimal
from pipelines.endpoints.error_table import MAX_ERROR_BYTES, classify_error, read_error
from pipelines.endpoints.http_log import address_of, addresses_only
from pipelines.endpoints.json_body import JsonBody
from pipelines.endpoints.linked_picture import LinkedPictureError, LinkedPictures
from pipelines.endpoints.models import ImageModel
from pipelines.endpoints.requests import HttpCall, ImageRequest
from pipelines.endpoints.streaming import body_chunks, content_encoding, reason_of, short_line

_POOL_SPARE = 8
# How long the text of an error is waited for, once its status is known.
_ERROR_TEXT_S = 10
# A shorter secret would be found within ordinary words.
_LEAST_SECRET_CHARS = 4


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where images come from, and how to talk to it.

    Attributes:
        url: its address, as people give it.
        dialect: the language that it speaks.
        model: what is to paint there.
        token: a bearer token, or None.
        token_name: what people call the variable that holds the token.
        local: whether it is a server of our own. Like any other on this machine, it is asked through no proxy.
    """

    url: str
    dialect: Dialect
    model: ImageModel
    token: str | None = field(default=None, repr=False)
    token_name: str = "STORYREEL_API_TOKEN"  # noqa: S105
    local: bool = False

    def estimate(self, stated: Bill, request: ImageRequest) -> Price | None:
        """Return what an image costs by the price list, where its answer states no cost and its dialect never does.

        None where one is stated, or where its absence says that the cost is not known, or where no list has the model.
        """
        if stated.cost_usd is not None or self.dialect.states_bills or not self.model.is_priced:
            return None
        return self.model.price_of(request)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Bounds of one attempt, in seconds.

    Attributes:
        connect_s: until the connection stands.
        read_s: between two pieces of the answer. An image takes 3 to 10 s; httpx's own 5 s would lose it once billed.
        total_s: from the request to the end of the answer's body.
    """

    connect_s: float = 10
    read_s: float = 90
    total_s: float = 180


# An image is compressed already; and a body that is unpacked may be a thousand times as large as what was sent.
_HEADERS = {"User-Agent": "storyreel", "Accept": "image/*, application/json", "Accept-Encoding": "identity"}

# What httpx raises before the first byte of a request leaves. A ProxyError means that no tunnel was opened.
_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.InvalidURL,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


class EndpointClient:
    """A pool of connections to one endpoint. Use it in the event loop that opened it.

    Args:
        endpoint: where to ask, and how.
        concurrency: the most attempts that are made at once.
        timeouts: the bounds of one attempt.
        max_body_bytes: the longest body that is taken for an image.
        transport: what carries the requests, in place of httpx's own.
        links: fetches pictures that answers only link to, in place of its own.

    Raises:
        UsageError: the endpoint's token cannot be sent, or the environment names a proxy or certificates that cannot be
            used.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        concurrency: int,
        timeouts: Timeouts,
        max_body_bytes: int,
        transport: httpx.AsyncBaseTransport | None = None,
        links: LinkedPictures | None = None,
    ) -> None:
        require_readable_certificates()
        self.endpoint = endpoint
        self._address = address_of(endpoint.url)
        self._secrets = _secrets(endpoint)
        self._exits = contextlib.AsyncExitStack()
        self._total_s = timeouts.total_s
        self._max_body_bytes = max_body_bytes
        # The pool is never waited for: a request cancelled in that wait loses its slot for good (httpcore#1093).
        # Idle connections are dropped before a server would, so that none is closed under a request.
        limits = httpx.Limits(max_connections=concurrency + _POOL_SPARE, keepalive_expiry=2)
        if transport is None and (endpoint.local or _is_on_this_machine(endpoint.url)):
            # Given one, httpx leaves out the environment's proxies, and nothing else of the environment.
            transport = httpx.AsyncHTTPTransport(limits=limits)
        if transport is None:
            require_usable_proxies()
        timeout = httpx.Timeout(timeouts.read_s, connect=timeouts.connect_s)
        self._links = links or LinkedPictures(timeout=timeout, max_bytes=max_body_bytes)
        with _proxy_errors():
            self._http = httpx.AsyncClient(
                headers={**_HEADERS, **_authorization(endpoint)}, limits=limits, timeout=timeout, transport=transport
            )

    async def __aenter__(self) -> "EndpointClient":
        self._exits.enter_context(addresses_only(self._address))
        self._exits.push_async_callback(self._links.close)
        self._exits.push_async_callback(self._http.aclose)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exits.aclose()

    async def attempt(
        self, request: ImageRequest, *, part: Path, on_billed: Callable[[int, Bill], Awaitable[None]]
    ) -> Answer:
        """Send `request` once.

        Args:
            request: what to ask for.
            part: where the picture of a 2xx is written, or whatever its body holds instead.
            on_billed: called with a 2xx's status and bill before its body is read, so that no cost is lost with it; and
                again where the body states another one.

        Raises:
            NoAnswerError: no status line came back.
            StorageError: the body could not be written to `part`.
        """
        billed: tuple[int, Bill] | None = None
        departure = _Departure()
        dialect, model = self.endpoint.dialect, self.endpoint.model
        call = dialect.image_call(self.endpoint.url, request, model)
        try:
            async with (
                asyncio.timeout(self._total_s) as timeout,
                self._http.stream(**_arguments(call), extensions=departure.traced) as response,
            ):
                bill = dialect.read_bill(response.headers, model)
                if not response.is_success:
                    # The status stands however long its text takes, so the text has a bound of its own.
                    timeout.reschedule(None)
                    return await self._read_refusal(response, bill)
                # Any 2xx: what came may be an image, and may have been billed.
                billed = response.status_code, bill
                await on_billed(*billed)
                return await self._receive(response, part, bill, on_billed=on_billed)
        except _NEVER_SENT as exc:
            raise NoAnswerError(f"cannot connect to {self._address}: {reason_of(exc)}", sent=False) from exc
        except (httpx.HTTPError, OSError) as exc:
            # asyncio's TimeoutError is an OSError, and so is what TLS throws.
            if billed is not None:
                return BrokenBody(*billed, f"the body broke off: {reason_of(exc)}", cut_off=True)
            if departure.connecting:
                raise NoAnswerError(f"cannot connect to {self._address}: {reason_of(exc)}", sent=False) from exc
            raise NoAnswerError(f"no answer: {reason_of(exc)}", sent=True) from exc

    def asking(self, call: HttpCall) -> contextlib.AbstractAsyncContextManager[httpx.Response]:
        """Send a call that buys nothing; entered, it yields the answer, its body unread.

        Raises, as it is entered:
            httpx.HTTPError, httpx.InvalidURL, OSError: no status line came back.
        """
        return self._http.stream(**_arguments(call))

    def without_secrets(self, text: str) -> str:
        """Return an endpoint's words without the token, which some quote: words go into the ledger and the log."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    async def _read_refusal(self, response: httpx.Response, bill: Bill) -> Refused:
        text = await _read_text(response, min(self._total_s, _ERROR_TEXT_S))
        return _refusal(response, self.without_secrets(text), bill)

    async def _receive(
        self, response: httpx.Response, part: Path, bill: Bill, *, on_billed: Callable[[int, Bill], Awaitable[None]]
    ) -> Answer:
        """Read the body of a 2xx, with the bill that its headers state."""
        status = response.status_code
        try:
            size, around = await self._save(response, part)
        except BrokenBodyError as exc:
            return BrokenBody(status, bill, str(exc), cut_off=False)
        said = JsonAnswer() if around is None else self.endpoint.dialect.read_json(around, self.endpoint.model)
        if said.bill.cost_usd is not None:
            bill = said.bill
            await on_billed(status, bill)
        if size or said.picture_url is None:
            return ImageBody(status, bill, size)
        try:
            return ImageBody(status, bill, await self._links.fetch(said.picture_url, part))
        except LinkedPictureError as exc:
            return BrokenBody(status, bill, str(exc), cut_off=exc.cut_off)

    async def _save(self, response: httpx.Response, part: Path) -> tuple[int, Mapping[str, Any] | None]:
        """Write the picture in a body to a file, else what the body holds; return its length and the JSON around it."""
        keys, max_bytes = self.endpoint.dialect.picture_keys, self._max_body_bytes
        with storage_errors(part), part.open("wb") as file:
            body: Body = (
                JsonBody(file, max_bytes=max_bytes, keys=keys) if keys else PictureBody(file, max_bytes=max_bytes)
            )
            async for chunk in body_chunks(response):
                body.feed(chunk)
            around = body.close()
        if encoding := content_encoding(response):
            raise BrokenBodyError(f"a body encoded as {encoding}, which was not asked for")
        return body.picture_bytes, around


@dataclass
class _Departure:
    """Follows a request until its first byte leaves, which errors alone do not tell.

    Attributes:
        connecting: whether a connection is being made for it: to the endpoint, or to a proxy and through it.
    """

    connecting: bool = False

    @property
    def traced(self) -> dict[str, object]:
        """The extensions of a request that is to be followed; see httpcore's documentation, "Extensions"."""
        return {"trace": self._note}

    async def _note(self, event: str, info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.started":
            self.connecting = True
        # A proxy is asked for a tunnel by a request of its own, which is none to the endpoint.
        elif event == "http11.send_request_headers.started" and info["request"].method != b"CONNECT":
            self.connecting = False


def _arguments(call: HttpCall) -> dict[str, Any]:
    """Return a call as httpx's arguments."""
    # Without a file name, each of its "files" is a field.
    form = {name: (None, value) for name, value in call.form.items()} if call.form is not None else None
    return {"method": call.method, "url": call.url, "headers": call.headers, "json": call.json, "files": form}


def _secrets(endpoint: Endpoint) -> tuple[str, ...]:
    """Return the token, and the password in the URL, as they are sent; the longest first."""
    try:
        password = httpx.URL(endpoint.url).password
    except httpx.InvalidURL:
        password = ""
    secrets = {secret for secret in (endpoint.token or "", password) if len(secret) >= _LEAST_SECRET_CHARS}
    return tuple(sorted(secrets, key=len, reverse=True))


def _is_on_this_machine(url: str) -> bool:
    """Return whether an address is of this machine, in any spelling; False where it is none that can be read."""
    with contextlib.suppress(ValueError, KeyError, httpx.InvalidURL):
        return is_loopback(urlsplit(normalize(url)).hostname or "")
    return False


@contextlib.contextmanager
def _proxy_errors() -> Iterator[None]:
    """Translate what httpx raises where the environment names a proxy that it cannot use."""
    try:
        yield
    except (ValueError, httpx.InvalidURL) as exc:
        raise UsageError(
            f"the environment names a proxy that cannot be used: {reason_of(exc)}; let HTTP_PROXY, HTTPS_PROXY and "
            "ALL_PROXY be http:// addresses, or name the endpoint's host in NO_PROXY and unset them; nothing was sent"
        ) from exc


def _authorization(endpoint: Endpoint) -> dict[str, str]:
    if not endpoint.token:
        return {}
    # httpx and h11 would refuse it too, and quote it in their errors.
    if not re.fullmatch(r"[!-~]([ -~]*[!-~])?", endpoint.token):
        raise UsageError(
            f"{endpoint.token_name}: holds a character that no HTTP header can carry, perhaps a line break or a space "
            "at its end; set it again"
        )
    return {"Authorization": f"Bearer {endpoint.token}"}


def _refusal(response: httpx.Response, text: str, bill: Bill) -> Refused:
    error = read_error(text)
    message = short_line(error.message or text) or short_line(response.reason_phrase) or "no reason given"
    return Refused(
        http_status=response.status_code,
        refusal=classify_error(response.status_code, message, codes=error.codes),
        message=message,
        by_api=error.message is not None,
        bill=bill,
        retry_after_s=_retry_after_s(response.headers),
        codes=error.codes,
    )


async def _read_text(response: httpx.Response, timeout_s: float) -> str:
    """Return the beginning of an error's body, or as much of it as arrives within `timeout_s`."""
    body = b""
    # The status stands whatever becomes of the text.
    with contextlib.suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(timeout_s):
            async for chunk in body_chunks(response):
                body += chunk
                if len(body) > MAX_ERROR_BYTES:
                    break
    if encoding := content_encoding(response):
        return f"a text encoded as {encoding}, which was not asked for"
    return body[:MAX_ERROR_BYTES].decode("utf-8", errors="replace")


def _retry_after_s(headers: httpx.Headers) -> float | None:
    """Return the wait that an answer asks for, in seconds."""
    # OpenAI's own is the more exact of its two.
    milliseconds = read_decimal(headers.get("retry-after-ms"))
    return parse_retry_after(headers.get("Retry-After")) if milliseconds is None else float(milliseconds) / 1000


def parse_retry_after(value: str | None, *, now: Callable[[], datetime.datetime] | None = None) -> float | None:
    """Return the wait in seconds that a Retry-After header asks for, None where it asks for none.

    Args:
        value: seconds or an HTTP date (RFC 9110, 10.2.3); fractions of a second, which some servers send, are taken.
        now: the present time; the system's if not given.
    """
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,12})?", value.strip(" \t")):
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    current = now() if now else datetime.datetime.now(datetime.UTC)
    # `-0000` is UTC without a place (RFC 5322, 3.3), which Python reads as no time zone at all.
    if date.tzinfo is None:
        date = date.replace(tzinfo=datetime.UTC)
    return max(0.0, (date - current).total_seconds())
