"""The configuration of the served FLUX API: engine, latency, rate limit, faults."""

import re
from dataclasses import dataclass
from enum import StrEnum

from pipelines.common.errors import UsageError
from pipelines.common.suggestions import did_you_mean


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
    """The engines that draw the images: storyboard cards, or two flat colours each, an eighth of the work."""

    SKETCH = "sketch"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """All that decides how the API answers.

    Attributes:
        engine: the source of the images.
        latency_s: the shortest and the longest time from a request to its answer, in seconds; drawn evenly between.
        rate_limit: requests of one client address that are admitted in any 60 s; 0 for no limit.
        faults: at most one is drawn for each request, so their rates add up to 1 at most.
        seed: of latencies, faults and images.
        token: the bearer token that requests must carry; None asks for none.

    Raises:
        UsageError: the faults' rates add up to more than 1.
    """

    engine: EngineKind = EngineKind.SKETCH
    latency_s: tuple[float, float] = (0.0, 0.0)
    rate_limit: int = 720
    faults: tuple[Fault, ...] = ()
    seed: int = 0
    token: str | None = None

    def __post_init__(self) -> None:
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
