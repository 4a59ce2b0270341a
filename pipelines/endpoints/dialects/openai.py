"""The language of OpenAI's images API, which many sellers and servers of one's own speak. No I/O.

Source: platform.openai.com/docs/api-reference/images/create.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pipelines.common.addresses import normalize
from pipelines.endpoints.answers import Bill, Refusal
from pipelines.endpoints.dialects.dialect import JsonAnswer, ProbeAnswer
from pipelines.endpoints.dialects.figures import possible_cost
from pipelines.endpoints.error_table import classify_error, read_error
from pipelines.endpoints.models import ImageModel, UsageRates
from pipelines.endpoints.requests import HttpCall, ImageRequest

_IMAGES = "/images/generations"
_MOST_TOKENS = 1_000_000


@dataclass(frozen=True, slots=True)
class OpenAIDialect:
    """The dialect; see `Dialect`. An address is what stands before `/images/generations`, or the whole."""

    name: str = "openai"
    # Some servers answer with a data URL where a link is due.
    picture_keys: frozenset[str] = frozenset({"b64_json", "url"})
    states_bills: bool = False

    def is_spoken_at(self, address: str) -> bool:
        """Return whether it ends as addresses of this API do."""
        return urlsplit(address).path.rstrip("/").endswith(("/v1", _IMAGES))

    def limited_as(self, address: str) -> str:
        """Return the address before `/images/generations`."""
        return normalize(_url(address, ""))

    def image_call(self, address: str, request: ImageRequest, model: ImageModel) -> HttpCall:
        """Return the call that asks for an image."""
        size = model.size_of(request)
        fields: dict[str, object] = {
            "model": model.id,
            "prompt": request.prompt,
            "n": 1,
            "size": f"{size.width}x{size.height}",
        }
        # Those answer with base64 alone, and refuse to be asked for it.
        if not model.name.startswith(("gpt-image-", "chatgpt-image-")):
            fields["response_format"] = "b64_json"
        return HttpCall(_url(address, _IMAGES), json=fields)

    def read_bill(self, headers: Mapping[str, str], model: ImageModel) -> Bill:  # noqa: ARG002
        """Return nothing: what is billed stands in the body, if anywhere."""
        return Bill()

    def read_json(self, body: Mapping[str, Any], model: ImageModel) -> JsonAnswer:
        """Return what the tokens cost that were used, where they have a price; and the picture's link."""
        data = body.get("data")
        first = data[0] if isinstance(data, list) and data else None
        url = first.get("url") if isinstance(first, dict) else None
        cost_usd = _cost_of_tokens(body.get("usage"), model.usage_rates)
        return JsonAnswer(Bill(cost_usd=cost_usd), url if isinstance(url, str) and url else None)

    def probe_call(self, address: str, model: ImageModel) -> HttpCall:  # noqa: ARG002
        """Return a request for the list of models, which costs nothing."""
        return HttpCall(_url(address, "/models"), method="GET")

    def read_probe(self, http_status: int, body: bytes) -> ProbeAnswer:
        """Return what the list, or the refusal of it, says."""
        if http_status == 200:
            speaks = _is_json_object(body)
            return ProbeAnswer(speaks, token_ok=True if speaks else None)
        error = read_error(body.decode(errors="replace"))
        refusal = classify_error(http_status, error.message or "", codes=error.codes)
        if refusal is Refusal.CREDENTIALS:
            return ProbeAnswer(speaks=True, token_ok=False)
        return ProbeAnswer(speaks=error.message is not None and refusal is not Refusal.NOT_THIS_API)


DIALECT = OpenAIDialect()


def _url(address: str, ending: str) -> str:
    """Return an address with another ending in place of `/images/generations`, if it has that."""
    parts = urlsplit(address)
    base = parts.path.rstrip("/").removesuffix(_IMAGES)
    return urlunsplit(parts._replace(path=f"{base.rstrip('/')}{ending}"))


def _cost_of_tokens(usage: object, rates: UsageRates) -> Decimal | None:
    """Return what an answer's `usage` costs in US dollars: input x its price + output x its price."""
    if not isinstance(usage, dict) or rates.usd_per_input_token is None or rates.usd_per_output_token is None:
        return None
    read, made = _tokens(usage.get("input_tokens")), _tokens(usage.get("output_tokens"))
    # No picture is made of no tokens: servers that count none say 0.
    if read is None or not made:
        return None
    return possible_cost(read * rates.usd_per_input_token + made * rates.usd_per_output_token)


def _tokens(value: object) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS
    return value if is_count and isinstance(value, int) else None


def _is_json_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False
