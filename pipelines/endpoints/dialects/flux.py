"""The FLUX API on the wire: what a request and an answer say. No I/O; client and server both speak through here.

The contract is flux-api.md; the Cloudflare error numbers are those of Workers AI, which may arrive inside a 500's text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from pipelines.common.geometry import AspectRatio, Size
from pipelines.endpoints.answers import Bill
from pipelines.endpoints.prices import Price, tiles_of

COST_USD_HEADER = "X-Cost-USD"
COST_THB_HEADER = "X-Cost-THB"
NEURONS_HEADER = "X-Neurons-Used"
WIDTH_HEADER = "X-Image-Width"
HEIGHT_HEADER = "X-Image-Height"
STEPS_HEADER = "X-Steps"
TILES_HEADER = "X-Tiles"
MODEL_HEADER = "X-Model"

DEFAULT_STEPS = 4
MAX_STEPS = 8
MAX_PROMPT_CHARS = 2048

PROMPT_REQUIRED = "Prompt is required"


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """What one attempt asks for."""

    prompt: str
    steps: int = DEFAULT_STEPS
    aspect: AspectRatio = AspectRatio.SQUARE

    def body(self) -> dict[str, str | int]:
        """Return the JSON body of the request."""
        return {"prompt": self.prompt, "steps": self.steps, "aspectRatio": self.aspect.value}


class BadRequestError(ValueError):
    """A request body that the API answers with 400; the message is the answer's `error`."""


def parse_request(body: object) -> ImageRequest:
    """Read a decoded JSON body as the API does.

    Raises:
        BadRequestError: the body is not an object, the prompt is missing, or a field is out of its range.
    """
    if not isinstance(body, dict):
        raise BadRequestError("Request body must be a JSON object")
    return ImageRequest(
        _parse_prompt(body.get("prompt")),
        _parse_steps(body.get("steps", DEFAULT_STEPS)),
        _parse_aspect(body.get("aspectRatio", AspectRatio.SQUARE.value)),
    )


def _parse_prompt(value: object) -> str:
    if value is None or value == "":
        raise BadRequestError(PROMPT_REQUIRED)
    if not isinstance(value, str):
        raise BadRequestError("Prompt must be a string")
    if not value.strip():
        raise BadRequestError(PROMPT_REQUIRED)
    if len(value) > MAX_PROMPT_CHARS:
        raise BadRequestError(f"Prompt must be at most {MAX_PROMPT_CHARS} characters")
    return value


def _parse_steps(value: object) -> int:
    # JSON has one number type: 4.0 is 4. Booleans are numbers in Python only.
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise BadRequestError(f"Steps must be a whole number from 1 to {MAX_STEPS}")
    if not 1 <= value <= MAX_STEPS:
        raise BadRequestError(f"Steps must be a whole number from 1 to {MAX_STEPS}")
    return int(value)


def _parse_aspect(value: object) -> AspectRatio:
    try:
        return AspectRatio(value)  # type: ignore[arg-type]  # any other type is simply no member
    except ValueError as exc:
        raise BadRequestError("aspectRatio must be one of " + ", ".join(AspectRatio)) from exc


def bill_headers(price: Price, size: Size, *, steps: int, model: str) -> dict[str, str]:
    """Return the headers of an image answer; baht rounded to four places, as the API does."""
    return {
        COST_USD_HEADER: f"{price.usd:f}",
        COST_THB_HEADER: f"{price.thb:.4f}",
        NEURONS_HEADER: f"{price.neurons:f}",
        WIDTH_HEADER: str(size.width),
        HEIGHT_HEADER: str(size.height),
        STEPS_HEADER: str(steps),
        TILES_HEADER: str(tiles_of(size)),
        MODEL_HEADER: model,
    }


def read_bill(headers: Mapping[str, str]) -> Bill:
    """Read the bill from an answer's headers (a mapping that ignores case, as httpx's does)."""
    return Bill(
        cost_usd=_decimal(headers.get(COST_USD_HEADER)),
        cost_thb=_decimal(headers.get(COST_THB_HEADER)),
        neurons=_decimal(headers.get(NEURONS_HEADER)),
        width=_whole(headers.get(WIDTH_HEADER)),
        height=_whole(headers.get(HEIGHT_HEADER)),
        steps=_whole(headers.get(STEPS_HEADER)),
        tiles=_whole(headers.get(TILES_HEADER)),
        model=headers.get(MODEL_HEADER),
    )


def _decimal(text: str | None) -> Decimal | None:
    """Read a figure that is at least 0 and below a million; anything else is not a price."""
    try:
        value = Decimal(text) if text is not None else None
    except InvalidOperation:
        return None
    if value is None or not value.is_finite() or not 0 <= value < 1_000_000:
        return None
    return value


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,6}", text) else None
