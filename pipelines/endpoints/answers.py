"""Answers of image APIs as data: the bill, the ways in which an attempt can end, and the meanings of a refusal."""

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


# What an error says whose cost is not known, and that came from an API which knows that it is not.
MAY_BE_BILLED = "may have been billed"


class Refusal(StrEnum):
    """The meaning of an answer that is no image: see error_table.py. retry.py decides by it what comes next."""

    # Sent too often: the same request passes later.
    RATE_LIMITED = "rate limited"
    # The request itself is wrong: it would be rejected again.
    REJECTED = "request rejected"
    # The token or the account is refused, whatever the request.
    CREDENTIALS = "credentials refused"
    # There is no such model behind the endpoint, whatever the request.
    MODEL = "model refused"
    # The account's free neurons of the day are used up.
    ALLOCATION = "daily allocation used up"
    # The account has nothing left to pay with.
    CREDIT = "no credit left"
    # The prompt was taken for unsafe: often a false alarm that passes on a second try.
    PROMPT = "prompt refused"
    # No machine is free to generate it now.
    CAPACITY = "out of capacity"
    # Anything else that failed on the way; a second try may pass.
    SERVER = "server error"
    # An answer that this API would not give: the address is wrong.
    NOT_THIS_API = "not this API"


@dataclass(frozen=True, slots=True)
class ImageBody:
    """A 2xx whose body arrived whole, as far as HTTP can tell; whether it is an image is not yet known.

    Attributes:
        http_status: its status, nearly always 200.
        bill: the bill from its headers.
        bytes: the picture's length; 0 where none stood in it, but something else.
    """

    http_status: int
    bill: Bill
    bytes: int


@dataclass(frozen=True, slots=True)
class BrokenBody:
    """A 2xx whose body is of no use. It is billed all the same.

    Attributes:
        http_status: its status, nearly always 200.
        bill: the bill from its headers.
        reason: why it is of no use.
        cut_off: whether the connection broke off; if not, the body is one that is never an image.
    """

    http_status: int
    bill: Bill
    reason: str
    cut_off: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer other than 2xx.

    Attributes:
        http_status: its status.
        refusal: its meaning.
        message: its error text as one printable line.
        by_api: whether the text is the API's own, not that of a proxy or another server before it.
        bill: the bill from its headers, usually empty.
        retry_after_s: the wait that it asks for, in seconds; None where it asks for none.
        codes: the numbers and codes that its body states besides the text.
    """

    http_status: int
    refusal: Refusal
    message: str
    by_api: bool
    bill: Bill
    retry_after_s: float | None
    codes: tuple[int | str, ...] = ()

    @property
    def may_be_billed(self) -> bool:
        """Whether it may have been billed, as far as its words tell: the API bills images only.

        A 5xx in other words than the API's own comes from something before it, which need not know of an image. An API
        that passes requests on says where it does not know.
        """
        if self.by_api:
            return MAY_BE_BILLED in self.message
        return self.refusal is Refusal.SERVER and self.http_status >= 500


Answer = ImageBody | BrokenBody | Refused


class NoAnswerError(Exception):
    """No status line came back.

    Attributes:
        sent: whether a byte of the request may have left. If so, it could have been billed.
    """

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent
