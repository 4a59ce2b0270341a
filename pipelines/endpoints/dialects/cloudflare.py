"""The language of Cloudflare's Workers AI, asked over its REST API or through an AI Gateway. No I/O.

Sources: developers.cloudflare.com/workers-ai, /ai-gateway.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from pipelines.common.addresses import normalize
from pipelines.endpoints.answers import Bill, Refusal
from pipelines.endpoints.dialects.dialect import JsonAnswer, ProbeAnswer
from pipelines.endpoints.dialects.figures import possible_cost, read_decimal
from pipelines.endpoints.error_table import classify_error, read_error
from pipelines.endpoints.models import ImageModel
from pipelines.endpoints.requests import HttpCall, ImageRequest

NEURONS_HEADER = "cf-ai-neurons"
# An AI Gateway may keep answers, and would give two takes of one prompt the same picture.
SKIP_CACHE_HEADER = "cf-aig-skip-cache"

_REST_HOST = "api.cloudflare.com"
_GATEWAY_HOST = "gateway.ai.cloudflare.com"
_ACCOUNTS = "/client/v4/accounts/"
# What follows in a path, a model's name for example, is not part of the address.
_REST_PATH = re.compile(f".*{_ACCOUNTS}[^/]+")
_GATEWAY_PATH = re.compile("(.*)/v1/([^/]+)/[^/]+")


@dataclass(frozen=True, slots=True)
class CloudflareDialect:
    """The dialect; see `Dialect`. An address is that of an account, or of a gateway."""

    name: str = "cloudflare"
    picture_keys: frozenset[str] = frozenset({"image"})
    states_bills: bool = True

    def is_spoken_at(self, address: str) -> bool:
        """Return whether it is one of Cloudflare's own, or has the path of an account."""
        return _host(address) in (_REST_HOST, _GATEWAY_HOST) or _ACCOUNTS in urlsplit(address).path

    def limited_as(self, address: str) -> str:
        """Return the account's address: all its models, and all gateways to them, share one limit."""
        parts = urlsplit(normalize(address))
        if account := _REST_PATH.match(parts.path):
            return urlunsplit(parts._replace(path=account[0]))
        if gateway := _GATEWAY_PATH.match(parts.path):
            host = _REST_HOST if parts.netloc == _GATEWAY_HOST else parts.netloc
            return urlunsplit(parts._replace(netloc=host, path=f"{gateway[1]}{_ACCOUNTS}{gateway[2]}"))
        return normalize(address)

    def image_call(self, address: str, request: ImageRequest, model: ImageModel) -> HttpCall:
        """Return the call that asks for an image."""
        fields = _fields(request, model)
        if _family(model).startswith("flux-2-"):
            form = {name: str(value) for name, value in fields.items()}
            return HttpCall(_model_url(address, model), headers=_headers(address), form=form)
        return HttpCall(_model_url(address, model), headers=_headers(address), json=fields)

    def read_bill(self, headers: Mapping[str, str], model: ImageModel) -> Bill:
        """Return the bill in an answer's headers: the neurons, and what they cost beyond the free allowance."""
        neurons = read_decimal(headers.get(NEURONS_HEADER))
        if neurons is None:
            return Bill()
        return Bill(cost_usd=possible_cost(neurons * model.usage_rates.usd_per_neuron), neurons=neurons)

    def read_json(self, body: Mapping[str, Any], model: ImageModel) -> JsonAnswer:  # noqa: ARG002
        """Return the link that some models answer with in place of a picture."""
        result = body.get("result")
        image = result.get("image") if isinstance(result, dict) else None
        return JsonAnswer(picture_url=image if isinstance(image, str) and image else None)

    def probe_call(self, address: str, model: ImageModel) -> HttpCall:
        """Return a request without a prompt, which is refused and costs nothing."""
        return HttpCall(_model_url(address, model), headers=_headers(address), json={})

    def read_probe(self, http_status: int, body: bytes) -> ProbeAnswer:
        """Return what the refusal says: that the prompt is missing, where all is well."""
        error = read_error(body.decode(errors="replace"))
        refusal = classify_error(http_status, error.message or "", codes=error.codes)
        if error.message is None or refusal is Refusal.NOT_THIS_API:
            return ProbeAnswer(speaks=False)
        if refusal is Refusal.CREDENTIALS:
            return ProbeAnswer(speaks=True, token_ok=False)
        if refusal is Refusal.MODEL:
            return ProbeAnswer(speaks=True, token_ok=True, model_ok=False)
        return ProbeAnswer(speaks=True, token_ok=True, model_ok=True if refusal is Refusal.REJECTED else None)


DIALECT = CloudflareDialect()


def _host(address: str) -> str:
    return (urlsplit(address).hostname or "").removesuffix(".")


def _is_rest(address: str) -> bool:
    return _ACCOUNTS in urlsplit(address).path or _host(address) == _REST_HOST


def _model_url(address: str, model: ImageModel) -> str:
    """Return where a model is asked; an address may name one already, as people copy it."""
    parts = urlsplit(address)
    pattern, place = (_REST_PATH, "ai/run") if _is_rest(address) else (_GATEWAY_PATH, "workers-ai")
    found = pattern.match(parts.path)
    base = found[0] if found else parts.path.rstrip("/")
    return urlunsplit(parts._replace(path=f"{base}/{place}/{quote(model.id, safe='/@:')}"))


def _headers(address: str) -> dict[str, str]:
    return {} if _is_rest(address) else {SKIP_CACHE_HEADER: "true"}


def _family(model: ImageModel) -> str:
    """Return its name among Cloudflare's, without `@cf/` and its maker."""
    return model.id.rpartition("/")[2]


def _fields(request: ImageRequest, model: ImageModel) -> dict[str, object]:
    """Return what a model is asked, as its schema has it."""
    if _family(model) == "flux-1-schnell":
        # It has no other fields, and makes squares only.
        return {"prompt": request.prompt, "steps": model.steps_of(request)}
    size = model.size_of(request)
    fields: dict[str, object] = {"prompt": request.prompt, "width": size.width, "height": size.height}
    if model.abilities.max_steps is None:
        return fields
    return {**fields, "steps" if _family(model).startswith("flux-") else "num_steps": model.steps_of(request)}
