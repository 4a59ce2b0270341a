"""Answers of image APIs as data: the bill, the ways in which an attempt can end, and what a refusal means."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Bill:
    """The cost and the figures that an answer's headers state. One that is absent or unreadable is None, never zero.

    Attributes:
        cost_usd: the cost in US dollars.
        cost_thb: the cost in Thai baht.
        neurons: the cost in neurons, Workers AI's unit of work.
        width: of the image, in pixels.
        height: of the image, in pixels.
        steps: the generation steps that were made.
        tiles: how many 512x512 tiles were billed.
        model: the model that generated the image.
    """

    cost_usd: Decimal | None = None
    cost_thb: Decimal | None = None
    neurons: Decimal | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    tiles: int | None = None
    model: str | None = None


class Refusal(StrEnum):
    """The meaning of an answer that is no image. retry.py decides by it what comes next."""

    # Sent too often: the same request passes later.
    RATE_LIMITED = "rate limited"
    # The request itself is wrong: it would be rejected again.
    REJECTED = "request rejected"
    # The token or the account is refused, whatever the request.
    CREDENTIALS = "credentials refused"
    # The account's free neurons of the day are used up.
    ALLOCATION = "daily allocation used up"
    # The prompt was taken for unsafe: often a false alarm that passes on a second try.
    PROMPT = "prompt refused"
    # No machine is free to generate it now.
    CAPACITY = "out of capacity"
    # Anything else that failed on the way; a second try may pass.
    SERVER = "server error"
    # An answer that this API would not give: the address is wrong.
    NOT_THIS_API = "not the FLUX API"


@dataclass(frozen=True, slots=True)
class ImageBody:
    """A 200 whose body arrived whole, as far as HTTP can tell; whether it is an image is not yet known.

    Attributes:
        bill: the bill from its headers.
        bytes: the body's length.
    """

    bill: Bill
    bytes: int


@dataclass(frozen=True, slots=True)
class BrokenBody:
    """A 200 whose body did not arrive whole, and why. It is billed all the same."""

    bill: Bill
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer other than 200.

    Attributes:
        http_status: its status.
        refusal: its meaning.
        message: its error text as one printable line.
        by_api: whether the text is the API's own, not that of a proxy or another server before it.
        bill: the bill from its headers, usually empty.
        retry_after_s: the wait that it asks for, in seconds; None where it asks for none.
    """

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


# The statuses of the API itself, and those with which a proxy before it would mean the same. Statuses of 500 and above
# mean nothing by themselves: the error's text decides.
REFUSAL_BY_STATUS = {
    400: Refusal.REJECTED,  # flux-api.md: "Prompt is required"
    401: Refusal.CREDENTIALS,  # RFC 9110, 15.5.2: Unauthorized
    403: Refusal.CREDENTIALS,  # RFC 9110, 15.5.4: Forbidden
    408: Refusal.SERVER,  # RFC 9110, 15.5.9: Request Timeout
    413: Refusal.REJECTED,  # RFC 9110, 15.5.14: Content Too Large
    422: Refusal.REJECTED,  # RFC 9110, 15.5.21: Unprocessable Content
    425: Refusal.SERVER,  # RFC 8470, 5.2: Too Early
    429: Refusal.RATE_LIMITED,  # flux-api.md: "Rate limited"
}

# Workers AI numbers its errors (developers.cloudflare.com/workers-ai/platform/errors), and a Worker passes the number
# on in its error's text. "Observed" are numbers that the list there lacks.
REFUSAL_BY_WORKERS_AI_NUMBER = {
    "3003": Refusal.REJECTED,  # Incomplete request: headers or body are missing
    "3007": Refusal.SERVER,  # Timeout
    "3008": Refusal.SERVER,  # Aborted
    "3023": Refusal.CREDENTIALS,  # Account blocked
    "3030": Refusal.PROMPT,  # observed: "NSFW"
    "3036": Refusal.ALLOCATION,  # Account limited: the daily free allocation is used up
    "3040": Refusal.CAPACITY,  # Out of capacity: no more data centers to forward the request to
    "3041": Refusal.CREDENTIALS,  # Account not allowed for private model
    "4006": Refusal.ALLOCATION,  # observed: "you have used up your daily free allocation of 10,000 neurons"
    "5004": Refusal.REJECTED,  # Invalid data
    "5007": Refusal.REJECTED,  # No such model
    "5018": Refusal.CREDENTIALS,  # Account not allowed for private model
}
