"""The language of the FLUX API (flux-api.md): requests, bills and errors, for its client and its server. No I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from pipelines.common.geometry import AspectRatio, Size
from pipelines.common.printable import printable_name
from pipelines.endpoints.answers import Bill
from pipelines.endpoints.prices import Price, tiles_of

# flux-api.md, "Response". The last is an addition of storyreel's own server, by which sketches are recognized.
COST_USD_HEADER = "X-Cost-USD"
COST_THB_HEADER = "X-Cost-THB"
NEURONS_HEADER = "X-Neurons-Used"
WIDTH_HEADER = "X-Image-Width"
HEIGHT_HEADER = "X-Image-Height"
STEPS_HEADER = "X-Steps"
TILES_HEADER = "X-Tiles"
MODEL_HEADER = "X-Model"
BILL_HEADERS = (
    COST_USD_HEADER,
    COST_THB_HEADER,
    NEURONS_HEADER,
    WIDTH_HEADER,
    HEIGHT_HEADER,
    STEPS_HEADER,
    TILES_HEADER,
    MODEL_HEADER,
)

# flux-api.md, "Parameters"; the longest prompt is Workers AI's bound for FLUX.1 schnell.
DEFAULT_STEPS = 4
MAX_STEPS = 8
MAX_PROMPT_CHARS = 2048

# The texts of three errors (flux-api.md, "Error Codes").
PROMPT_REQUIRED = "Prompt is required"
AUTHENTICATION_ERROR = "Authentication error"
GENERATION_FAILED = "Failed to generate image"

_BAD_STEPS = f"Steps must be a whole number from 1 to {MAX_STEPS}"
# Far above any image's price. What says more is no cost; and the ledger's sums hold nine million in all.
_MOST_USD = Decimal(1000)
# A figure as a program writes it; Decimal itself also takes underscores and the digits of other scripts.
_FIGURE = re.compile(r"([0-9]{1,16}(\.[0-9]{0,32})?|\.[0-9]{1,32})([eE][+-]?[0-9]{1,2})?")


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """One request for an image.

    Attributes:
        prompt: the image's description, 1 to 2,048 characters.
        steps: the generation steps, 1 to 8; more are better and slower, and cost more.
        aspect: the image's aspect ratio.
    """

    prompt: str
    steps: int = DEFAULT_STEPS
    aspect: AspectRatio = AspectRatio.SQUARE

    def body(self) -> dict[str, str | int]:
        """Return the JSON body of the request."""
        return {"prompt": self.prompt, "steps": self.steps, "aspectRatio": self.aspect.value}


class BadRequestError(ValueError):
    """A request body that the API answers with 400; the message is the answer's `error`."""


def parse_request(body: object) -> ImageRequest:
    """Return the request of a decoded JSON body, with the documented defaults for what it leaves out.

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
        raise BadRequestError(_BAD_STEPS)
    if not 1 <= value <= MAX_STEPS:
        raise BadRequestError(_BAD_STEPS)
    return int(value)


def _parse_aspect(value: object) -> AspectRatio:
    try:
        return AspectRatio(value)  # type: ignore[arg-type]  # any other type is simply no member
    except ValueError as exc:
        raise BadRequestError("aspectRatio must be one of " + ", ".join(AspectRatio)) from exc


def bill_headers(price: Price, size: Size, *, steps: int, model: str) -> dict[str, str]:
    """Return the headers of an image answer.

    Args:
        price: of the image; baht are rounded to four places, as the API rounds them.
        size: of the image, in pixels.
        steps: the generation steps that were made.
        model: the model that generated it.
    """
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
    """Return the bill in an answer's headers (a mapping that ignores case, as httpx's does)."""
    return Bill(
        cost_usd=_cost_usd(headers.get(COST_USD_HEADER)),
        cost_thb=_decimal(headers.get(COST_THB_HEADER)),
        neurons=_decimal(headers.get(NEURONS_HEADER)),
        width=_whole_number(headers.get(WIDTH_HEADER)),
        height=_whole_number(headers.get(HEIGHT_HEADER)),
        steps=_whole_number(headers.get(STEPS_HEADER)),
        tiles=_whole_number(headers.get(TILES_HEADER)),
        model=printable_name(model) if (model := headers.get(MODEL_HEADER)) is not None else None,
    )


def _cost_usd(text: str | None) -> Decimal | None:
    cost = _decimal(text)
    return None if cost is None or cost > _MOST_USD else cost


def _decimal(text: str | None) -> Decimal | None:
    """Return a figure that is at least 0 and below a million; None for anything else, which is not a price."""
    if text is None or not _FIGURE.fullmatch(text.strip()):
        return None
    value = Decimal(text.strip())
    return value if value < 1_000_000 else None


def _whole_number(text: str | None) -> int | None:
    # Not int() alone, which also takes signs, blanks, underscores and digits of other scripts.
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,6}", text) else None
