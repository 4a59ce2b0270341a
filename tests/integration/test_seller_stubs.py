"""The sellers that our dialects are tested against, asked by clients that this project did not write."""

import base64
import io
import json
import os
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path

import cloudflare
import openai
import pytest
from PIL import Image

from tests.support.node_packages import NoPackagesError, node_packages
from tests.support.patience import WAIT_S
from tests.support.sellers.openai_images import DALL_E, GPT_IMAGE
from tests.support.sellers.seller import TOKEN, Seller
from tests.support.sellers.workers_ai import ACCOUNT, GATEWAY, SCHNELL


def seen(encoded: str) -> tuple[str | None, tuple[int, int]]:
    """Return the format and size of a picture in base64."""
    picture = Image.open(io.BytesIO(base64.b64decode(encoded, validate=True)))
    picture.load()
    return picture.format, picture.size


def test_cloudflare_s_python_client_gets_its_picture(workers_ai: Seller) -> None:
    """With the bill in a header; 4 tiles and 6 steps are 76.8 neurons."""
    client = cloudflare.Cloudflare(api_token=TOKEN, base_url=f"{workers_ai.url}/client/v4", max_retries=0)

    answer = client.ai.with_raw_response.run(SCHNELL, account_id=ACCOUNT, prompt="a harbor", extra_body={"steps": 6})

    assert seen(json.loads(answer.text())["result"]["image"]) == ("JPEG", (1024, 1024))
    assert (answer.headers["cf-ai-neurons"], workers_ai.book) == ("76.80", [Decimal("0.0008448")])


@pytest.mark.parametrize(
    ("token", "account", "model", "prompt", "error", "number"),
    [
        ("wrong", ACCOUNT, SCHNELL, "a harbor", cloudflare.AuthenticationError, 10000),
        (TOKEN, "another", SCHNELL, "a harbor", cloudflare.NotFoundError, 7003),
        (TOKEN, ACCOUNT, "@cf/no/such", "a harbor", cloudflare.BadRequestError, 5007),
        (TOKEN, ACCOUNT, SCHNELL, "", cloudflare.BadRequestError, 5006),
        (TOKEN, ACCOUNT, SCHNELL, "NSFW", cloudflare.BadRequestError, 3030),
    ],
)
def test_cloudflare_s_python_client_reads_the_errors(
    workers_ai: Seller,
    token: str,
    account: str,
    model: str,
    prompt: str,
    error: type[cloudflare.APIStatusError],
    number: int,
) -> None:
    """In the classes and by the numbers that it knows; none is billed."""
    client = cloudflare.Cloudflare(api_token=token, base_url=f"{workers_ai.url}/client/v4", max_retries=0)

    with pytest.raises(error) as caught:
        client.ai.run(model, account_id=account, prompt=prompt)

    assert [each.code for each in caught.value.errors] == [number]
    assert workers_ai.book == []


def test_openai_s_python_client_gets_its_picture(openai_images: Seller) -> None:
    """By dollars an image, or by tokens."""
    client = openai.OpenAI(api_key=TOKEN, base_url=f"{openai_images.url}/v1", max_retries=0)

    plain = client.images.generate(model=DALL_E, prompt="a harbor", size="1792x1024", response_format="b64_json")
    counted = client.images.generate(model=GPT_IMAGE, prompt="a harbor", size="1024x1024")

    assert plain.data is not None
    assert counted.data is not None
    assert counted.usage is not None
    assert seen(str(plain.data[0].b64_json)) == ("PNG", (1792, 1024))
    assert seen(str(counted.data[0].b64_json)) == ("PNG", (1024, 1024))
    assert (counted.usage.input_tokens, counted.usage.output_tokens) == (2, 4160)
    assert openai_images.book == [Decimal("0.08"), Decimal("0.16641")]
    assert [model.id for model in client.models.list()] == [DALL_E, GPT_IMAGE]


@pytest.mark.parametrize(
    ("token", "model", "prompt", "error", "code"),
    [
        ("wrong", DALL_E, "a harbor", openai.AuthenticationError, "invalid_api_key"),
        (TOKEN, "no-such", "a harbor", openai.NotFoundError, "model_not_found"),
        (TOKEN, GPT_IMAGE, "unsafe", openai.BadRequestError, "moderation_blocked"),
    ],
)
def test_openai_s_python_client_reads_the_errors(
    openai_images: Seller, token: str, model: str, prompt: str, error: type[openai.APIStatusError], code: str
) -> None:
    """In the classes and by the codes that it knows; none is billed."""
    client = openai.OpenAI(api_key=token, base_url=f"{openai_images.url}/v1", max_retries=0)

    with pytest.raises(error) as caught:
        client.images.generate(model=model, prompt=prompt)

    assert (caught.value.code, openai_images.book) == (code, [])


SCRIPT = """
import { createWorkersAI } from "workers-ai-provider";

// The provider knows Cloudflare's own addresses only.
const real = globalThis.fetch;
globalThis.fetch = (url, init) => real(String(url).replace(/^https:\\/\\/[^/]+/, process.env.SELLER), init);

const ways = { rest: undefined, gateway: { id: process.env.GATEWAY, skipCache: true } };
const pictures = {};
for (const [way, gateway] of Object.entries(ways)) {
  const workersai = createWorkersAI({ accountId: process.env.ACCOUNT, apiKey: process.env.TOKEN, gateway });
  const model = workersai.image(process.env.MODEL);
  const { images } = await model.doGenerate({ prompt: "a harbor", n: 1 });
  pictures[way] = Buffer.from(images[0]).toString("base64");
}
console.log(JSON.stringify(pictures));
"""


@pytest.mark.slow
def test_cloudflare_s_javascript_client_gets_its_pictures(workers_ai: Seller, tmp_path: Path) -> None:
    """Over the REST API and through a gateway."""
    try:
        packages = node_packages("workers-ai-provider@4.0.0", "ai@7.0.173")
    except NoPackagesError as missing:
        pytest.skip(str(missing))
    script = tmp_path / "ask.mjs"
    script.write_text(SCRIPT)
    (tmp_path / "node_modules").symlink_to(packages)
    environment = {"SELLER": workers_ai.url, "ACCOUNT": ACCOUNT, "TOKEN": TOKEN, "GATEWAY": GATEWAY, "MODEL": SCHNELL}

    ended = subprocess.run(
        [shutil.which("node") or "node", str(script)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert {way: seen(picture) for way, picture in json.loads(ended.stdout).items()} == {
        "rest": ("JPEG", (1024, 1024)),
        "gateway": ("JPEG", (1024, 1024)),
    }
    assert workers_ai.book == [Decimal("0.0006336")] * 2
