"""The language of the FLUX API, both ways."""

from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.common.geometry import AspectRatio
from pipelines.endpoints.answers import Bill
from pipelines.endpoints.dialects.flux import (
    BadRequestError,
    headers_of,
    image_bill,
    parse_request,
    read_bill,
    request_body,
)
from pipelines.endpoints.prices import price_list
from pipelines.endpoints.requests import ImageRequest


def test_a_request_has_the_documented_fields() -> None:
    """The three fields, spelled as documented."""
    body = request_body(ImageRequest("a cat", 6, AspectRatio.LANDSCAPE))

    assert body == {"prompt": "a cat", "steps": 6, "aspectRatio": "16:9"}
    assert parse_request(body) == ImageRequest("a cat", 6, AspectRatio.LANDSCAPE)


def test_the_documented_defaults() -> None:
    """Four steps, square."""
    assert parse_request({"prompt": "x", "other": 1}) == ImageRequest("x", 4, AspectRatio.SQUARE)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "Request body must be a JSON object"),
        ({}, "Prompt is required"),
        ({"prompt": None}, "Prompt is required"),
        ({"prompt": ""}, "Prompt is required"),
        ({"prompt": "  "}, "Prompt is required"),
        ({"prompt": 5}, "Prompt must be a string"),
        ({"prompt": "x" * 2049}, "Prompt must be at most 2048 characters"),
        ({"prompt": "x", "steps": 0}, "Steps must be a whole number from 1 to 8"),
        ({"prompt": "x", "steps": 9}, "Steps must be a whole number from 1 to 8"),
        ({"prompt": "x", "steps": 1.5}, "Steps must be a whole number from 1 to 8"),
        ({"prompt": "x", "steps": True}, "Steps must be a whole number from 1 to 8"),
        ({"prompt": "x", "steps": "4"}, "Steps must be a whole number from 1 to 8"),
        ({"prompt": "x", "steps": float("nan")}, "Steps must be a whole number from 1 to 8"),
        ({"prompt": "x", "steps": float("inf")}, "Steps must be a whole number from 1 to 8"),
        ({"prompt": "x", "aspectRatio": "2:1"}, "aspectRatio must be one of 1:1, 16:9, 9:16, 4:3, 3:4"),
        ({"prompt": "x", "aspectRatio": []}, "aspectRatio must be one of 1:1, 16:9, 9:16, 4:3, 3:4"),
    ],
)
def test_a_bad_request_is_explained(body: object, message: str) -> None:
    """The API's own words for a missing prompt, and words like them for the rest."""
    with pytest.raises(BadRequestError) as caught:
        parse_request(body)

    assert str(caught.value) == message


def test_a_whole_number_may_be_written_as_json_writes_it() -> None:
    """JSON has one type of number: 4.0 is 4."""
    assert parse_request({"prompt": "x", "steps": 4.0}).steps == 4


def test_the_headers_of_the_documented_answer() -> None:
    """The example of the documentation, header by header, and the model."""
    square = AspectRatio.SQUARE
    price = price_list("flux").model("sketch").rates.price(square.size, steps=4)
    headers = headers_of(image_bill(price, square.size, steps=4, model="sketch"))

    assert headers == {
        "X-Cost-USD": "0.000652",
        "X-Cost-THB": "0.0228",
        "X-Neurons-Used": "57.6",
        "X-Image-Width": "1024",
        "X-Image-Height": "1024",
        "X-Steps": "4",
        "X-Tiles": "4",
        "X-Model": "sketch",
    }
    assert read_bill(httpx.Headers(headers)) == Bill(
        Decimal("0.000652"), Decimal("0.0228"), Decimal("57.6"), 1024, 1024, 4, 4, "sketch"
    )


def test_a_model_of_escapes_is_named_by_their_codes() -> None:
    """The name is stored, and printed with the cure."""
    assert read_bill(httpx.Headers({b"X-Model": b"\xc2\x9b2Jsketch\t"})).model == r"\x9b2Jsketch\x09"


@pytest.mark.parametrize("value", ["", "free", "nan", "inf", "-1", "1e9", "0x5", "1,5"])
def test_a_figure_that_cannot_be_read_is_not_known(value: str) -> None:
    """Not known is None, never zero."""
    headers = httpx.Headers({"X-Cost-USD": value, "X-Tiles": value, "X-Image-Width": value})

    assert read_bill(headers) == Bill()


def test_a_cost_beyond_any_image_is_not_known() -> None:
    """A few of them would be more than the ledger's sums can hold."""
    assert read_bill({"X-Cost-USD": "1000"}).cost_usd == 1000
    assert read_bill({"X-Cost-USD": "1000.01"}).cost_usd is None


@given(values=st.dictionaries(st.sampled_from(["X-Cost-USD", "X-Tiles", "X-Neurons-Used"]), st.text(max_size=20)))
def test_no_header_gets_past_the_reader(values: dict[str, str]) -> None:
    """For any value of the headers, figures come out or None."""
    bill = read_bill(values)

    assert bill.cost_usd is None or bill.cost_usd >= 0


def test_requests_are_hashable() -> None:
    """Equal requests are one key."""
    counts: dict[Any, int] = {ImageRequest("x"): 1}

    assert counts[ImageRequest("x")] == 1
