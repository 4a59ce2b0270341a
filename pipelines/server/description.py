"""What the API says of itself: lines for a person who opens its address, and an OpenAPI document for programs."""

import shlex
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


def example_request(address: str) -> str:
    """Return a command for a shell that asks the API at `address` for an image."""
    return (
        f"""curl -X POST {shlex.quote(address)} -H "Content-Type: application/json" """
        """-d '{"prompt": "a harbor at dawn"}' -o image.png"""
    )


def welcome(address: str) -> str:
    """Return the text that a browser shows of the API at `address`."""
    return (
        "This is the FLUX API as storyreel serves it for rehearsal. Its images are sketches, and cost nothing.\n\n"
        f"  {example_request(address)}\n\n"
        "/openapi.json describes it for programs; /_stats says what it would have billed.\n"
    )


def openapi_document() -> dict[str, Any]:
    """Return the description of `POST /` as an OpenAPI 3.1 document."""
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "FLUX Image Generation API",
            "version": "1",
            "description": "Text to image, as storyreel serves it for rehearsal: costs are simulated.",
        },
        "servers": [{"url": "/"}],
        "paths": {"/": {"post": _post_operation()}},
        "components": {
            "schemas": {"ImageRequest": _request_schema(), "Error": _error_schema()},
        },
    }


def _post_operation() -> dict[str, Any]:
    return {
        "operationId": "generateImage",
        "summary": "Generate an image",
        "requestBody": {"required": True, "content": _json_of("ImageRequest")},
        "responses": {
            "200": {
                "description": "The image, and what it cost.",
                "headers": _bill_headers(),
                "content": {"image/png": {}},
            },
            "400": _error("The request is not understood; nothing is billed."),
            "429": {**_error("There were too many requests in the last minute."), "headers": _retry_header()},
            "500": _error("The request is not authenticated, or gave no image."),
        },
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


def _bill_headers() -> dict[str, Any]:
    return {
        COST_USD_HEADER: _header("The cost in US dollars.", _FIGURE),
        COST_THB_HEADER: _header("The cost in Thai baht, rounded to four places.", _FIGURE),
        NEURONS_HEADER: _header("The processing units used.", _FIGURE),
        WIDTH_HEADER: _header("The image's width in pixels.", _COUNT),
        HEIGHT_HEADER: _header("The image's height in pixels.", _COUNT),
        STEPS_HEADER: _header("The steps made.", _COUNT),
        TILES_HEADER: _header("The tiles of 512x512 pixels that cover the image.", _COUNT),
        MODEL_HEADER: _header("The model that made the image.", {"type": "string"}),
    }


def _retry_header() -> dict[str, Any]:
    # Where the limiter refuses; a fault of the kind `rate-limit` says no time.
    return {"Retry-After": {"description": "In how many seconds there is room again.", "schema": _COUNT}}


def _header(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "required": True, "schema": schema}


def _error(description: str) -> dict[str, Any]:
    return {"description": description, "content": _json_of("Error")}


def _json_of(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
