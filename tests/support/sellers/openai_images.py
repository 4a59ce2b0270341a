"""OpenAI's images API; see platform.openai.com/docs/api-reference/images."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from tests.support.pictures import picture_bytes
from tests.support.sellers.seller import Asked, Reply, colour_of, json_reply

DALL_E = "dall-e-3"
GPT_IMAGE = "gpt-image-1"
USD_PER_INPUT_TOKEN = Decimal("0.000005")
USD_PER_OUTPUT_TOKEN = Decimal("0.00004")
_CREATED = 1_790_000_000
# What each size costs: in dollars, and in tokens at the highest quality.
_DALL_E_USD = {"1024x1024": Decimal("0.04"), "1792x1024": Decimal("0.08"), "1024x1792": Decimal("0.08")}
_GPT_IMAGE_TOKENS = {"1024x1024": 4160, "1536x1024": 6208, "1024x1536": 6240}


def error_reply(
    status: int, words: str, code: str | None, kind: str = "invalid_request_error", **headers: str
) -> Reply:
    """Return an error as the API writes it."""
    return json_reply(status, {"error": {"message": words, "type": kind, "param": None, "code": code}}, headers)


@dataclass
class OpenAIImages:
    """The seller; its pictures are all different."""

    def reply(self, asked: Asked) -> Reply:
        """Return the answer to a request with a good token."""
        if (asked.method, asked.path) == ("GET", "/v1/models"):
            models = [{"id": name, "object": "model", "created": _CREATED, "owned_by": "x"} for name in _MODELS]
            return json_reply(200, {"object": "list", "data": models})
        if (asked.method, asked.path) != ("POST", "/v1/images/generations"):
            return error_reply(404, f"Invalid URL ({asked.method} {asked.path})", None)
        return self._generate(asked)

    def unauthorized(self) -> Reply:
        """Return the answer to a token that is not known."""
        return error_reply(401, "Incorrect API key provided: ***.", "invalid_api_key")

    def _generate(self, asked: Asked) -> Reply:
        body = asked.json
        if body.get("model") not in _MODELS:
            return error_reply(404, f"The model '{body.get('model')}' does not exist.", "model_not_found")
        if not isinstance(body.get("prompt"), str) or not body["prompt"]:
            return error_reply(400, "Missing required parameter: 'prompt'.", "missing_required_parameter")
        if body.get("size", "1024x1024") not in _MODELS[body["model"]] or body.get("n", 1) != 1:
            return error_reply(400, f"Invalid value: '{body.get('size')}'.", "invalid_value")
        if "unsafe" in body["prompt"]:
            return error_reply(
                400, "Rejected by the safety system.", "moderation_blocked", "image_generation_user_error"
            )
        return _gpt_image(asked) if body["model"] == GPT_IMAGE else _dall_e(asked)


_MODELS: Mapping[str, Mapping[str, object]] = {DALL_E: _DALL_E_USD, GPT_IMAGE: _GPT_IMAGE_TOKENS}


def _dall_e(asked: Asked) -> Reply:
    size = asked.json.get("size", "1024x1024")
    if asked.json.get("response_format", "url") != "b64_json":
        return error_reply(400, "This seller has no links.", "invalid_value")
    data = [{"b64_json": _picture(asked, size), "revised_prompt": asked.json["prompt"]}]
    return json_reply(200, {"created": _CREATED, "data": data}, cost_usd=_DALL_E_USD[size])


def _gpt_image(asked: Asked) -> Reply:
    if "response_format" in asked.json:
        return error_reply(400, "Unknown parameter: 'response_format'.", "unknown_parameter")
    size = asked.json.get("size", "1024x1024")
    read, made = len(asked.json["prompt"].split()), _GPT_IMAGE_TOKENS[size]
    usage = {
        "total_tokens": read + made,
        "input_tokens": read,
        "input_tokens_details": {"text_tokens": read, "image_tokens": 0},
        "output_tokens": made,
    }
    body = {"created": _CREATED, "data": [{"b64_json": _picture(asked, size)}], "usage": usage, "size": size}
    return json_reply(200, body, cost_usd=read * USD_PER_INPUT_TOKEN + made * USD_PER_OUTPUT_TOKEN)


def _picture(asked: Asked, size: str) -> str:
    width, _, height = size.partition("x")
    picture = picture_bytes("PNG", (int(width), int(height)), colour_of(asked))
    return base64.b64encode(picture).decode()
