"""The one table of errors: an answer that is no image, read by Workers AI's number, then by words, then by status.

Endpoints pass on the errors of what stands behind them, and under statuses of their own: a Worker answers 500 to nearly
everything. So what Workers AI wrote comes first, what the API itself says comes second, and its status last.
"""

import contextlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.common.printable import one_line
from pipelines.endpoints.answers import Bill, Refusal, Refused
from pipelines.endpoints.dialects.flux import AUTHENTICATION_ERROR, GENERATION_FAILED


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One meaning, and the signs of it. A row with a number and words needs both; otherwise each sign is enough.

    Attributes:
        refusal: the meaning.
        numbers: Workers AI's.
        words: texts, in small letters, that the message holds.
        statuses: HTTP's.
    """

    refusal: Refusal
    numbers: tuple[int, ...] = ()
    words: tuple[str, ...] = ()
    statuses: tuple[int, ...] = ()

    def has_number(self, number: int, message: str) -> bool:
        """Return whether this row is meant by Workers AI's number in this message."""
        return number in self.numbers and (not self.words or self.has_words(message))

    def has_words(self, message: str) -> bool:
        """Return whether the message holds one of the row's texts."""
        return any(word in message.lower() for word in self.words)


# Numbers: developers.cloudflare.com/workers-ai/platform/errors; those marked "seen" are not listed there. Statuses: RFC
# 9110, but for 425 (RFC 8470) and 429 (RFC 6585). The first row that fits counts.
ERROR_TABLE = (
    # 3036: account limited. 4006 (seen): "you have used up your daily free allocation of 10,000 neurons".
    ErrorRow(Refusal.ALLOCATION, numbers=(3036, 4006)),
    # 3023: account blocked. 3041, 5018: account not allowed for a private model. 5016: its terms are not agreed to.
    # 5035 (seen): not in this account's plan.
    ErrorRow(Refusal.CREDENTIALS, numbers=(3023, 3041, 5016, 5018, 5035)),
    # 3039: the fine-tune lacks files. 3042: invalid model ID. 5007: no such model. 5019: a version that is retired.
    ErrorRow(Refusal.MODEL, numbers=(3039, 3042, 5007, 5019)),
    # 3003: headers or body are missing. 3006: too large. 5004: invalid data. 5005: LoRA is not supported. 5006 (seen):
    # the input does not match the model's schema.
    ErrorRow(Refusal.REJECTED, numbers=(3003, 3006, 5004, 5005, 5006)),
    # 3030, 8007 (both seen): often a false alarm that passes on a second try.
    ErrorRow(Refusal.PROMPT, numbers=(3030,)),
    ErrorRow(Refusal.PROMPT, numbers=(8007,), words=("nsfw",)),
    # 3040: no more data centers to forward the request to. It never reached a model.
    ErrorRow(Refusal.CAPACITY, numbers=(3040,)),
    # 3007: time-out. 3008: aborted. 8007 (seen): the model failed.
    ErrorRow(Refusal.SERVER, numbers=(3007, 3008, 8007)),
    ErrorRow(Refusal.PROMPT, words=("nsfw",)),
    ErrorRow(Refusal.CREDENTIALS, words=(AUTHENTICATION_ERROR.lower(),)),
    # flux-api.md, "Error Codes": "Retry with different prompt". Workers AI's own reason may be quoted in it: see above.
    ErrorRow(Refusal.PROMPT, words=(GENERATION_FAILED.lower(),)),
    ErrorRow(Refusal.RATE_LIMITED, statuses=(429,)),
    ErrorRow(Refusal.CREDENTIALS, statuses=(401, 402, 403)),
    ErrorRow(Refusal.REJECTED, statuses=(400, 409, 413, 422)),
    ErrorRow(Refusal.SERVER, statuses=(408, 425)),
)

# What is read of an error, in bytes, and what is kept of its text.
MAX_ERROR_BYTES = 64 << 10
MAX_ERROR_CHARS = 500
_CODE = re.compile("[0-9]{4}")
# As Workers AI writes it, alone or after the name of an error. The same digits elsewhere may be a request's id.
_NUMBER = re.compile(r"(?:^|: )([0-9]{4})(?=:)")


def read_error(text: str) -> tuple[str | None, list[int]]:
    """Return the text of an error's body, and the numbers that it states besides; None where it is something else's.

    The API says `{"error": ...}`; Workers AI itself `{"errors": [{"code": 3040, "message": ...}]}`.
    """
    with contextlib.suppress(ValueError, TypeError, AttributeError, RecursionError):
        body = json.loads(text)
        if "error" in body:
            return str(body["error"]), []
        if errors := body.get("errors"):
            codes = [int(code) for error in errors if _CODE.fullmatch(code := str(error.get("code")))]
            return "; ".join(str(error.get("message", error)) for error in errors), codes
    return None, []


def classify_error(status: int, message: str, *, codes: Iterable[int] = ()) -> Refusal:
    """Return the meaning of an answer that is no image.

    Args:
        status: its HTTP status.
        message: its error text.
        codes: the numbers that its body states besides, as `errors[].code` does.
    """
    numbers = [*codes, *(int(number) for number in _NUMBER.findall(message))]
    by_number = (row for number in numbers for row in ERROR_TABLE if row.has_number(number, message))
    by_words = (row for row in ERROR_TABLE if not row.numbers and status >= 400 and row.has_words(message))
    by_status = (row for row in ERROR_TABLE if status in row.statuses)
    for rows in (by_number, by_words, by_status):
        if row := next(rows, None):
            return row.refusal
    return Refusal.SERVER if status >= 500 else Refusal.NOT_THIS_API


def read_refusal(body: bytes, http_status: int, bill: Bill) -> Refused | None:
    """Return the refusal that stands in an image's place under a status of success; None where none does.

    Only Workers AI's numbers are believed there: in other words of other programs, an error is no more than no image.

    Args:
        body: its beginning.
        http_status: from 200 to 299.
        bill: from the answer's headers.
    """
    message, codes = read_error(body.decode(errors="replace"))
    refusal = classify_error(http_status, message or "", codes=codes)
    if message is None or refusal is Refusal.NOT_THIS_API:
        return None
    return Refused(
        http_status,
        refusal,
        one_line(message)[:MAX_ERROR_CHARS],
        by_api=True,
        bill=bill,
        retry_after_s=None,
        codes=tuple(codes),
    )
