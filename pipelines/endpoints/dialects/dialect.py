"""Dialect: what has to be known of a kind of endpoint in order to ask it and to understand it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipelines.endpoints.answers import Bill
from pipelines.endpoints.models import ImageModel
from pipelines.endpoints.requests import HttpCall, ImageRequest


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """What the JSON around a picture says.

    Attributes:
        bill: what it costs, where that stands there.
        picture_url: where the picture is to be fetched, where it does not stand there itself.
    """

    bill: Bill = field(default_factory=Bill)
    picture_url: str | None = None


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """What an endpoint's answer to a probe says.

    Attributes:
        speaks: whether it is an answer of this dialect.
        token_ok: whether it takes the token; None where the answer does not tell.
        model_ok: whether it has the model; None where the answer does not tell.
    """

    speaks: bool
    token_ok: bool | None = None
    model_ok: bool | None = None


class Dialect(Protocol):
    """The language of a kind of endpoint. Pure: it neither sends nor reads anything itself.

    Addresses are what people give with `--endpoint`.
    """

    @property
    def name(self) -> str:
        """The value of `--dialect`."""
        ...

    @property
    def picture_keys(self) -> frozenset[str]:
        """The keys under which a picture stands as base64 in an answer's JSON; none where the body is the picture."""
        ...

    @property
    def states_bills(self) -> bool:
        """Whether an answer states its cost, so that one that does not has an unknown cost, not that of a list."""
        ...

    def is_spoken_at(self, address: str) -> bool:
        """Return whether endpoints at such an address speak it."""
        ...

    def limited_as(self, address: str) -> str:
        """Return the address that the rate limit belongs to: the same for all that share one."""
        ...

    def image_call(self, address: str, request: ImageRequest, model: ImageModel) -> HttpCall:
        """Return the call that asks for an image."""
        ...

    def read_bill(self, headers: Mapping[str, str], model: ImageModel) -> Bill:
        """Return the bill in an answer's headers (a mapping that ignores case)."""
        ...

    def read_json(self, body: Mapping[str, Any], model: ImageModel) -> JsonAnswer:
        """Return what the JSON of a 2xx says besides its picture."""
        ...

    def probe_call(self, address: str, model: ImageModel) -> HttpCall:
        """Return a call that costs nothing and shows whether the endpoint is there and takes the token."""
        ...

    def read_probe(self, http_status: int, body: bytes) -> ProbeAnswer:
        """Return what the answer to a probe says."""
        ...
