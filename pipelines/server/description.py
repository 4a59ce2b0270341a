"""What the API says of itself: lines for a person who opens its address, and an OpenAPI document for programs."""

import shlex
from dataclasses import dataclass
from typing import Any

from pipelines.common.geometry import AspectRatio
from pipelines.endpoints.dialects.flux import (
    COST_THB_HEADER,
    COST_USD_HEADER,
    HEIGHT_HEADER,
    MAX_PROMPT_CHARS,
    MAX_STEPS,
    MODEL_HEADER,
    NEURONS_HEADER,
    STEPS_HEADER,
    TILES_HEADER,
    WIDTH_HEADER,
)
from pipelines.endpoints.requests import DEFAULT_STEPS

_FIGURE = {"type": "string", "pattern": r"^\d+(\.\d+)?$"}
_COUNT = {"type": "integer", "minimum": 1}


@dataclass(frozen=True, slots=True)
class Service:
    """What is to be said of a server.

    Attributes:
        real: whether its images come from another endpoint, and cost what that bills.
        token: whether requests must carry one.
    """

    real: bool = False
    token: bool = False


REHEARSAL = Service()


def example_request(address: str, service: Service = REHEARSAL) -> str:
    """Return a command for a shell that asks the API at `address` for an image."""
    token = '-H "Authorization: Bearer $STORYREEL_SERVE_TOKEN" ' if service.token else ""
    return (
        f"""curl -X POST {shlex.quote(address)} {token}-H "Content-Type: application/json" """
        """-d '{"prompt": "a harbor at dawn"}' -o image.png"""
    )


def welcome(address: str, service: Service = REHEARSAL) -> str:
    """Return the text that a browser shows of the API at `address`."""
    if service.real:
        origin = "passes it on. Its images come from another endpoint, and cost what that bills."
    else:
        origin = "serves it for rehearsal. Its images are sketches, and cost nothing."
    billed = "was billed" if service.real else "would have been billed"
    return (
        f"This is the FLUX API as storyreel {origin}\n\n"
        f"  {example_request(address, service)}\n\n"
        f"/openapi.json describes it for programs; /_stats says what {billed}.\n"
    )


def openapi_document(service: Service = REHEARSAL) -> dict[str, Any]:
    """Return the description of `POST /` as an OpenAPI 3.1 document."""
    rehearsal = "serves it for rehearsal: costs are simulated."
    real = "passes it on to another endpoint, which bills it."
    document: dict[str, Any] = {
        "openapi": "3.1.1",
        "info": {
            "title": "FLUX Image Generation API",
            "version": "1",
            "description": f"Text to image, as storyreel {real if service.real else rehearsal}",
        },
        "servers": [{"url": "/"}],
        "paths": {"/": {"post": _post_operation(real=service.real)}},
        "components": {
            "schemas": {"ImageRequest": _request_schema(), "Error": _error_schema()},
        },
    }
    if service.token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document


def _post_operation(*, real: bool) -> dict[str, Any]:
    types = ("image/png", "image/jpeg", "image/webp") if real else ("image/png",)
    responses = {
        "200": {
            "description": "The image, and what it cost.",
            # An endpoint may state less.
            "headers": _bill_headers(required=not real),
            "content": {media_type: {} for media_type in types},
        },
        "400": _error("The request is not understood; nothing is billed."),
        "429": {**_error("There were too many requests in the last minute."), "headers": _retry_header()},
        "500": _error("The request is not authenticated, or gave no image."),
    }
    if real:
        responses["502"] = _error("The endpoint cannot be reached, or its answer is no image, which the text says.")
        responses["504"] = _error("The endpoint did not answer; the request may have been billed.")
        responses["default"] = _error("As the endpoint answered it.")
    return {
        "operationId": "generateImage",
        "summary": "Generate an image",
        "requestBody": {"required": True, "content": _json_of("ImageRequest")},
        "responses": responses,
    }


def _request_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["prompt"],
        "properties": {
            "prompt": {
                "type": "string",
                "description": "What the image shows.",
                # At least one character that is not blank.
                "pattern": r"\S",
                "maxLength": MAX_PROMPT_CHARS,
            },
            "steps": {
                "type": "integer",
                "description": "More are better and slower, and cost more.",
                "minimum": 1,
                "maximum": MAX_STEPS,
                "default": DEFAULT_STEPS,
            },
            "aspectRatio": {
                "type": "string",
                "description": "Sizes: " + ", ".join(f"{aspect} is {aspect.size}" for aspect in AspectRatio) + ".",
                "enum": [aspect.value for aspect in AspectRatio],
                "default": AspectRatio.SQUARE.value,
            },
        },
    }


def _error_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "string", "description": "What is wrong."}},
        "additionalProperties": False,
    }


def _bill_headers(*, required: bool) -> dict[str, Any]:
    headers = {
        COST_USD_HEADER: _header("The cost in US dollars.", _FIGURE),
        COST_THB_HEADER: _header("The cost in Thai baht, rounded to four places.", _FIGURE),
        NEURONS_HEADER: _header("The processing units used.", _FIGURE),
        WIDTH_HEADER: _header("The image's width in pixels.", _COUNT),
        HEIGHT_HEADER: _header("The image's height in pixels.", _COUNT),
        STEPS_HEADER: _header("The steps made.", _COUNT),
        TILES_HEADER: _header("The tiles of 512x512 pixels that cover the image.", _COUNT),
        MODEL_HEADER: _header("The model that made the image.", {"type": "string"}),
    }
    return {name: {**header, "required": required} for name, header in headers.items()}


def _retry_header() -> dict[str, Any]:
    # Where the limiter refuses; a fault of the kind `rate-limit` says no time.
    return {"Retry-After": {"description": "In how many seconds there is room again.", "schema": _COUNT}}


def _header(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "schema": schema}


def _error(description: str) -> dict[str, Any]:
    return {"description": description, "content": _json_of("Error")}


def _json_of(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
