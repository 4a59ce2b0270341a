"""The one table of errors: an answer that is no image, read by a number or code, then by words, then by its status.

Endpoints pass on the errors of what stands behind them, and under statuses of their own: a Worker answers 500 to nearly
everything. So what the seller wrote comes first, what the API itself says comes second, and its status last.
"""

import contextlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.common.printable import one_line
from pipelines.endpoints.answers import Bill, Refusal, Refused
from pipelines.endpoints.dialects.flux import AUTHENTICATION_ERROR, GENERATION_FAILED


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One meaning, and the signs of it. A row with a number and words needs both; otherwise each sign is enough.

    Attributes:
        refusal: the meaning.
        numbers: Workers AI's, and those of Cloudflare's API before it.
        codes: OpenAI's.
        words: texts, in small letters, that the message holds.
        statuses: HTTP's.
    """

    refusal: Refusal
    numbers: tuple[int, ...] = ()
    codes: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    statuses: tuple[int, ...] = ()

    def has_code(self, code: int | str, message: str) -> bool:
        """Return whether this row is meant by a number, or by a code, beside or in this message."""
        return code in self.codes or (code in self.numbers and (not self.words or self.has_words(message)))

    def has_words(self, message: str) -> bool:
        """Return whether the message holds one of the row's texts."""
        return any(word in message.lower() for word in self.words)


# Numbers: developers.cloudflare.com/workers-ai/platform/errors; those marked "seen" are not listed there. Codes:
# platform.openai.com/docs/guides/error-codes, and seen. Statuses: RFC 9110, but for 425 (RFC 8470) and 429 (RFC 6585).
# The first row that fits counts.
ERROR_TABLE = (
    # 3036: account limited. 4006 (seen): "you have used up your daily free allocation of 10,000 neurons".
    ErrorRow(Refusal.ALLOCATION, numbers=(3036, 4006)),
    # 3023: account blocked. 3041, 5018: account not allowed for a private model. 5016: its terms are not agreed to.
    # 5035 (seen): not in this account's plan.
    ErrorRow(Refusal.CREDENTIALS, numbers=(3023, 3041, 5016, 5018, 5035)),
    # Cloudflare's API (seen). 6003: nothing that could be a token. 9109: a token that is not valid. 10000: not allowed.
    ErrorRow(Refusal.CREDENTIALS, numbers=(6003, 9109, 10000), codes=("invalid_api_key",)),
    # 2001 (seen): no such gateway. 7000, 7003 (seen): no route, so that the account or the address is wrong.
    ErrorRow(Refusal.NOT_THIS_API, numbers=(2001, 7000, 7003)),
    # Under 429, as what passes with time is, and under 400.
    ErrorRow(Refusal.CREDIT, codes=("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")),
    # OpenAI's words for it, where a server in between has passed them on without the code.
    ErrorRow(Refusal.CREDIT, words=("exceeded your current quota",)),
    # 3039: the fine-tune lacks files. 3042: invalid model ID. 5007: no such model. 5019: a version that is retired.
    ErrorRow(Refusal.MODEL, numbers=(3039, 3042, 5007, 5019), codes=("model_not_found",)),
    # 3003: headers or body are missing. 3006: too large. 5004: invalid data. 5005: LoRA is not supported. 5006 (seen):
    # the input does not match the model's schema.
    ErrorRow(Refusal.REJECTED, numbers=(3003, 3006, 5004, 5005, 5006)),
    # 3030, 8007 (both seen): often a false alarm that passes on a second try.
    ErrorRow(Refusal.PROMPT, numbers=(3030,), codes=("content_policy_violation", "moderation_blocked")),
    ErrorRow(Refusal.PROMPT, numbers=(8007,), words=("nsfw",)),
    # 3040: no more data centers to forward the request to. It never reached a model.
    ErrorRow(Refusal.CAPACITY, numbers=(3040,)),
    # 3007: time-out. 3008: aborted. 8007 (seen): the model failed.
    ErrorRow(Refusal.SERVER, numbers=(3007, 3008, 8007)),
    # 3021 (seen): too many requests a minute.
    ErrorRow(Refusal.RATE_LIMITED, numbers=(3021,), codes=("rate_limit_exceeded",)),
    ErrorRow(Refusal.PROMPT, words=("nsfw",)),
    ErrorRow(Refusal.CREDENTIALS, words=(AUTHENTICATION_ERROR.lower(),)),
    # flux-api.md, "Error Codes": "Retry with different prompt". Workers AI's own reason may be quoted in it: see above.
    ErrorRow(Refusal.PROMPT, words=(GENERATION_FAILED.lower(),)),
    ErrorRow(Refusal.RATE_LIMITED, statuses=(429,)),
    ErrorRow(Refusal.CREDIT, statuses=(402,)),
    ErrorRow(Refusal.CREDENTIALS, statuses=(401, 403)),
    ErrorRow(Refusal.REJECTED, statuses=(400, 409, 413, 422)),
    ErrorRow(Refusal.SERVER, statuses=(408, 425)),
)

# What is read of an error, in bytes, and what is kept of its text.
MAX_ERROR_BYTES = 64 << 10
MAX_ERROR_CHARS = 500
# Cloudflare's API has some of five digits.
_DIGITS = "[0-9]{4,5}"
# As Workers AI writes it, alone or after the name of an error. The same digits elsewhere may be a request's id.
_NUMBER = re.compile(f"(?:^|: )({_DIGITS})(?=:)")


@dataclass(frozen=True, slots=True)
class ErrorText:
    """What an error's body says.

    Attributes:
        message: its text; None where it is something else's.
        codes: the numbers and codes that it states besides.
    """

    message: str | None = None
    codes: tuple[int | str, ...] = ()


def read_error(text: str) -> ErrorText:
    """Read an error's body.

    The API says `{"error": "..."}`; OpenAI's `{"error": {"message": "...", "type": "...", "code": "..."}}`;
    Cloudflare's `{"errors": [{"code": 3040, "message": "..."}]}`, and its gateways the same as `error`.
    """
    with contextlib.suppress(ValueError, TypeError, AttributeError, LookupError, RecursionError):
        body = json.loads(text)
        error = body.get("error")
        if error is None:
            return _read_objects(errors) if (errors := body.get("errors")) else ErrorText()
        objects = error if isinstance(error, list) else [error]
        return _read_objects(objects) if isinstance(objects[0], dict) else ErrorText(str(error))
    return ErrorText()


def _read_objects(errors: Sequence[Mapping[str, Any]]) -> ErrorText:
    """Read errors that are objects of a text and a code."""
    codes = [code for error in errors for code in (error.get("code"), error.get("type")) if isinstance(code, int | str)]
    message = "; ".join(str(error.get("message") or error) for error in errors)
    return ErrorText(message, tuple(map(_code, codes)))


def _code(stated: int | str) -> int | str:
    return int(stated) if re.fullmatch(_DIGITS, str(stated)) else str(stated)


def classify_error(status: int, message: str, *, codes: Iterable[int | str] = ()) -> Refusal:
    """Return the meaning of an answer that is no image.

    Args:
        status: its HTTP status.
        message: its error text.
        codes: the numbers and codes that its body states besides, as `errors[].code` does.
    """
    stated = [*codes, *(int(number) for number in _NUMBER.findall(message))]
    by_code = (row for code in stated for row in ERROR_TABLE if row.has_code(code, message))
    by_words = (row for row in ERROR_TABLE if not row.numbers and status >= 400 and row.has_words(message))
    by_status = (row for row in ERROR_TABLE if status in row.statuses)
    for rows in (by_code, by_words, by_status):
        if row := next(rows, None):
            return row.refusal
    return Refusal.SERVER if status >= 500 else Refusal.NOT_THIS_API


def read_refusal(body: bytes, http_status: int, bill: Bill) -> Refused | None:
    """Return the refusal that stands in an image's place under a status of success; None where none does.

    Only numbers and codes of the table are believed there: in other words of other programs, an error is no more than
    no image.

    Args:
        body: its beginning.
        http_status: from 200 to 299.
        bill: from the answer's headers.
    """
    error = read_error(body.decode(errors="replace"))
    refusal = classify_error(http_status, error.message or "", codes=error.codes)
    if error.message is None or refusal is Refusal.NOT_THIS_API:
        return None
    message = one_line(error.message)[:MAX_ERROR_CHARS]
    return Refused(http_status, refusal, message, by_api=True, bill=bill, retry_after_s=None, codes=error.codes)
