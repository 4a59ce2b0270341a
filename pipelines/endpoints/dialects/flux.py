"""The language of the FLUX API (flux-api.md): requests, bills and errors, for its client and its server. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pipelines.common.addresses import normalize
from pipelines.common.geometry import AspectRatio, Size
from pipelines.common.printable import printable_name
from pipelines.endpoints.amounts import Price
from pipelines.endpoints.answers import Bill
from pipelines.endpoints.dialects.dialect import JsonAnswer, ProbeAnswer
from pipelines.endpoints.dialects.figures import possible_cost, read_decimal, read_whole_number
from pipelines.endpoints.models import ImageModel
from pipelines.endpoints.rates import tiles_of
from pipelines.endpoints.requests import DEFAULT_STEPS, HttpCall, ImageRequest

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
MAX_STEPS = 8
MAX_PROMPT_CHARS = 2048

# The texts of three errors (flux-api.md, "Error Codes").
PROMPT_REQUIRED = "Prompt is required"
AUTHENTICATION_ERROR = "Authentication error"
GENERATION_FAILED = "Failed to generate image"

_BAD_STEPS = f"Steps must be a whole number from 1 to {MAX_STEPS}"


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


def image_bill(price: Price, size: Size, *, steps: int, model: str) -> Bill:
    """Return the bill of an image.

    Args:
        price: of the image; baht are rounded to four places, as the API rounds them. One without neurons states none.
        size: of the image, in pixels.
        steps: the generation steps that were made.
        model: the model that generated it.
    """
    thb = round(price.thb, 4)
    return Bill(price.usd, thb, price.neurons, size.width, size.height, steps, tiles_of(size), model)


def headers_of(bill: Bill) -> dict[str, str]:
    """Return the headers that state a bill, without those for what is not known."""
    values = (
        _written(bill.cost_usd),
        _written(bill.cost_thb),
        _written(bill.neurons),
        _written(bill.width),
        _written(bill.height),
        _written(bill.steps),
        _written(bill.tiles),
        # Headers carry ASCII; some libraries refuse to send more.
        None if bill.model is None else printable_name(bill.model).encode("ascii", "backslashreplace").decode(),
    )
    return {name: value for name, value in zip(BILL_HEADERS, values, strict=True) if value is not None}


def _written(figure: Decimal | int | None) -> str | None:
    # Decimals without an exponent, as all clients read them.
    return None if figure is None else f"{Decimal(figure):f}"


@dataclass(frozen=True, slots=True)
class FluxDialect:
    """The dialect; see `Dialect`."""

    name: str = "flux"
    picture_keys: frozenset[str] = frozenset()
    states_bills: bool = True

    def is_spoken_at(self, address: str) -> bool:  # noqa: ARG002
        """Say no: any address may be one of this API, so it is what remains."""
        return False

    def limited_as(self, address: str) -> str:
        """Return the address itself."""
        return normalize(address)

    def image_call(self, address: str, request: ImageRequest, model: ImageModel) -> HttpCall:  # noqa: ARG002
        """Return the call that asks for an image; there is one model behind each address."""
        return HttpCall(address, json=request_body(request))

    def read_bill(self, headers: Mapping[str, str], model: ImageModel) -> Bill:  # noqa: ARG002
        """Return the bill in an answer's headers."""
        return read_bill(headers)

    def read_json(self, body: Mapping[str, Any], model: ImageModel) -> JsonAnswer:  # noqa: ARG002
        """Return nothing: the body is the picture."""
        return JsonAnswer()

    def probe_call(self, address: str, model: ImageModel) -> HttpCall:  # noqa: ARG002
        """Return a request without a prompt, which is refused and costs nothing."""
        return HttpCall(address, json={})

    def read_probe(self, http_status: int, body: bytes) -> ProbeAnswer:
        """Return what the refusal says; see flux-api.md, "Error Codes"."""
        text = body.decode(errors="replace").lower()
        if http_status in (401, 403) or AUTHENTICATION_ERROR.lower() in text:
            return ProbeAnswer(speaks=True, token_ok=False)
        speaks = http_status == 400 and PROMPT_REQUIRED.lower() in text
        return ProbeAnswer(speaks=speaks, token_ok=True if speaks else None)


DIALECT = FluxDialect()


def request_body(request: ImageRequest) -> dict[str, object]:
    """Return the JSON body of a request."""
    return {"prompt": request.prompt, "steps": request.steps, "aspectRatio": request.aspect.value}


def read_bill(headers: Mapping[str, str]) -> Bill:
    """Return the bill in an answer's headers (a mapping that ignores case, as httpx's does)."""
    return Bill(
        cost_usd=possible_cost(read_decimal(headers.get(COST_USD_HEADER))),
        cost_thb=read_decimal(headers.get(COST_THB_HEADER)),
        neurons=read_decimal(headers.get(NEURONS_HEADER)),
        width=read_whole_number(headers.get(WIDTH_HEADER)),
        height=read_whole_number(headers.get(HEIGHT_HEADER)),
        steps=read_whole_number(headers.get(STEPS_HEADER)),
        tiles=read_whole_number(headers.get(TILES_HEADER)),
        model=printable_name(model) if (model := headers.get(MODEL_HEADER)) is not None else None,
    )
