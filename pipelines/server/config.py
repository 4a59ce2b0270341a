"""The configuration of the served FLUX API: engine, latency, rate limit, faults, and what stands behind it."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pipelines.common.errors import UsageError
from pipelines.common.suggestions import did_you_mean
from pipelines.endpoints.client import Endpoint, Timeouts


class FaultKind(StrEnum):
    """A way in which an answer goes wrong.

    The first four and `html` answer without an image, and nothing is billed. For all others the image is generated and
    billed before it is lost or spoilt: these are the faults that cost people money.
    """

    RATE_LIMIT = "rate-limit"
    SERVER_ERROR = "server-error"
    AUTHENTICATION = "authentication"
    REFUSED = "refused"
    HANG = "hang"
    RESET = "reset"
    TRUNCATE = "truncate"
    CORRUPT = "corrupt"
    HTML = "html"
    JPEG = "jpeg"
    WRONG_SIZE = "wrong-size"


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault and its rate: the share of requests that it affects, 0 to 1."""

    kind: FaultKind
    rate: float


class EngineKind(StrEnum):
    """What makes the images: storyboard cards; two flat colours each, an eighth of the work; or another endpoint."""

    SKETCH = "sketch"
    PLAIN = "plain"
    UPSTREAM = "upstream"


@dataclass(frozen=True, slots=True)
class UpstreamConfig:
    """The endpoint that requests are passed on to.

    Attributes:
        endpoint: where it is, and how to talk to it.
        book: the file in which each request is entered before it is sent.
        timeouts: the bounds of one request.
        concurrency: requests in flight at most; those beyond are refused.
        max_body_bytes: the longest answer that is taken for an image.
    """

    endpoint: Endpoint
    book: Path
    timeouts: Timeouts = field(default_factory=Timeouts)
    concurrency: int = 128
    max_body_bytes: int = 32 << 20


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """All that decides how the API answers.

    Attributes:
        engine: the source of the images.
        latency_s: the shortest and the longest time from a request to its answer, in seconds; drawn evenly between.
        rate_limit: requests that are admitted in any 60 s, of one client address where images are drawn here, and of
            all together where they are passed on; 0 for no limit.
        faults: at most one is drawn for each request, so their rates add up to 1 at most.
        seed: of latencies, faults and images.
        token: the bearer token that requests must carry; None asks for none.
        upstream: the endpoint behind the engine `upstream`, and only behind that.

    Raises:
        UsageError: the faults' rates add up to more than 1, or there are faults or a latency that no engine here makes.
    """

    engine: EngineKind = EngineKind.SKETCH
    latency_s: tuple[float, float] = (0.0, 0.0)
    rate_limit: int = 720
    faults: tuple[Fault, ...] = ()
    seed: int = 0
    token: str | None = field(default=None, repr=False)
    upstream: UpstreamConfig | None = None

    @property
    def open_to_pages(self) -> bool:
        """Whether any web page may ask: only where there is nothing to spend, or a token that pages do not have."""
        return self.upstream is None or self.token is not None

    @property
    def client_rate_limit(self) -> int:
        """Requests of one client address that are admitted in any 60 s; 0 for no limit."""
        return 0 if self.upstream else self.rate_limit

    def __post_init__(self) -> None:
        assert (self.upstream is not None) == (self.engine is EngineKind.UPSTREAM)
        if self.upstream and (self.faults or any(self.latency_s)):
            raise UsageError(
                f"--engine {self.engine}: passes on what the endpoint answers, as it is; --fault and --latency are for "
                "the engines that draw"
            )
        share = sum(fault.rate for fault in self.faults)
        # Ten rates of 0.1 add up to a little more than 1 in binary.
        if share > 1 + 1e-9:
            raise UsageError(f"--fault: the rates add up to {share:g}; one request has one fault, so at most to 1")


def parse_fault(text: str) -> Fault:
    """Return the fault of an option such as `truncate=0.1`.

    Raises:
        UsageError: the kind is unknown, or the rate is not from 0 to 1.
    """
    name, _, rate = text.partition("=")
    kinds = [kind.value for kind in FaultKind]
    if name not in kinds:
        raise UsageError(f"--fault {text}: unknown kind of fault{did_you_mean(name, kinds)}")
    # The pattern keeps out what float() would take: signs, exponents, nan.
    if not re.fullmatch(r"[0-9]*\.?[0-9]+", rate) or not 0 <= float(rate) <= 1:
        raise UsageError(f"--fault {text}: give it a rate from 0 to 1, like {name}=0.1")
    return Fault(FaultKind(name), float(rate))


def parse_latency(text: str) -> tuple[float, float]:
    """Return the shortest and the longest latency, in seconds, of an option such as `3-10` or `0.5`.

    Raises:
        UsageError: the text is neither a number nor a range from a smaller number to a larger.
    """
    match = re.fullmatch(r"([0-9]{1,4}(?:\.[0-9]+)?)(?:-([0-9]{1,4}(?:\.[0-9]+)?))?", text.strip())
    if match is None or (match[2] and float(match[2]) < float(match[1])):
        raise UsageError(f"--latency {text}: give seconds, like 0.5, or a range, like 3-10")
    return float(match[1]), float(match[2] or match[1])
