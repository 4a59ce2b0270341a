"""Requests as data: for an image, in no language yet; and over HTTP, as a dialect puts them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipelines.common.geometry import AspectRatio

DEFAULT_STEPS = 4


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """One request for an image.

    Attributes:
        prompt: the image's description, 1 to 2,048 characters.
        steps: the generation steps, 1 to 8; more are better and slower, and may cost more.
        aspect: the image's aspect ratio.
    """

    prompt: str
    steps: int = DEFAULT_STEPS
    aspect: AspectRatio = AspectRatio.SQUARE


@dataclass(frozen=True, slots=True)
class HttpCall:
    """One request over HTTP, but for the token, which the client adds.

    Attributes:
        url: the whole address.
        method: GET or POST.
        headers: besides the client's own.
        json: the body as JSON; None for none.
        form: the body as fields of multipart/form-data; None for none.
    """

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, object] | None = None
    form: Mapping[str, str] | None = None
