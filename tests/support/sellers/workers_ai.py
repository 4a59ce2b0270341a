"""Cloudflare's Workers AI as its REST API and its AI Gateway answer; see developers.cloudflare.com/workers-ai."""

import base64
import email
import re
from dataclasses import dataclass, field
from decimal import Decimal
from urllib.parse import unquote

from tests.support.pictures import picture_bytes
from tests.support.sellers.seller import Asked, Reply, colour_of, json_reply

ACCOUNT = "0123456789abcdef"
GATEWAY = "film"
SCHNELL = "@cf/black-forest-labs/flux-1-schnell"
KLEIN = "@cf/black-forest-labs/flux-2-klein-4b"
LUCID = "@cf/leonardo/lucid-origin"
_USD_PER_NEURON = Decimal("0.000011")
_REST = re.compile(rf"/client/v4/accounts/{ACCOUNT}/ai/run/(.+)")
_THROUGH_GATEWAY = re.compile(rf"/v1/{ACCOUNT}/{GATEWAY}/workers-ai/(?:run/)?(.+)")
_TILE = 512 * 512
_FIELDS = {
    SCHNELL: {"prompt", "steps", "seed"},
    LUCID: {"prompt", "guidance", "seed", "height", "width", "num_steps", "steps"},
}


@dataclass(frozen=True, slots=True)
class _Refusal(Exception):  # noqa: N818
    status: int
    number: int
    words: str


def error_reply(status: int, number: int, words: str, **headers: str) -> Reply:
    """Return an error as the API writes it."""
    errors = [{"code": number, "message": words}]
    return json_reply(status, {"result": None, "success": False, "errors": errors, "messages": []}, headers)


@dataclass
class WorkersAI:
    """The seller; its pictures are all different.

    Attributes:
        stubborn_cache: whether its gateway answers from its cache though it was asked not to.
    """

    stubborn_cache: bool = False
    _cached: dict[tuple[str, bytes], Reply] = field(default_factory=dict)

    def reply(self, asked: Asked) -> Reply:
        """Return the answer to a request with a good token."""
        path = unquote(asked.path.partition("?")[0])
        if found := _REST.fullmatch(path):
            return self._run(found[1], asked)
        if found := _THROUGH_GATEWAY.fullmatch(path):
            return self._through_gateway(found[1], asked)
        if path.startswith("/v1/"):
            errors = [{"code": 2001, "message": "Please configure AI Gateway in the Cloudflare dashboard"}]
            return json_reply(400, {"success": False, "result": [], "messages": [], "error": errors})
        return error_reply(404, 7003, f"Could not route to {path}, perhaps your object identifier is invalid?")

    def unauthorized(self) -> Reply:
        """Return the answer to a token that is not known."""
        return error_reply(401, 10000, "Authentication error")

    def _through_gateway(self, model: str, asked: Asked) -> Reply:
        skipped = asked.headers.get("cf-aig-skip-cache") == "true" and not self.stubborn_cache
        cached = self._cached.get((model, asked.body))
        if cached and not skipped:
            return Reply(200, cached.body, {**cached.headers, "cf-aig-cache-status": "HIT"}, cost_usd=cached.cost_usd)
        reply = self._run(model, asked)
        if reply.status == 200:
            self._cached[model, asked.body] = reply
        return reply

    def _run(self, model: str, asked: Asked) -> Reply:
        try:
            width, height, neurons = _order(model, asked)
        except _Refusal as refusal:
            return error_reply(refusal.status, refusal.number, refusal.words)
        picture = picture_bytes("JPEG", (width, height), colour_of(asked))
        body = {
            "result": {"image": base64.b64encode(picture).decode()},
            "success": True,
            "errors": [],
            "messages": [],
        }
        headers = {"cf-ai-neurons": f"{neurons:.2f}"}
        return json_reply(200, body, headers, cost_usd=neurons.quantize(Decimal("0.01")) * _USD_PER_NEURON)


def _order(model: str, asked: Asked) -> tuple[int, int, Decimal]:
    """Return the size in pixels and the neurons of what is asked for."""
    _require_known(model, asked.json)
    if model == SCHNELL:
        steps = _number(asked.json, "steps", default=4, most=8)
        _require_prompt(asked.json)
        return 1024, 1024, 4 * Decimal("4.8") + steps * Decimal("9.6")
    if model == KLEIN:
        fields = _form(asked)
        _require_prompt(fields)
        width, height = (int(fields.get(name, "1024")) for name in ("width", "height"))
        return width, height, -(-width * height // _TILE) * Decimal("26.05")
    if model == LUCID:
        _require_prompt(asked.json)
        width, height = (_number(asked.json, name, default=1120, most=2500) for name in ("width", "height"))
        steps = _number(asked.json, "num_steps", default=25, most=40)
        return width, height, -(-width * height // _TILE) * Decimal(636) + steps * Decimal(12)
    raise _Refusal(400, 5007, f"No such model {model} or task")


def _require_known(model: str, fields: object) -> None:
    unknown = set(fields) - _FIELDS[model] if isinstance(fields, dict) and model in _FIELDS else set()
    if unknown:
        raise _Refusal(400, 5006, f"Error: Additional property '{min(unknown)}' is not allowed at '/'")


def _require_prompt(fields: object) -> None:
    prompt = fields.get("prompt") if isinstance(fields, dict) else None
    if not isinstance(prompt, str) or not prompt:
        raise _Refusal(400, 5006, "Error: required properties at '/' are 'prompt'")
    if len(prompt) > 2048:
        raise _Refusal(400, 5006, "Error: Length of '/prompt' must be <= 2048")
    if "NSFW" in prompt:
        raise _Refusal(400, 3030, "AiError: 3030: Input prompt contains NSFW content.")


def _number(fields: object, name: str, *, default: int, most: int) -> int:
    value = fields.get(name, default) if isinstance(fields, dict) else default
    if not isinstance(value, int) or not 1 <= value <= most:
        raise _Refusal(400, 5006, f"Error: '/{name}' must be <= {most}")
    return value


def _form(asked: Asked) -> dict[str, str]:
    kind = asked.headers.get("Content-Type", "")
    if not kind.startswith("multipart/form-data"):
        raise _Refusal(400, 5006, "Error: required properties at '/' are 'multipart'")
    parts = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + asked.body)
    fields = {}
    for part in parts.get_payload():
        assert isinstance(part, email.message.Message)
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        fields[str(part.get_param("name", header="Content-Disposition"))] = content.decode()
    return fields
