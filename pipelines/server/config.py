"""How the FLUX API is served: engine, latency, limit, faults."""

import difflib
import re
from dataclasses import dataclass
from enum import StrEnum

from pipelines.common.errors import UsageError


class FaultKind(StrEnum):
    """Ways in which an answer goes wrong.

    Images are generated, and billed, for hang, reset, truncate, corrupt, jpeg and wrong-size: those that get lost on
    their way back are what costs people money. The others are never billed.
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
    """A kind of fault, and the share of requests that it strikes, 0 to 1."""

    kind: FaultKind
    rate: float


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """What to serve.

    Attributes:
        engine: what draws the images; `sketch` is the one there is.
        latency_s: an answer takes from the first to the second number of seconds, drawn evenly.
        rate_limit: requests of one client address let through in any 60 s; 0 for no limit.
        faults: drawn one a request; together they strike at most every request.
        seed: of latencies, faults and sketches.
        token: if given, what requests must bear.

    Raises:
        UsageError: the faults' rates add up to more than 1.
    """

    engine: str = "sketch"
    latency_s: tuple[float, float] = (0.0, 0.0)
    rate_limit: int = 720
    faults: tuple[Fault, ...] = ()
    seed: int = 0
    token: str | None = None

    def __post_init__(self) -> None:
        share = sum(fault.rate for fault in self.faults)
        if share > 1 + 1e-9:
            raise UsageError(f"--fault: the rates add up to {share:g}; one request has one fault, so at most to 1")


def parse_fault(text: str) -> Fault:
    """Read `truncate=0.1`.

    Raises:
        UsageError: there is no such kind, or the rate is not from 0 to 1.
    """
    name, _, rate = text.partition("=")
    kinds = [kind.value for kind in FaultKind]
    if name not in kinds:
        close = difflib.get_close_matches(name, kinds, n=1)
        hint = f"did you mean {close[0]}?" if close else f"choose one of {', '.join(kinds)}"
        raise UsageError(f"--fault {text}: no such kind; {hint}")
    if not re.fullmatch(r"[0-9]*\.?[0-9]+", rate) or not 0 <= float(rate) <= 1:
        raise UsageError(f"--fault {text}: give it a rate from 0 to 1, like {name}=0.1")
    return Fault(FaultKind(name), float(rate))


def parse_latency(text: str) -> tuple[float, float]:
    """Read `3-10` or `0.5`, in seconds.

    Raises:
        UsageError: it is neither.
    """
    match = re.fullmatch(r"([0-9]{1,4}(?:\.[0-9]+)?)(?:-([0-9]{1,4}(?:\.[0-9]+)?))?", text.strip())
    if match is None or (match[2] and float(match[2]) < float(match[1])):
        raise UsageError(f"--latency {text}: give seconds, like 0.5, or a range, like 3-10")
    return float(match[1]), float(match[2] or match[1])
