"""The language of Workers AI: calls, bills and answers as data, over REST and through a gateway."""

from decimal import Decimal

import httpx
import pytest

from pipelines.common.geometry import AspectRatio
from pipelines.endpoints.answers import Bill
from pipelines.endpoints.dialects.cloudflare import DIALECT
from pipelines.endpoints.dialects.dialect import JsonAnswer, ProbeAnswer
from pipelines.endpoints.dialects.registry import all_dialects, dialect_at
from pipelines.endpoints.models import ImageModel
from pipelines.endpoints.requests import HttpCall, ImageRequest
from tests.support.image_models import DREAMSHAPER, KLEIN, LUCID, SCHNELL

ACCOUNT = "https://api.cloudflare.com/client/v4/accounts/0123abc"
GATEWAY = "https://gateway.ai.cloudflare.com/v1/0123abc/film"
REQUEST = ImageRequest("a harbor", 6, AspectRatio.LANDSCAPE)
RUN = f"{ACCOUNT}/ai/run/@cf/black-forest-labs"


@pytest.mark.parametrize(
    ("address", "model", "call"),
    [
        (ACCOUNT, SCHNELL, HttpCall(f"{RUN}/flux-1-schnell", json={"prompt": "a harbor", "steps": 6})),
        (
            ACCOUNT,
            KLEIN,
            HttpCall(f"{RUN}/flux-2-klein-4b", form={"prompt": "a harbor", "width": "1344", "height": "768"}),
        ),
        (
            ACCOUNT,
            DREAMSHAPER,
            HttpCall(
                f"{ACCOUNT}/ai/run/@cf/lykon/dreamshaper-8-lcm",
                json={"prompt": "a harbor", "width": 1344, "height": 768},
            ),
        ),
        (
            ACCOUNT,
            LUCID,
            HttpCall(
                f"{ACCOUNT}/ai/run/@cf/leonardo/lucid-origin",
                json={"prompt": "a harbor", "width": 1344, "height": 768, "num_steps": 6},
            ),
        ),
        (
            GATEWAY,
            SCHNELL,
            HttpCall(
                f"{GATEWAY}/workers-ai/@cf/black-forest-labs/flux-1-schnell",
                headers={"cf-aig-skip-cache": "true"},
                json={"prompt": "a harbor", "steps": 6},
            ),
        ),
    ],
)
def test_a_request_is_what_the_model_s_schema_has(address: str, model: ImageModel, call: HttpCall) -> None:
    """Frozen: what each kind of model is asked, and where; a gateway is not to answer from its cache."""
    assert DIALECT.image_call(address, REQUEST, model) == call


@pytest.mark.parametrize(
    ("address", "url"),
    [
        (f"{ACCOUNT}/", f"{RUN}/flux-1-schnell"),
        (f"{ACCOUNT}/ai/run/", f"{RUN}/flux-1-schnell"),
        (f"{ACCOUNT}/ai/run/@cf/another/model", f"{RUN}/flux-1-schnell"),
        (
            f"{GATEWAY}/workers-ai/@cf/another/model?a=b",
            f"{GATEWAY}/workers-ai/@cf/black-forest-labs/flux-1-schnell?a=b",
        ),
        ("http://127.0.0.1:1/v1/a/g/", "http://127.0.0.1:1/v1/a/g/workers-ai/@cf/black-forest-labs/flux-1-schnell"),
        (
            "http://user:pw@[::1]:1/x/client/v4/accounts/a",
            "http://user:pw@[::1]:1/x/client/v4/accounts/a/ai/run/@cf/black-forest-labs/flux-1-schnell",
        ),
    ],
)
def test_an_address_may_be_copied_with_more_or_less_of_its_path(address: str, url: str) -> None:
    """The account, or the gateway, is what counts of it."""
    assert DIALECT.image_call(address, REQUEST, SCHNELL).url == url


@pytest.mark.parametrize(
    ("address", "limited_as"),
    [
        (ACCOUNT, ACCOUNT),
        (f"HTTPS://API.cloudflare.com.:443/client/v4/accounts/0123abc/ai/run/{SCHNELL.id}?a=b", ACCOUNT),
        (GATEWAY, ACCOUNT),
        (f"https://gateway.ai.cloudflare.com/v1/0123abc/another/workers-ai/{KLEIN.id}", ACCOUNT),
        ("http://localhost:1/client/v4/accounts/a/ai/run", "http://127.0.0.1:1/client/v4/accounts/a"),
        ("http://localhost:1/v1/a/g", "http://127.0.0.1:1/client/v4/accounts/a"),
        ("https://mirror.test/x/v1/a/g/workers-ai", "https://mirror.test/x/client/v4/accounts/a"),
        ("https://api.cloudflare.com/client/v4", "https://api.cloudflare.com/client/v4"),
    ],
)
def test_the_limit_is_the_account_s(address: str, limited_as: str) -> None:
    """Whatever model or gateway is asked; elsewhere than at Cloudflare, on that host."""
    assert DIALECT.limited_as(address) == limited_as


@pytest.mark.parametrize(
    ("address", "dialect"),
    [
        (ACCOUNT, "cloudflare"),
        (GATEWAY, "cloudflare"),
        ("https://API.Cloudflare.com./x", "cloudflare"),
        ("http://127.0.0.1:1/client/v4/accounts/a", "cloudflare"),
        ("https://gateway.ai.cloudflare.com/v1", "cloudflare"),
        ("https://api.openai.com/v1", "openai"),
        ("http://127.0.0.1:1/v1/", "openai"),
        ("http://127.0.0.1:1/x/images/generations", "openai"),
        ("https://flux.example.workers.dev", "flux"),
        ("https://flux.example.workers.dev/v1/x", "flux"),
        ("https://cloudflare.com.example/", "flux"),
        (None, "flux"),
    ],
)
def test_the_address_tells_the_dialect(address: str | None, dialect: str) -> None:
    """By Cloudflare's hosts and paths, by the ends of OpenAI's; the rest is the FLUX API."""
    assert dialect_at(address).name == dialect
    assert {dialect_at(address, named=name).name for name in all_dialects()} == {"flux", "cloudflare", "openai"}


@pytest.mark.parametrize(
    ("neurons", "bill"),
    [
        ("104.20", Bill(cost_usd=Decimal("0.00114620"), neurons=Decimal("104.20"))),
        ("57.6", Bill(cost_usd=Decimal("0.0006336"), neurons=Decimal("57.6"))),
        ("0", Bill(cost_usd=Decimal(0), neurons=Decimal(0))),
        ("-1", Bill()),
        ("many", Bill()),
        ("1e9", Bill()),
        (None, Bill()),
    ],
)
def test_the_bill_is_the_neurons_at_their_list_price(neurons: str | None, bill: Bill) -> None:
    """1,000 are 0.011 USD, free allowance or not; what is no figure is no bill."""
    headers = httpx.Headers({} if neurons is None else {"CF-AI-Neurons": neurons})

    assert DIALECT.read_bill(headers, SCHNELL) == bill


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"result": {"image": ""}, "success": True}, JsonAnswer()),
        ({"result": {"image": "https://x.test/a.png"}}, JsonAnswer(picture_url="https://x.test/a.png")),
        ({"result": None, "success": False}, JsonAnswer()),
        ({"result": {"image": 5}}, JsonAnswer()),
        ({}, JsonAnswer()),
    ],
)
def test_a_link_in_the_picture_s_place_is_found(body: dict[str, object], answer: JsonAnswer) -> None:
    """Models of partners may answer with one."""
    assert DIALECT.read_json(body, SCHNELL) == answer


def errors(code: int, message: str = "words") -> str:
    """Return an error as the API writes it."""
    return (
        f'{{"success": false, "result": null, "messages": [], "errors": [{{"code": {code}, "message": "{message}"}}]}}'
    )


@pytest.mark.parametrize(
    ("status", "body", "answer"),
    [
        (400, errors(5006, "required properties at '/' are 'prompt'"), ProbeAnswer(True, True, True)),
        (400, errors(3003), ProbeAnswer(True, True, True)),
        (401, errors(10000, "Authentication error"), ProbeAnswer(True, False)),
        (403, errors(9109), ProbeAnswer(True, False)),
        (400, errors(5007, "No such model"), ProbeAnswer(True, True, False)),
        (429, errors(4006), ProbeAnswer(True, True)),
        (404, errors(7003, "Could not route"), ProbeAnswer(False)),
        (404, "<html>", ProbeAnswer(False)),
        (500, "", ProbeAnswer(False)),
    ],
)
def test_a_probe_tells_token_and_model(status: int, body: str, answer: ProbeAnswer) -> None:
    """It is refused for want of a prompt, where all is well."""
    assert DIALECT.read_probe(status, body.encode()) == answer


def test_a_probe_has_no_prompt_and_so_costs_nothing() -> None:
    """For the model that is to be asked."""
    assert DIALECT.probe_call(ACCOUNT, SCHNELL) == HttpCall(f"{RUN}/flux-1-schnell", json={})
