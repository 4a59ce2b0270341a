"""One attempt where the picture stands in JSON: its bill, its picture, its link, and what stands in their place."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from pipelines.common.geometry import AspectRatio
from pipelines.endpoints.answers import Answer, Bill, BrokenBody, ImageBody, Refused
from pipelines.endpoints.client import Endpoint, EndpointClient, Timeouts
from pipelines.endpoints.dialects.registry import dialect_at
from pipelines.endpoints.linked_picture import LinkedPictures
from pipelines.endpoints.models import ImageModel
from pipelines.endpoints.requests import ImageRequest
from tests.support.image_models import DALL_E, GPT_IMAGE, KLEIN, SCHNELL
from tests.support.pictures import picture_bytes
from tests.support.transport import AnswerTransport

ACCOUNT = "https://api.cloudflare.com/client/v4/accounts/0123abc"
OPENAI = "https://api.openai.com/v1"
REQUEST = ImageRequest("a harbor", 4, AspectRatio.SQUARE)
PICTURE = picture_bytes("JPEG")
BASE64 = base64.b64encode(PICTURE).decode()
NEURONS = {"cf-ai-neurons": "57.6"}
BILL = Bill(cost_usd=Decimal("0.0006336"), neurons=Decimal("57.6"))
LINK = "https://pictures.test/a.png?sig=secret"

Handler = Callable[[httpx.Request], httpx.Response]


@dataclass
class Attempted:
    """One attempt and what it left.

    Attributes:
        answer: what came of it.
        bills: those that were handed over, in their order.
        file: what was written.
    """

    answer: Answer
    bills: list[Bill]
    file: bytes


@dataclass
class Seller:
    """Answers an attempt, and a link in its answer.

    Attributes:
        asked: the requests that came.
        linked: those that came for a linked picture.
    """

    response: httpx.Response
    picture: httpx.Response = field(default_factory=lambda: httpx.Response(200, content=PICTURE))
    asked: list[httpx.Request] = field(default_factory=list)
    linked: list[httpx.Request] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self.response

    def give_picture(self, request: httpx.Request) -> httpx.Response:
        self.linked.append(request)
        return self.picture


async def public_address(host: str, port: int) -> list[str]:
    """Find every host on the public Internet."""
    return ["8.8.8.8"]


async def attempt(seller: Seller, folder: Path, url: str, model: ImageModel) -> Attempted:
    """Make one attempt with a client of its own."""
    bills: list[Bill] = []

    async def record(_: int, bill: Bill) -> None:
        bills.append(bill)

    part = folder / "part"
    links = LinkedPictures(
        timeout=httpx.Timeout(1),
        max_bytes=1 << 20,
        resolver=public_address,
        transport=AnswerTransport(seller.give_picture),
    )
    async with EndpointClient(
        Endpoint(url, dialect_at(url), model, "very-secret"),
        concurrency=1,
        timeouts=Timeouts(1, 1, 1),
        max_body_bytes=1 << 20,
        transport=AnswerTransport(seller.answer),
        links=links,
    ) as client:
        answer = await client.attempt(REQUEST, part=part, on_billed=record)
    return Attempted(answer, bills, part.read_bytes() if part.exists() else b"")


def picture_answer(**more: object) -> httpx.Response:
    """Return Workers AI's answer with a picture."""
    content = json.dumps({"result": {"image": BASE64}, "success": True, "errors": [], **more}).encode()
    return httpx.Response(200, headers=NEURONS, content=content)


async def test_a_picture_of_workers_ai_is_billed_by_its_header_and_decoded(tmp_path: Path) -> None:
    """The bill is known before the body; the file holds the picture itself."""
    seller = Seller(picture_answer())

    attempted = await attempt(seller, tmp_path, ACCOUNT, SCHNELL)

    assert attempted == Attempted(ImageBody(200, BILL, len(PICTURE)), [BILL], PICTURE)
    assert json.loads(seller.asked[0].content) == {"prompt": "a harbor", "steps": 4}
    assert seller.asked[0].headers["Authorization"] == "Bearer very-secret"


async def test_a_form_is_sent_as_one(tmp_path: Path) -> None:
    """As FLUX.2 takes it: fields without file names."""
    seller = Seller(picture_answer())

    await attempt(seller, tmp_path, ACCOUNT, KLEIN)

    (request,) = seller.asked
    assert request.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    for name, value in {"prompt": "a harbor", "width": "1024", "height": "1024"}.items():
        field = f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        assert field in request.content.decode()


async def test_a_body_that_is_the_picture_is_taken_as_it_is(tmp_path: Path) -> None:
    """Some models of Workers AI answer so."""
    attempted = await attempt(Seller(httpx.Response(200, headers=NEURONS, content=PICTURE)), tmp_path, ACCOUNT, SCHNELL)

    assert attempted == Attempted(ImageBody(200, BILL, len(PICTURE)), [BILL], PICTURE)


async def test_a_refusal_under_200_is_left_in_the_file(tmp_path: Path) -> None:
    """Where what looks for a picture finds the words."""
    body = b'{"result": null, "success": false, "errors": [{"code": 4006, "message": "used up"}]}'

    attempted = await attempt(Seller(httpx.Response(200, content=body)), tmp_path, ACCOUNT, SCHNELL)

    assert attempted == Attempted(ImageBody(200, Bill(), 0), [Bill()], body)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"result": {"image": "AAAA', "JSON that broke off, or is none"),
        (b'{"result": {"image": "AAAA?"}}', "JSON in which the picture is not base64"),
        (b"{" + b" " * 70_000, "JSON with more than 64 KiB beside a picture"),
    ],
)
async def test_json_of_no_use_is_a_broken_body(body: bytes, reason: str, tmp_path: Path) -> None:
    """It is billed all the same."""
    attempted = await attempt(Seller(httpx.Response(200, headers=NEURONS, content=body)), tmp_path, ACCOUNT, SCHNELL)

    assert (attempted.answer, attempted.bills) == (BrokenBody(200, BILL, reason, cut_off=False), [BILL])


async def test_the_cost_of_tokens_replaces_the_estimate(tmp_path: Path) -> None:
    """The headers know nothing; the body states what was used."""
    usage = {"input_tokens": 11, "output_tokens": 4160}
    content = json.dumps({"data": [{"b64_json": BASE64}], "usage": usage}).encode()

    attempted = await attempt(Seller(httpx.Response(200, content=content)), tmp_path, OPENAI, GPT_IMAGE)

    stated = Bill(cost_usd=Decimal("0.166455"))
    assert attempted == Attempted(ImageBody(200, stated, len(PICTURE)), [Bill(), stated], PICTURE)


async def test_a_linked_picture_is_fetched_once_and_without_the_token(tmp_path: Path) -> None:
    """Its host is another than the endpoint's."""
    seller = Seller(httpx.Response(200, json={"data": [{"url": LINK}]}))

    attempted = await attempt(seller, tmp_path, OPENAI, DALL_E)

    assert attempted == Attempted(ImageBody(200, Bill(), len(PICTURE)), [Bill()], PICTURE)
    assert len(seller.linked) == 1
    assert "Authorization" not in seller.linked[0].headers


async def test_a_picture_beside_its_link_needs_no_fetching(tmp_path: Path) -> None:
    """Some sellers give both."""
    seller = Seller(httpx.Response(200, json={"data": [{"url": LINK, "b64_json": BASE64}]}))

    attempted = await attempt(seller, tmp_path, OPENAI, DALL_E)

    assert (attempted.file, seller.linked) == (PICTURE, [])


async def test_a_data_url_is_decoded(tmp_path: Path) -> None:
    """It is no link, and there is nothing to fetch."""
    seller = Seller(httpx.Response(200, json={"data": [{"url": f"data:image/jpeg;base64,{BASE64}"}]}))

    attempted = await attempt(seller, tmp_path, OPENAI, DALL_E)

    assert (attempted.file, seller.linked) == (PICTURE, [])


@pytest.mark.parametrize(
    ("link", "picture", "expected"),
    [
        (
            "http://pictures.test/a.png",
            200,
            BrokenBody(200, Bill(), "the link to its picture is not one of https, and is not followed", cut_off=False),
        ),
        (LINK, 302, BrokenBody(200, Bill(), "the link to its picture was answered with 302", cut_off=False)),
    ],
)
async def test_a_link_that_gives_no_picture_leaves_the_answer_in_the_file(
    link: str, picture: int, expected: BrokenBody, tmp_path: Path
) -> None:
    """It was paid for: the link may still be followed by hand."""
    seller = Seller(httpx.Response(200, json={"data": [{"url": link}]}), httpx.Response(picture))

    attempted = await attempt(seller, tmp_path, OPENAI, DALL_E)

    assert attempted.answer == expected
    assert json.loads(attempted.file) == {"data": [{"url": link}]}


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry-after-ms": "1500", "Retry-After": "2"}, 1.5),
        ({"retry-after-ms": "soon", "Retry-After": "2"}, 2.0),
        ({"retry-after-ms": "0"}, 0.0),
        ({"Retry-After": "2"}, 2.0),
        ({}, None),
    ],
)
async def test_the_exacter_of_two_waits_counts(headers: dict[str, str], wait_s: float | None, tmp_path: Path) -> None:
    """OpenAI states milliseconds beside whole seconds."""
    seller = Seller(httpx.Response(429, headers=headers, json={"error": {"code": "rate_limit_exceeded"}}))

    answer = (await attempt(seller, tmp_path, OPENAI, DALL_E)).answer

    assert isinstance(answer, Refused)
    assert answer.retry_after_s == wait_s
