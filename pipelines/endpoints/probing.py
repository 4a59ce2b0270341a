"""A probe: asks an endpoint, for free, whether it is there, speaks its dialect, takes its token and has its model."""

import asyncio
import email.utils
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import httpx

from pipelines.common.addresses import without_secrets
from pipelines.common.errors import (
    CredentialsRefusedError,
    EndpointError,
    EndpointUnreachableError,
    ModelRefusedError,
    WrongEndpointError,
)
from pipelines.common.settings import TOKEN_VARIABLE
from pipelines.endpoints.client import Endpoint, EndpointClient, Timeouts
from pipelines.endpoints.dialects.dialect import ProbeAnswer
from pipelines.endpoints.streaming import body_chunks, reason_of

# Nobody waits longer to hear that something is there; a list of all models of a seller is no longer either.
_MOST_S = 20
_MOST_BYTES = 4 << 20
_MOST_REASON_CHARS = 300


@dataclass(frozen=True, slots=True)
class Probe:
    """What came of a probe.

    Attributes:
        endpoint: what was asked.
        http_status: of the answer; None where none came.
        answer: what it says; None where none came.
        clock_offset_s: whole seconds that the endpoint's clock is ahead of this machine's; None where it does not tell.
        reason: why no answer came, in words; empty where one did.
    """

    endpoint: Endpoint
    http_status: int | None = None
    answer: ProbeAnswer | None = None
    clock_offset_s: int | None = None
    reason: str = ""

    @property
    def address(self) -> str:
        """The endpoint's address without its secrets."""
        return without_secrets(self.endpoint.url)

    @property
    def error(self) -> EndpointError | None:
        """Why a run would be of no use there, with the cure; None where nothing stands in its way."""
        if self.answer is None:
            return EndpointUnreachableError(
                f"{self.address}: cannot be reached: {self.reason}; check the address and the network"
            )
        if self.answer.token_ok is False:
            return CredentialsRefusedError(f"{self.address}: {self._token_cure}")
        if not self.answer.speaks:
            return self._stranger()
        if self.answer.model_ok is False:
            name = self.endpoint.model.id
            return ModelRefusedError(f"{self.address}: has no model {name!r}, or not for this account; check --model")
        return None

    @property
    def _token_cure(self) -> str:
        if self.endpoint.token:
            return f"refuses the token; check {self.endpoint.token_name}"
        return f"wants a token; set {TOKEN_VARIABLE}, or name its variable as the token of the storyboard's endpoint"

    def _stranger(self) -> EndpointError:
        dialect, status = self.endpoint.dialect.name, self.http_status or 0
        if status == 429 or status >= 500:
            return EndpointUnreachableError(
                f"{self.address}: answered {status}, which does not tell whether it speaks {dialect}; ask again later"
            )
        return WrongEndpointError(
            f"{self.address}: answered {status}, and not as one that speaks {dialect}; check --endpoint and --dialect"
        )


async def probe(
    endpoint: Endpoint, *, connect_s: float, now: Callable[[], float] = time.time, most_s: float = _MOST_S
) -> Probe:
    """Ask an endpoint once, for free.

    Args:
        endpoint: what to ask, with the token that a run would send.
        connect_s: the longest that connecting may take, in seconds.
        now: the present time, in seconds since 1970.
        most_s: the longest that it may take in all, in seconds.

    Raises:
        UsageError: see `EndpointClient`.
    """
    asked = Probe(endpoint)
    timeouts = Timeouts(connect_s=min(connect_s, most_s), read_s=most_s, total_s=most_s)
    async with EndpointClient(endpoint, concurrency=1, timeouts=timeouts, max_body_bytes=_MOST_BYTES) as client:
        try:
            async with asyncio.timeout(most_s):
                return await _ask(client, asked, now)
        except TimeoutError:
            return replace(asked, reason=f"no answer within {most_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as exc:
            return replace(asked, reason=reason_of(exc)[:_MOST_REASON_CHARS].rstrip("."))


async def _ask(client: EndpointClient, asked: Probe, now: Callable[[], float]) -> Probe:
    dialect, model = asked.endpoint.dialect, asked.endpoint.model
    async with client.asking(dialect.probe_call(asked.endpoint.url, model)) as response:
        offset_s = _clock_offset_s(response.headers.get("Date"), now())
        body = b""
        async for chunk in body_chunks(response):
            body += chunk
            if len(body) > _MOST_BYTES:
                break
    answer = dialect.read_probe(response.status_code, body)
    return replace(asked, http_status=response.status_code, answer=answer, clock_offset_s=offset_s)


def _clock_offset_s(date: str | None, now: float) -> int | None:
    """Return how many seconds an answer's Date (RFC 9110, 6.6.1) is ahead of a time; None where it is none."""
    try:
        told = email.utils.parsedate_to_datetime(date or "")
    except (ValueError, OverflowError):
        return None
    # A Date has whole seconds, and is half of one behind on average.
    return round(told.timestamp() + 0.5 - now)
