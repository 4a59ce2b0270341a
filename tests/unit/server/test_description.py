"""What the API says of itself, compared with what it takes."""

import shlex
from typing import Any

import jsonschema
from hypothesis import example, given
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

from pipelines.common.geometry import AspectRatio
from pipelines.endpoints.dialects.flux import MAX_PROMPT_CHARS, BadRequestError, parse_request, request_body
from pipelines.endpoints.requests import ImageRequest
from pipelines.server.description import example_request, openapi_document, welcome

REQUEST = jsonschema.Draft202012Validator(openapi_document()["components"]["schemas"]["ImageRequest"])
ANYTHING = st.none() | st.booleans() | st.integers(-1, 10) | st.floats() | st.text(max_size=3) | st.lists(st.none())
BODIES = st.fixed_dictionaries(
    {"prompt": st.text(max_size=5) | ANYTHING},
    optional={
        "steps": st.integers(0, 9) | ANYTHING,
        "aspectRatio": st.sampled_from([*AspectRatio, "2:1"]) | ANYTHING,
        "seed": st.integers(),
    },
)


def test_the_description_is_an_openapi_document() -> None:
    """By the specification's own schema, references resolved."""
    assert list(OpenAPIV31SpecValidator(openapi_document()).iter_errors()) == []


@given(body=BODIES | ANYTHING)
@example(body={"prompt": " \n"})
@example(body={"prompt": "x" * MAX_PROMPT_CHARS, "steps": 8.0})
@example(body={"prompt": "x" * (MAX_PROMPT_CHARS + 1)})
@example(body={})
def test_the_api_takes_what_it_describes_and_nothing_else(body: object) -> None:
    """A program that checks its request by the description is never told 400."""
    described = REQUEST.is_valid(body)

    assert is_taken(body) == described


def is_taken(body: object) -> bool:
    try:
        parse_request(body)
    except BadRequestError:
        return False
    return True


def test_the_described_defaults_are_those_of_the_api() -> None:
    """A prompt alone is as good as the prompt with every default."""
    fields: dict[str, Any] = REQUEST.schema["properties"]
    defaults = {name: field["default"] for name, field in fields.items() if "default" in field}

    assert parse_request({"prompt": "a harbor", **defaults}) == ImageRequest("a harbor")
    assert set(fields) == set(request_body(ImageRequest("a harbor")))


def test_an_address_stands_in_the_example_as_a_shell_reads_it() -> None:
    """Brackets are patterns to some shells."""
    assert shlex.split(example_request("http://[::1]:8787"))[3] == "http://[::1]:8787"
    assert "curl -X POST http://127.0.0.1:8787 -H" in welcome("http://127.0.0.1:8787")
