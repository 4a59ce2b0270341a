"""An image from its request to the take on disk: settled before it is read, checked, its picture kept as it came."""

import hashlib
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipelines.common.errors import WrongEndpointError
from pipelines.common.geometry import Fit
from pipelines.endpoints.retry import RetryPolicy
from pipelines.run.outcomes import Failed, Generated
from pipelines.storyboard.plan import TakeSpec
from tests.support.builders import run, take_spec
from tests.support.generation import ACCOUNT, SPEC, Rig, replies, rig, take_file
from tests.support.pictures import PRICE_USD, image_answer, picture_bytes, spec_picture
from tests.support.takes import text_of


def sha256(data: bytes) -> str:
    """Return the hex sha-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()


async def test_an_image_is_generated_kept_and_accounted_for(tmp_path: Path) -> None:
    """One request, one row, one take of what came, around its text; the reservation gives way to the price."""
    async with rig(tmp_path, replies(image_answer(SPEC.frame)), run()) as bench:
        outcome = await bench.generate(SPEC)

        body = spec_picture(SPEC.frame)
        kept = (bench.store.folder / take_file()).read_bytes()
        assert outcome == Generated(SPEC, requests=1)
        columns = ("error", "sha256", "body_sha256", "bytes", "width", "height", "neurons", "tiles")
        assert bench.rows(*ACCOUNT, *columns) == [
            (
                1,
                "ok",
                200,
                PRICE_USD,
                PRICE_USD,
                take_file(),
                None,
                sha256(kept),
                sha256(body),
                len(kept),
                1024,
                1024,
                Decimal("57.6"),
                4,
            )
        ]
        assert (kept[:33] + kept[-len(body[33:]) :], text_of(bench.store.folder / take_file())) == (
            body,
            {
                "prompt": "a harbor at dawn",
                "steps": "4",
                "size": "1024x1024",
                "fit": "cover",
                "cost_usd": "0.000652",
                "request_key": SPEC.request_key,
                "picture": "as the film shows it",
                "Software": "storyreel",
            },
        )
        assert (bench.files(), bench.leases(), bench.committed_usd()) == ([take_file()], [], PRICE_USD)
        assert (bench.progress.generated, bench.progress.requests, bench.progress.in_flight) == (1, 1, 0)
        assert (bench.progress.cost_usd, bench.log, bench.stop_signal.stopped) == (PRICE_USD, [], False)


async def test_the_attempt_is_in_the_ledger_before_it_is_sent(tmp_path: Path) -> None:
    """While the server thinks, the row is there, open, and its reservation is charged."""
    seen: list[Any] = []
    bench: Rig

    async def look(_: httpx.Request) -> httpx.Response:
        seen.append((bench.rows("status", "cost_usd", "reserved_usd"), bench.committed_usd(), bench.leases()))
        return image_answer(SPEC.frame)

    async with rig(tmp_path, look, run()) as bench:
        await bench.generate(SPEC)

    assert seen == [([(None, None, PRICE_USD)], PRICE_USD, [SPEC.request_key])]


async def test_the_cost_is_settled_before_the_body_is_read(tmp_path: Path) -> None:
    """When the first byte of the body is asked for, the bill is in the ledger."""
    seen: list[Any] = []
    bench: Rig

    async def body() -> AsyncIterator[bytes]:
        seen.append(bench.rows("status", "http_status", "cost_usd"))
        yield spec_picture(SPEC.frame)

    answer = image_answer(SPEC.frame)
    streamed = httpx.Response(
        200, headers={k: v for k, v in answer.headers.items() if k.startswith("x-")}, content=body()
    )
    async with rig(tmp_path, replies(streamed), run()) as bench:
        outcome = await bench.generate(SPEC)

    assert (outcome, seen) == (Generated(SPEC, 1), [[(None, 200, PRICE_USD)]])


async def test_what_is_asked_is_the_frame(tmp_path: Path) -> None:
    """Prompt, steps and aspect ratio of the spec go over the wire."""
    async with rig(tmp_path, replies(image_answer(SPEC.frame)), run()) as bench:
        await bench.generate(SPEC)

        asked = [json.loads(request.content) for request in bench.requests]
    assert asked == [{"prompt": "a harbor at dawn", "steps": 4, "aspectRatio": "1:1"}]


async def test_a_bill_without_a_price_stays_charged_at_the_reserve(tmp_path: Path) -> None:
    """A cost that is not known is None, never zero."""
    answer = httpx.Response(200, content=spec_picture(SPEC.frame))
    async with rig(tmp_path, replies(answer), run()) as bench:
        outcome = await bench.generate(SPEC)

        assert (outcome, bench.rows(*ACCOUNT), bench.committed_usd(), bench.progress.cost_usd) == (
            Generated(SPEC, 1),
            [(1, "ok", 200, None, PRICE_USD, take_file())],
            PRICE_USD,
            Decimal(0),
        )


def half_noise(spec: TakeSpec = SPEC) -> bytes:
    """Return the first half of a frame's picture."""
    body = spec_picture(spec.frame)
    return body[: len(body) // 2]


@pytest.mark.parametrize(
    ("body", "reason", "kept"),
    [
        (half_noise(), "a damaged PNG: ", True),
        (spec_picture(SPEC.frame)[:60] + b"\xff" + spec_picture(SPEC.frame)[61:], "a damaged PNG: ", True),
        (b"<html>busy</html>", "a web page, not an image", True),
        (b'{"error": "no"}', "JSON, not an image: ", True),
        (b"", "an empty file", False),
    ],
    ids=["cut", "flipped", "HTML", "JSON", "empty"],
)
async def test_a_paid_body_that_is_no_picture_is_quarantined_and_asked_for_again(
    tmp_path: Path, body: bytes, reason: str, kept: bool
) -> None:
    """It was billed: the row keeps its price, the body is kept for its owner, and the take is asked for again."""
    async with rig(tmp_path, replies(image_answer(SPEC.frame, body), image_answer(SPEC.frame)), run()) as bench:
        outcome = await bench.generate(SPEC)

        quarantined = ["takes/unusable/1.bin"] if kept else []
        [(error,), _] = bench.rows("error")
        assert (outcome, bench.rows(*ACCOUNT)) == (
            Generated(SPEC, 2),
            [
                (1, "unusable", 200, PRICE_USD, PRICE_USD, None),
                (2, "ok", 200, PRICE_USD, PRICE_USD, take_file()),
            ],
        )
        assert (error.startswith(reason), error.endswith("; kept as takes/unusable/1.bin")) == (True, kept)
        assert (bench.files(), bench.committed_usd(), bench.quota.left) == (
            [take_file(), *quarantined],
            2 * PRICE_USD,
            19,
        )


async def test_a_body_that_breaks_off_is_quarantined_with_its_price(tmp_path: Path) -> None:
    """The headers came: it is paid for, and what arrived is kept."""

    async def body() -> AsyncIterator[bytes]:
        yield b"\x89PNG half"
        raise httpx.ReadError("reset")

    headers = {"X-Cost-USD": "0.000652"}
    broken = httpx.Response(200, headers=headers, content=body())
    async with rig(tmp_path, replies(broken), run(), policy=RetryPolicy(max_resends=0)) as bench:
        outcome = await bench.generate(SPEC)

        assert outcome == Failed(SPEC, "the body broke off: reset (sent 1 times)")
        assert bench.rows(*ACCOUNT, "error") == [
            (1, "unusable", 200, PRICE_USD, PRICE_USD, None, "the body broke off: reset; kept as takes/unusable/1.bin")
        ]
        assert (bench.store.takes / "unusable" / "1.bin").read_bytes() == b"\x89PNG half"


async def test_a_jpeg_labelled_png_is_kept_as_the_jpeg_it_is(tmp_path: Path) -> None:
    """The take has its original bytes under the right suffix."""
    body = spec_picture(SPEC.frame, "JPEG")
    async with rig(tmp_path, replies(image_answer(SPEC.frame, body)), run()) as bench:
        outcome = await bench.generate(SPEC)

        assert (outcome, bench.rows("status", "file", "sha256")) == (
            Generated(SPEC, 1),
            [("ok", take_file(suffix=".jpg"), sha256(body))],
        )


@pytest.mark.parametrize("fit", [Fit.COVER, Fit.CONTAIN, Fit.STRETCH])
async def test_a_picture_of_another_size_is_kept_and_logged(tmp_path: Path, fit: Fit) -> None:
    """It will be fitted; the ledger has the pixels that came, and the log says what is done."""
    spec = take_spec(fit=fit)
    async with rig(tmp_path, replies(image_answer(spec.frame, picture_bytes("PNG", (512, 256)))), run()) as bench:
        outcome = await bench.generate(spec)

        assert (outcome, bench.rows("status", "width", "height")) == (Generated(spec, 1), [("ok", 512, 256)])
        assert "the take was made at 512x256 instead of 1024x1024" in bench.log


async def test_a_picture_of_another_size_is_unusable_where_fit_is_error(tmp_path: Path) -> None:
    """It is paid for and quarantined; one of the right size is asked for."""
    spec = take_spec(fit=Fit.ERROR)
    wrong = image_answer(spec.frame, picture_bytes("PNG", (512, 256)))
    async with rig(tmp_path, replies(wrong, image_answer(spec.frame)), run()) as bench:
        outcome = await bench.generate(spec)

        said = "512x256 pixels where 1024x1024 were asked for, and fit is error; kept as takes/unusable/1.bin"
        assert (outcome, bench.rows("status", "cost_usd", "error")) == (
            Generated(spec, 2),
            [("unusable", PRICE_USD, said), ("ok", PRICE_USD, None)],
        )


@pytest.mark.parametrize(
    ("asked", "answered", "cure"),
    [
        ("flux-1-schnell", "sketch", "--model sketch"),
        ("flux-1-schnell", "flux-2", "--model flux-2"),
        ("sketch", "flux-1-schnell", "--model flux-1-schnell"),
    ],
)
async def test_another_model_stops_the_run_with_the_cure(tmp_path: Path, asked: str, answered: str, cure: str) -> None:
    """A sketch never passes for the film's picture: the body is quarantined, the price stands, the run stops."""
    async with rig(tmp_path, replies(image_answer(SPEC.frame, model=answered)), run(model=asked)) as bench:
        outcome = await bench.generate(SPEC)

        said = (
            f"the endpoint answers with model {answered!r} where {asked!r} was asked for; run with {cure}, "
            "or check --endpoint"
        )
        assert (outcome, type(bench.stop_signal.error)) == (Failed(SPEC, said), WrongEndpointError)
        assert bench.rows("status", "cost_usd", "error", "file") == [
            ("unusable", PRICE_USD, f"made by model {answered}; kept as takes/unusable/1.bin", None)
        ]
        assert (bench.files(), bench.log[-1]) == (["takes/unusable/1.bin"], f"stopping the run: {said}")


async def test_an_endpoint_that_names_no_model_is_believed(tmp_path: Path) -> None:
    """No X-Model is no reason to stop."""
    answer = image_answer(SPEC.frame)
    del answer.headers["X-Model"]
    async with rig(tmp_path, replies(answer), run()) as bench:
        assert await bench.generate(SPEC) == Generated(SPEC, 1)
