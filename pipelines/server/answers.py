"""What an engine makes of a request: an answer with a picture, an error of the API, or the lack of an answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipelines.endpoints.answers import Bill

PNG_TYPE = "image/png"


@dataclass(frozen=True, slots=True)
class ServedAnswer:
    """An answer of status 200.

    Attributes:
        body: the picture, or as much of it as is sent.
        media_type: of the picture.
        bill: what its headers state; what is not known is left out.
        announced_bytes: the length that its headers promise, where the body breaks off before; else None.
    """

    body: bytes
    media_type: str = PNG_TYPE
    bill: Bill = field(default_factory=Bill)
    announced_bytes: int | None = None


class ApiError(Exception):
    """An error of the API: its status, its text, and headers that go with it."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


class UnansweredError(Exception):
    """A request that is billed, and whose connection is reset without an answer.

    Attributes:
        bill: what it costs.
        after_s: for how many seconds its client is left waiting before, unless it goes first.
    """

    def __init__(self, bill: Bill, *, after_s: float) -> None:
        super().__init__("no answer")
        self.bill = bill
        self.after_s = after_s


def retry_later(message: str, retry_after_s: int) -> ApiError:
    """Return the error that a request came too early, by so many seconds."""
    return ApiError(429, message, {"Retry-After": str(retry_after_s)})
