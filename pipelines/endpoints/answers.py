"""Answers of image APIs as data: the bill, and what a refusal means for the next attempt."""

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

# The API's own words for two of its errors (flux-api.md, "Error Responses").
AUTHENTICATION_ERROR = "Authentication error"
GENERATION_FAILED = "Failed to generate image"


@dataclass(frozen=True, slots=True)
class Bill:
    """What an answer's headers say it cost and made. A figure that is absent or unreadable is None, never zero."""

    cost_usd: Decimal | None = None
    cost_thb: Decimal | None = None
    neurons: Decimal | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    tiles: int | None = None
    model: str | None = None


class Refusal(StrEnum):
    """What an answer that is no image means for the next attempt."""

    RATE_LIMITED = "rate limited"
    REJECTED = "request rejected"
    CREDENTIALS = "credentials refused"
    ALLOCATION = "daily allocation used up"
    PROMPT = "prompt refused"
    CAPACITY = "out of capacity"
    SERVER = "server error"
    NOT_THIS_API = "not the FLUX API"


# Workers AI numbers its errors; the API passes the text on inside a 500.
_NUMBERED = {
    "3036": Refusal.ALLOCATION,
    "4006": Refusal.ALLOCATION,
    "3023": Refusal.CREDENTIALS,
    "5018": Refusal.CREDENTIALS,
    "3041": Refusal.CREDENTIALS,
    "5007": Refusal.REJECTED,
    "5004": Refusal.REJECTED,
    "3003": Refusal.REJECTED,
    "3030": Refusal.PROMPT,
    "3040": Refusal.CAPACITY,
    "3007": Refusal.SERVER,
    "3008": Refusal.SERVER,
}


# Statuses of the API itself, and those with which a proxy before it would say the same.
_BY_STATUS = {
    400: Refusal.REJECTED,
    401: Refusal.CREDENTIALS,
    403: Refusal.CREDENTIALS,
    408: Refusal.SERVER,
    413: Refusal.REJECTED,
    422: Refusal.REJECTED,
    425: Refusal.SERVER,
    429: Refusal.RATE_LIMITED,
}


_NUMBER = re.compile(r"(?<![0-9])(" + "|".join(_NUMBERED) + r")(?![0-9])")


def classify_refusal(status: int, message: str) -> Refusal:
    """Say what an answer other than 200 means, from its status and its error text."""
    if status < 500:
        return _BY_STATUS.get(status, Refusal.NOT_THIS_API)
    if AUTHENTICATION_ERROR.lower() in message.lower():
        return Refusal.CREDENTIALS
    if numbered := _NUMBER.search(message):
        return _NUMBERED[numbered[1]]
    if GENERATION_FAILED.lower() in message.lower():
        return Refusal.PROMPT
    return Refusal.SERVER
