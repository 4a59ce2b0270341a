"""The language of OpenAI's images API: calls, bills and answers as data."""

from decimal import Decimal

import httpx
import pytest

from pipelines.common.geometry import AspectRatio
from pipelines.endpoints.answers import Bill
from pipelines.endpoints.dialects.dialect import JsonAnswer, ProbeAnswer
from pipelines.endpoints.dialects.openai import DIALECT
from pipelines.endpoints.requests import HttpCall, ImageRequest
from tests.support.image_models import DALL_E, GPT_IMAGE, KLEIN

BASE = "https://api.openai.com/v1"
REQUEST = ImageRequest("a harbor", 6, AspectRatio.LANDSCAPE)


def test_a_request_asks_for_one_picture_as_base64() -> None:
    """Frozen; in the size of the model's that is nearest."""
    assert DIALECT.image_call(BASE, REQUEST, DALL_E) == HttpCall(
        f"{BASE}/images/generations",
        json={
            "model": "dall-e-3",
            "prompt": "a harbor",
            "n": 1,
            "size": "1792x1024",
            "response_format": "b64_json",
        },
    )


def test_a_gpt_image_model_is_not_told_what_to_answer_with() -> None:
    """It refuses the field, and answers with base64 alone."""
    assert DIALECT.image_call(BASE, REQUEST, GPT_IMAGE).json == {
        "model": "gpt-image-1",
        "prompt": "a harbor",
        "n": 1,
        "size": "1536x1024",
    }


def test_a_model_is_named_as_the_endpoint_has_it() -> None:
    """In whole; and any size is asked for where the model makes any."""
    body = DIALECT.image_call(BASE, REQUEST, KLEIN).json

    assert body is not None
    assert (body["model"], body["size"]) == ("@cf/black-forest-labs/flux-2-klein-4b", "1344x768")


@pytest.mark.parametrize(
    ("address", "url"),
    [
        (f"{BASE}/", f"{BASE}/images/generations"),
        (f"{BASE}/images/generations", f"{BASE}/images/generations"),
        (f"{BASE}/images/generations/?a=b", f"{BASE}/images/generations?a=b"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/images/generations"),
        ("http://user:pw@[::1]:8/openai/v1//", "http://user:pw@[::1]:8/openai/v1/images/generations"),
    ],
)
def test_an_address_may_be_copied_with_more_or_less_of_its_path(address: str, url: str) -> None:
    """What stands before /images/generations, or the whole."""
    assert DIALECT.image_call(address, REQUEST, DALL_E).url == url


def test_both_forms_of_an_address_share_one_limit() -> None:
    """They are one endpoint, and an account's tokens share it."""
    addresses = (BASE, f"{BASE}/", "HTTPS://api.OpenAI.com:443/v1/images/generations?a=b")

    assert {DIALECT.limited_as(address) for address in addresses} == {BASE}


USAGE = {"input_tokens": 11, "output_tokens": 4160, "total_tokens": 4171}


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        # 11 x 0.000005 + 4160 x 0.00004
        ({"data": [{"b64_json": ""}], "usage": USAGE}, JsonAnswer(Bill(cost_usd=Decimal("0.166455")))),
        ({"data": [{"url": "https://x.test/a"}]}, JsonAnswer(picture_url="https://x.test/a")),
        ({"data": [{"url": ""}, {"url": "https://x.test/b"}]}, JsonAnswer()),
        ({"data": [], "usage": {"input_tokens": 11, "output_tokens": 0}}, JsonAnswer()),
        ({"data": {}, "usage": {"input_tokens": 11}}, JsonAnswer()),
        ({"data": ["x"], "usage": {"input_tokens": True, "output_tokens": 1}}, JsonAnswer()),
        ({"data": None, "usage": {"input_tokens": -1, "output_tokens": 1}}, JsonAnswer()),
        ({"usage": {"input_tokens": 1.5, "output_tokens": "1"}}, JsonAnswer()),
        ({"usage": {"input_tokens": 1, "output_tokens": 10**30}}, JsonAnswer()),
        ({"usage": []}, JsonAnswer()),
    ],
)
def test_tokens_and_links_are_read(body: dict[str, object], answer: JsonAnswer) -> None:
    """Tokens cost what the price list says; what is no count of them costs nothing that is known."""
    assert DIALECT.read_json(body, GPT_IMAGE) == answer


def test_tokens_without_a_price_state_no_bill() -> None:
    """The price list's estimate counts then."""
    assert DIALECT.read_json({"usage": USAGE}, DALL_E) == JsonAnswer()
    assert DIALECT.read_bill(httpx.Headers({"X-Cost-USD": "1"}), DALL_E) == Bill()


@pytest.mark.parametrize(
    ("status", "body", "answer"),
    [
        (200, '{"object": "list", "data": []}', ProbeAnswer(True, True)),
        (200, "<html>", ProbeAnswer(False)),
        (401, '{"error": {"message": "no", "code": "invalid_api_key"}}', ProbeAnswer(True, False)),
        (403, "no", ProbeAnswer(True, False)),
        (429, '{"error": {"message": "no", "code": "rate_limit_exceeded"}}', ProbeAnswer(True)),
        (404, "<html>", ProbeAnswer(False)),
        (404, '{"error": "no such route"}', ProbeAnswer(False)),
    ],
)
def test_a_probe_tells_whether_the_token_is_taken(status: int, body: str, answer: ProbeAnswer) -> None:
    """The list of models is free; which of them makes pictures, it does not say."""
    assert DIALECT.read_probe(status, body.encode()) == answer


def test_a_probe_asks_for_the_models() -> None:
    """Beside where images are asked for."""
    assert DIALECT.probe_call(f"{BASE}/images/generations", DALL_E) == HttpCall(f"{BASE}/models", method="GET")
