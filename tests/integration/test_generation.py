"""One frame from spec to settled take: every outcome of the API, in the ledger and on the disk."""

import asyncio
import errno
import hashlib
import io
import itertools
import json
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

from pipelines.common.errors import (
    BudgetError,
    CredentialsRefusedError,
    EndpointUnreachableError,
    IncompleteError,
    InterruptedRunError,
    StorageError,
    WrongEndpointError,
)
from pipelines.common.files import publish_new_file
from pipelines.common.geometry import Fit
from pipelines.endpoints.retry import RetryPolicy
from pipelines.ledger import settlement
from pipelines.ledger.gate import Gate
from pipelines.ledger.models import AttemptRequest
from pipelines.run.worker import Failed, Generated, Postponed, Reused, Unsent
from pipelines.takes.discovery import discover_takes
from pipelines.takes.recovery import recover
from pipelines.takes.store import TakeStore
from tests.support.builders import frame_spec, run
from tests.support.generation import Rig, replies, rig
from tests.support.pictures import PRICE_USD, image_answer, picture_bytes, spec_picture

SPEC = frame_spec()
ACCOUNT = ("try", "status", "http_status", "cost_usd", "reserved_usd", "file")


def sha256(data: bytes) -> str:
    """Return the hex sha-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()


def take_file(spec: Any = SPEC, suffix: str = ".png") -> str:
    """Return where a take is kept, as the ledger name it."""
    return f"takes/{spec.request_key}{suffix}"


def api_error(status: int, message: str) -> httpx.Response:
    """Return an error in the API's own words."""
    return httpx.Response(status, json={"error": message})


async def test_an_image_is_bought_kept_and_accounted_for(tmp_path: Path) -> None:
    """One request, one row, one take with its original bytes; the reservation gives way to the price."""
    async with rig(tmp_path, replies(image_answer(SPEC)), run()) as bench:
        outcome = await bench.buy(SPEC)

        body = spec_picture(SPEC)
        assert outcome == Generated(SPEC, requests=1)
        assert bench.rows(*ACCOUNT, "error", "sha256", "bytes", "width", "height", "neurons", "tiles") == [
            (
                1,
                "ok",
                200,
                PRICE_USD,
                PRICE_USD,
                take_file(),
                None,
                sha256(body),
                len(body),
                1024,
                1024,
                Decimal("57.6"),
                4,
            )
        ]
        assert (bench.store.folder / take_file()).read_bytes() == body
        assert (bench.files(), bench.leases(), bench.committed_usd()) == ([take_file()], [], PRICE_USD)
        assert (bench.progress.bought, bench.progress.requests, bench.progress.in_flight) == (1, 1, 0)
        assert (bench.progress.cost_usd, bench.notes, bench.stop_signal.stopped) == (PRICE_USD, [], False)


async def test_the_attempt_stands_in_the_books_before_it_is_sent(tmp_path: Path) -> None:
    """While the server thinks, the row is there, open, and its reservation is charged."""
    seen: list[Any] = []
    bench: Rig

    async def look(_: httpx.Request) -> httpx.Response:
        seen.append((bench.rows("status", "cost_usd", "reserved_usd"), bench.committed_usd(), bench.leases()))
        return image_answer(SPEC)

    async with rig(tmp_path, look, run()) as bench:
        await bench.buy(SPEC)

    assert seen == [([(None, None, PRICE_USD)], PRICE_USD, [SPEC.request_key])]


async def test_the_cost_is_settled_before_the_body_is_read(tmp_path: Path) -> None:
    """When the first byte of the body is asked for, the bill is in the ledger."""
    seen: list[Any] = []
    bench: Rig

    async def body() -> AsyncIterator[bytes]:
        seen.append(bench.rows("status", "http_status", "cost_usd"))
        yield spec_picture(SPEC)

    answer = image_answer(SPEC)
    streamed = httpx.Response(
        200, headers={k: v for k, v in answer.headers.items() if k.startswith("x-")}, content=body()
    )
    async with rig(tmp_path, replies(streamed), run()) as bench:
        outcome = await bench.buy(SPEC)

    assert (outcome, seen) == (Generated(SPEC, 1), [[(None, 200, PRICE_USD)]])


async def test_what_is_asked_is_the_frame(tmp_path: Path) -> None:
    """Prompt, steps and aspect ratio of the spec go over the wire."""
    async with rig(tmp_path, replies(image_answer(SPEC)), run()) as bench:
        await bench.buy(SPEC)

        asked = [json.loads(request.content) for request in bench.requests]
    assert asked == [{"prompt": "a harbor at dawn", "steps": 4, "aspectRatio": "1:1"}]


async def test_a_bill_without_a_price_stays_charged_at_the_reserve(tmp_path: Path) -> None:
    """A cost that is not known is None, never zero."""
    answer = httpx.Response(200, content=spec_picture(SPEC))
    async with rig(tmp_path, replies(answer), run()) as bench:
        outcome = await bench.buy(SPEC)

        assert (outcome, bench.rows(*ACCOUNT), bench.committed_usd(), bench.progress.cost_usd) == (
            Generated(SPEC, 1),
            [(1, "ok", 200, None, PRICE_USD, take_file())],
            PRICE_USD,
            Decimal(0),
        )


async def test_a_429_cools_everyone_down_and_costs_nothing(tmp_path: Path) -> None:
    """The wait is the gate's, for all runs on these ledger; the row is closed at zero, the next one bought."""
    limited = httpx.Response(429, json={"error": "Too many requests"}, headers={"Retry-After": "42"})
    async with rig(tmp_path, replies(limited, image_answer(SPEC)), run()) as bench:
        outcome = await bench.buy(SPEC)

        assert (outcome, bench.rows(*ACCOUNT, "error")) == (
            Generated(SPEC, 2),
            [
                (1, "rate_limited", 429, 0, PRICE_USD, None, "Too many requests"),
                (2, "ok", 200, PRICE_USD, PRICE_USD, take_file(), None),
            ],
        )
        assert (bench.cool_until_s(), bench.pauses, bench.notes) == (
            42,
            [0, 42],
            ["rate limited: nobody sends for 42.0 s"],
        )
        assert (bench.committed_usd(), bench.quota.left, bench.progress.resends) == (PRICE_USD, 20, 1)


async def test_429s_without_end_stop_the_run(tmp_path: Path) -> None:
    """After max_rate_limited in a row nobody sends any more."""
    policy = RetryPolicy(max_rate_limited=3)
    async with rig(tmp_path, replies(api_error(429, "slow")), run(), policy=policy) as bench:
        outcome = await bench.buy(SPEC)

        assert outcome == Failed(SPEC, "the endpoint answered 429 3 times in a row; run again later to complete")
        assert (type(bench.stop_signal.error), bench.rows("status", "cost_usd"), bench.leases()) == (
            IncompleteError,
            [("rate_limited", 0)] * 3,
            [],
        )


async def test_a_rejected_request_fails_its_frame_alone(tmp_path: Path) -> None:
    """A 400 is free, is not sent again, and the run goes on."""
    async with rig(tmp_path, replies(api_error(400, "Prompt is required")), run()) as bench:
        outcome = await bench.buy(SPEC)

        assert outcome == Failed(SPEC, "request rejected (400 Prompt is required)")
        assert bench.rows(*ACCOUNT, "error") == [(1, "rejected", 400, 0, PRICE_USD, None, "Prompt is required")]
        assert (bench.stop_signal.stopped, bench.leases(), bench.committed_usd()) == (False, [], 0)
        assert (bench.progress.failed, bench.progress.in_flight) == (1, 0)
        assert bench.notes == ["giving up: request rejected (400 Prompt is required)"]


@pytest.mark.parametrize(("status", "message"), [(500, "Authentication error"), (401, "Who are you?"), (403, "No")])
async def test_refused_credentials_stop_the_run(tmp_path: Path, status: int, message: str) -> None:
    """One answer is enough: no other frame would fare better."""
    async with rig(tmp_path, replies(api_error(status, message)), run()) as bench:
        outcome = await bench.buy(SPEC)

        said = f"the endpoint answered {status} {message!r}; check STORYREEL_API_TOKEN and that Workers AI is enabled"
        assert (outcome, type(bench.stop_signal.error)) == (Failed(SPEC, said), CredentialsRefusedError)
        assert bench.rows(*ACCOUNT) == [(1, "refused", status, 0, PRICE_USD, None)]


@pytest.mark.parametrize(("status", "row"), [(404, "rejected"), (301, "rejected")])
async def test_an_address_that_is_not_the_api_stops_the_run(tmp_path: Path, status: int, row: str) -> None:
    """A page of something else costs nothing and is told as such."""
    async with rig(tmp_path, replies(httpx.Response(status, text="<html>")), run()) as bench:
        await bench.buy(SPEC)

        assert (type(bench.stop_signal.error), bench.rows("status", "cost_usd")) == (WrongEndpointError, [(row, 0)])


async def test_an_error_in_the_api_s_own_words_is_free_and_sent_again(tmp_path: Path) -> None:
    """The API bills images only: its 500 settles at zero."""
    async with rig(tmp_path, replies(api_error(500, "3040: capacity"), image_answer(SPEC)), run()) as bench:
        outcome = await bench.buy(SPEC)

        assert (outcome, bench.rows(*ACCOUNT)) == (
            Generated(SPEC, 2),
            [(1, "failed", 500, 0, PRICE_USD, None), (2, "ok", 200, PRICE_USD, PRICE_USD, take_file())],
        )
        assert (bench.committed_usd(), bench.quota.left) == (PRICE_USD, 19)


async def test_an_error_that_names_its_price_is_charged_at_it(tmp_path: Path) -> None:
    """What the headers say is believed, whatever the status."""
    answer = httpx.Response(500, json={"error": "late"}, headers={"X-Cost-USD": "0.0001"})
    async with rig(tmp_path, replies(answer), run(), policy=RetryPolicy(max_resends=0)) as bench:
        await bench.buy(SPEC)

        assert (bench.rows(*ACCOUNT), bench.committed_usd()) == (
            [(1, "failed", 500, Decimal("0.0001"), PRICE_USD, None)],
            Decimal("0.0001"),
        )


async def test_a_502_of_something_before_the_api_stays_charged(tmp_path: Path) -> None:
    """Nobody knows whether an image was made behind it: no cost in the ledger, the reservation stands."""
    page = httpx.Response(502, text="<html>Bad gateway</html>")
    async with rig(tmp_path, replies(page, image_answer(SPEC)), run()) as bench:
        outcome = await bench.buy(SPEC)

        assert (outcome, bench.rows(*ACCOUNT, "error")) == (
            Generated(SPEC, 2),
            [
                (1, "failed", 502, None, PRICE_USD, None, "<html>Bad gateway</html>"),
                (2, "ok", 200, PRICE_USD, PRICE_USD, take_file(), None),
            ],
        )
        assert bench.committed_usd() == 2 * PRICE_USD


async def test_errors_without_end_fail_the_frame_after_its_resends(tmp_path: Path) -> None:
    """Four requests, each reserved anew, and then the frame is given up; the run goes on."""
    async with rig(tmp_path, replies(httpx.Response(503)), run()) as bench:
        outcome = await bench.buy(SPEC)

        assert outcome == Failed(SPEC, "server error (503 Service Unavailable) (sent 4 times)")
        assert (bench.rows("try", "status"), bench.stop_signal.stopped, bench.committed_usd()) == (
            [(n, "failed") for n in (1, 2, 3, 4)],
            False,
            4 * PRICE_USD,
        )
        assert (len(bench.notes), bench.notes[0][:17], bench.leases()) == (4, "sending again in ", [])


async def test_the_quota_of_the_run_ends_the_resends_of_all_frames(tmp_path: Path) -> None:
    """An endpoint gone bad cannot multiply the bill."""
    specs = [frame_spec(n, prompt=str(n)) for n in range(4)]
    async with rig(tmp_path, replies(httpx.Response(503)), run(), quota=2) as bench:
        outcomes = await bench.buy_all(specs)

        assert ([type(outcome) for outcome in outcomes], len(bench.rows("status"))) == ([Failed] * 4, 6)


@pytest.mark.parametrize(
    "error", [httpx.ReadTimeout("silence"), httpx.ReadError("reset"), httpx.RemoteProtocolError("gone")]
)
async def test_a_lost_answer_is_unknown_and_stays_charged(tmp_path: Path, error: Exception) -> None:
    """It may have been billed: no status, no cost, the reservation stands; then it is sent again."""
    async with rig(tmp_path, replies(error, image_answer(SPEC)), run()) as bench:
        outcome = await bench.buy(SPEC)

        assert (outcome, bench.rows(*ACCOUNT, "error")) == (
            Generated(SPEC, 2),
            [
                (1, "unknown", None, None, PRICE_USD, None, f"no answer: {error}"),
                (2, "ok", 200, PRICE_USD, PRICE_USD, take_file(), None),
            ],
        )
        assert bench.committed_usd() == 2 * PRICE_USD


async def test_an_endpoint_that_cannot_be_reached_stops_the_run(tmp_path: Path) -> None:
    """After max_connects in a row; nothing was sent, so nothing is owed, and the quota is whole."""
    async with rig(
        tmp_path, replies(httpx.ConnectError("refused")), run(), policy=RetryPolicy(max_connects=3)
    ) as bench:
        outcome = await bench.buy(SPEC)

        assert outcome == Failed(
            SPEC, "cannot connect to http://flux.test: refused; check the address and the network, then run again"
        )
        assert (type(bench.stop_signal.error), bench.committed_usd(), bench.quota.left) == (
            EndpointUnreachableError,
            0,
            20,
        )
        assert bench.rows(*ACCOUNT, "error") == [
            (n, "failed", None, 0, PRICE_USD, None, "never sent: cannot connect to http://flux.test: refused")
            for n in (1, 2, 3)
        ]


def half_noise(spec: Any = SPEC) -> bytes:
    """Return the first half of a frame's picture."""
    body = spec_picture(spec)
    return body[: len(body) // 2]


@pytest.mark.parametrize(
    ("body", "reason", "kept"),
    [
        (half_noise(), "a damaged PNG: ", True),
        (spec_picture(SPEC)[:60] + b"\xff" + spec_picture(SPEC)[61:], "a damaged PNG: ", True),
        (b"<html>busy</html>", "a web page, not an image", True),
        (b'{"error": "no"}', "not an image: it starts with ", True),
        (b"", "an empty body", False),
    ],
    ids=["cut", "flipped", "HTML", "JSON", "empty"],
)
async def test_a_paid_body_that_is_no_picture_is_set_aside_and_sent_again(
    tmp_path: Path, body: bytes, reason: str, kept: bool
) -> None:
    """It was billed: the row keeps its price, the body is kept for its owner, and the frame is bought again."""
    async with rig(tmp_path, replies(image_answer(SPEC, body), image_answer(SPEC)), run()) as bench:
        outcome = await bench.buy(SPEC)

        aside = ["takes/unusable/1.bin"] if kept else []
        [(error,), _] = bench.rows("error")
        assert (outcome, bench.rows(*ACCOUNT)) == (
            Generated(SPEC, 2),
            [
                (1, "unusable", 200, PRICE_USD, PRICE_USD, None),
                (2, "ok", 200, PRICE_USD, PRICE_USD, take_file()),
            ],
        )
        assert (error.startswith(reason), error.endswith("; kept as takes/unusable/1.bin")) == (True, kept)
        assert (bench.files(), bench.committed_usd(), bench.quota.left) == ([take_file(), *aside], 2 * PRICE_USD, 19)


async def test_a_body_that_breaks_off_is_set_aside_with_its_price(tmp_path: Path) -> None:
    """The headers came: it is paid for, and what arrived is kept."""

    async def body() -> AsyncIterator[bytes]:
        yield b"\x89PNG half"
        raise httpx.ReadError("reset")

    headers = {"X-Cost-USD": "0.000652"}
    broken = httpx.Response(200, headers=headers, content=body())
    async with rig(tmp_path, replies(broken), run(), policy=RetryPolicy(max_resends=0)) as bench:
        outcome = await bench.buy(SPEC)

        assert outcome == Failed(SPEC, "the body broke off: reset (sent 1 times)")
        assert bench.rows(*ACCOUNT, "error") == [
            (1, "unusable", 200, PRICE_USD, PRICE_USD, None, "the body broke off: reset; kept as takes/unusable/1.bin")
        ]
        assert (bench.store.takes / "unusable" / "1.bin").read_bytes() == b"\x89PNG half"


async def test_a_jpeg_labelled_png_is_kept_as_the_jpeg_it_is(tmp_path: Path) -> None:
    """The take has its original bytes under the right suffix."""
    body = spec_picture(SPEC, "JPEG")
    async with rig(tmp_path, replies(image_answer(SPEC, body)), run()) as bench:
        outcome = await bench.buy(SPEC)

        assert (outcome, bench.rows("status", "file", "sha256")) == (
            Generated(SPEC, 1),
            [("ok", take_file(suffix=".jpg"), sha256(body))],
        )


@pytest.mark.parametrize("fit", [Fit.COVER, Fit.CONTAIN, Fit.STRETCH])
async def test_a_picture_of_another_size_is_kept_and_told(tmp_path: Path, fit: Fit) -> None:
    """It will be fitted; the ledger have the pixels that came, and the note says what is done."""
    spec = frame_spec(fit=fit)
    async with rig(tmp_path, replies(image_answer(spec, picture_bytes("PNG", (512, 256)))), run()) as bench:
        outcome = await bench.buy(spec)

        assert (outcome, bench.rows("status", "width", "height")) == (Generated(spec, 1), [("ok", 512, 256)])
        assert bench.notes == [f"answered with 512x256 pixels instead of 1024x1024; fitted: {fit}"]


async def test_a_picture_of_another_size_is_unusable_where_fit_is_error(tmp_path: Path) -> None:
    """It is paid for and set aside; one of the right size is asked for."""
    spec = frame_spec(fit=Fit.ERROR)
    wrong = image_answer(spec, picture_bytes("PNG", (512, 256)))
    async with rig(tmp_path, replies(wrong, image_answer(spec)), run()) as bench:
        outcome = await bench.buy(spec)

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
    """A rehearsal is never taken for the film: the body is set aside, the price stands, nothing more is sent."""
    async with rig(tmp_path, replies(image_answer(SPEC, model=answered)), run(model=asked)) as bench:
        outcome = await bench.buy(SPEC)

        said = (
            f"the endpoint answers with model {answered!r} where {asked!r} was asked for; run with {cure}, "
            "or check --endpoint"
        )
        assert (outcome, type(bench.stop_signal.error)) == (Failed(SPEC, said), WrongEndpointError)
        assert bench.rows("status", "cost_usd", "error", "file") == [
            ("unusable", PRICE_USD, f"made by model {answered}; kept as takes/unusable/1.bin", None)
        ]
        assert (bench.files(), bench.notes[-1]) == (["takes/unusable/1.bin"], f"stopping the run: {said}")


async def test_an_endpoint_that_names_no_model_is_believed(tmp_path: Path) -> None:
    """No X-Model is no reason to stop."""
    answer = image_answer(SPEC)
    del answer.headers["X-Model"]
    async with rig(tmp_path, replies(answer), run()) as bench:
        assert await bench.buy(SPEC) == Generated(SPEC, 1)


async def test_a_refused_prompt_gives_way_to_its_fallbacks(tmp_path: Path) -> None:
    """Twice the prompt, then the first fallback, which is bought under the same request key and its own words."""
    spec = frame_spec(fallback_prompts=("a stormy sea", "oil painting"))
    no = api_error(500, "Failed to generate image")
    async with rig(tmp_path, replies(no, no, image_answer(spec)), run()) as bench:
        outcome = await bench.buy(spec)

        assert outcome == Generated(spec, 3)
        assert bench.rows("try", "prompt", "status", "http_status", "cost_usd", "request_key") == [
            (1, "a harbor at dawn", "failed", 500, 0, spec.request_key),
            (2, "a harbor at dawn", "failed", 500, 0, spec.request_key),
            (3, "a stormy sea", "ok", 200, PRICE_USD, spec.request_key),
        ]
        assert bench.notes[-1] == "prompt refused (500 Failed to generate image): trying the next fallback prompt"


async def test_a_frame_whose_every_prompt_is_refused_fails_with_the_cure(tmp_path: Path) -> None:
    """The last words say what to do."""
    spec = frame_spec(fallback_prompts=("a stormy sea",))
    async with rig(tmp_path, replies(api_error(500, "Failed to generate image")), run()) as bench:
        outcome = await bench.buy(spec)

        assert outcome == Failed(
            spec, "prompt refused (500 Failed to generate image); reword the prompt or add fallback_prompts"
        )
        assert (len(bench.requests), bench.stop_signal.stopped, bench.leases()) == (4, False, [])


async def test_a_take_that_is_kept_already_is_not_bought(tmp_path: Path) -> None:
    """Whoever comes second finds it in the ledger and sends nothing."""
    async with rig(tmp_path, replies(image_answer(SPEC)), run()) as bench:
        first = await bench.buy(SPEC)
        second = await bench.buy(SPEC)

        assert (first, second, len(bench.requests), len(bench.rows("status"))) == (
            Generated(SPEC, 1),
            Reused(SPEC),
            1,
            1,
        )
        assert bench.progress.bought == 2


async def test_a_take_that_another_run_is_buying_is_left_to_it(tmp_path: Path) -> None:
    """Its lease holds while it lives; ours is not sent, and its lease is not let go by us."""
    other = run("run-2", storyboard="other")
    async with rig(tmp_path, replies(image_answer(SPEC)), run()) as bench:
        bench.ledger.start_run(other)
        Gate(bench.ledger, other, rate_limit=720).admit(AttemptRequest(SPEC, SPEC.prompt, 1))

        outcome = await bench.buy(SPEC)

        assert (outcome, bench.requests, bench.leases()) == (Postponed(SPEC), [], [SPEC.request_key])
        assert (bench.progress.bought, bench.progress.failed) == (0, 0)


async def test_the_budget_stops_before_the_first_request(tmp_path: Path) -> None:
    """What one attempt may cost does not fit: nothing is sent, nothing is written down."""
    async with rig(tmp_path, replies(image_answer(SPEC)), run(budget_usd=Decimal("0.0006"))) as bench:
        outcome = await bench.buy(SPEC)

        assert (outcome, bench.requests, bench.rows("status"), bench.leases()) == (Unsent(SPEC), [], [], [])
        assert (type(bench.stop_signal.error), str(bench.stop_signal.error)) == (
            BudgetError,
            "the budget of 0.0006 USD is used up (0 USD spent or reserved); what was bought is kept: raise budget.usd "
            "or --budget; then run again to complete",
        )


def held_answers(price_usd: str | None = None) -> tuple[asyncio.Event, Callable[[httpx.Request], Any]]:
    """Return an event, and an API that answers only once it is set, at its own price if one is given."""
    release = asyncio.Event()

    async def handle(_: httpx.Request) -> httpx.Response:
        await release.wait()
        answer = image_answer(SPEC)
        if price_usd is not None:
            answer.headers["X-Cost-USD"] = price_usd
        return answer

    return release, handle


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something has come about, for ten seconds at most."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("price_usd", [None, "0.0001"])
async def test_a_budget_that_is_used_up_in_mid_run_waits_for_what_is_in_flight(
    tmp_path: Path, price_usd: str | None
) -> None:
    """Those in flight may turn out cheaper: if so the rest is bought after all, if not the run stops, all in order."""
    specs = [frame_spec(n, prompt=str(n)) for n in range(4)]
    release, handler = held_answers(price_usd)
    async with rig(tmp_path, handler, run(budget_usd=2 * PRICE_USD)) as bench:
        task = asyncio.create_task(bench.buy_all(specs))
        await until(lambda: len(bench.requests) == 2)
        await asyncio.sleep(0.05)
        waiting = (len(bench.requests), bench.stop_signal.stopped, task.done())
        release.set()

        outcomes = await task

        assert waiting == (2, False, False)
        if price_usd is None:
            assert outcomes[:3] == [Generated(specs[0], 1), Generated(specs[1], 1), Unsent(specs[2])]
            assert (type(bench.stop_signal.error), bench.committed_usd()) == (BudgetError, 2 * PRICE_USD)
        else:
            assert outcomes == [Generated(spec, 1) for spec in specs]
            assert (bench.stop_signal.error, bench.committed_usd()) == (None, Decimal("0.0004"))


async def test_a_resend_that_the_budget_refuses_stops_the_run(tmp_path: Path) -> None:
    """An uncertain attempt stays charged, so a second one may not fit any more."""
    async with rig(tmp_path, replies(httpx.ReadError("reset")), run(budget_usd=PRICE_USD)) as bench:
        outcome = await bench.buy(SPEC)

        assert (outcome, bench.rows("status", "cost_usd"), type(bench.stop_signal.error), bench.leases()) == (
            Unsent(SPEC),
            [("unknown", None)],
            BudgetError,
            [],
        )


async def test_a_brake_pulled_at_the_gate_withdraws_the_attempt(tmp_path: Path) -> None:
    """What was admitted and not sent leaves no row, no reservation, no lease."""
    bench: Rig

    def stop(_: float) -> None:
        bench.stop_signal.stop(InterruptedRunError("stop"))

    async with rig(tmp_path, replies(image_answer(SPEC)), run(), on_pause=stop) as bench:
        outcome = await bench.buy(SPEC)

        assert (outcome, bench.requests, bench.rows("status")) == (Unsent(SPEC), [], [])
        assert (bench.committed_usd(), bench.leases(), bench.progress.requests) == (0, [], 0)


async def test_a_brake_pulled_in_a_back_off_sends_no_more(tmp_path: Path) -> None:
    """The failed attempt stays in the ledger, the next is withdrawn."""
    bench: Rig

    def stop(_: float) -> None:
        if bench.requests:
            bench.stop_signal.stop(InterruptedRunError("stop"))

    async with rig(tmp_path, replies(httpx.Response(503)), run(), on_pause=stop) as bench:
        outcome = await bench.buy(SPEC)

        assert (outcome, bench.rows("try", "status")) == (Unsent(SPEC), [(1, "failed")])


async def test_a_buyer_without_a_pause_of_its_own_waits_at_the_stop_signal(tmp_path: Path) -> None:
    """A stop ends every wait, the gate's too."""
    async with rig(tmp_path, replies(image_answer(SPEC)), run(), real_pauses=True) as bench:
        bench.gate.slow_down(sent_at=0, cool_down_s=300)
        task = asyncio.create_task(bench.buy(SPEC))
        await until(lambda: len(bench.rows("status")) == 1)
        bench.stop_signal.stop(InterruptedRunError("stop"))

        assert (await task, bench.rows("status"), bench.requests) == (Unsent(SPEC), [], [])


class FullDisk(io.FileIO):
    """A file on a disk that has room for ten bytes."""

    def write(self, data: Any) -> int:
        super().write(bytes(data)[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_a_full_disk_stops_the_run_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The image is paid for and lost: the row says so, and no part of it lies about."""
    opened = Path.open

    def open_full(self: Path, *args: Any, **kwargs: Any) -> IO[Any]:
        return FullDisk(self, "w") if self.suffix == ".part" else opened(self, *args, **kwargs)

    async with rig(tmp_path, replies(image_answer(SPEC)), run()) as bench:
        monkeypatch.setattr(Path, "open", open_full)
        outcome = await bench.buy(SPEC)
        monkeypatch.undo()

        assert isinstance(outcome, Failed)
        assert outcome.reason.endswith(
            ".1.part: cannot be written: No space left on device; free space or choose another --output"
        )
        assert (type(bench.stop_signal.error), bench.files(), bench.progress.in_flight) == (StorageError, [], 0)
        assert bench.rows(*ACCOUNT, "error") == [
            (1, "unusable", 200, PRICE_USD, PRICE_USD, None, f"paid for and lost: {outcome.reason}")
        ]


async def test_an_image_that_arrived_whole_outlives_an_error_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it cannot be named for now, the run stops, and the next one keeps it without paying again."""

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async with rig(tmp_path, replies(image_answer(SPEC)), run()) as bench:
        monkeypatch.setattr("pipelines.takes.store.publish_new_file", fail)
        outcome = await bench.buy(SPEC)
        monkeypatch.setattr("pipelines.takes.store.publish_new_file", publish_new_file)

        assert (type(outcome), type(bench.stop_signal.error)) == (Failed, StorageError)
        assert (bench.rows("status", "cost_usd"), bench.files()) == ([(None, PRICE_USD)], ["takes/.1.part"])

    async with rig(tmp_path, replies(image_answer(SPEC)), run("run-2")) as bench:
        recover(bench.ledger, "harbor", store=bench.store)
        assert (bench.rows(*ACCOUNT), await bench.buy(SPEC), bench.requests) == (
            [(1, "ok", 200, PRICE_USD, PRICE_USD, take_file())],
            Reused(SPEC),
            [],
        )


async def test_an_image_that_the_books_could_not_note_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The take is on disk under its name: this run shows it, and the next one writes it down."""

    def locked(*_: object) -> None:
        raise StorageError("the ledger cannot be written: database is locked; what was bought is kept")

    async with rig(tmp_path, replies(image_answer(SPEC)), run()) as bench:
        monkeypatch.setattr("pipelines.run.attempt.keep_take", locked)
        outcome = await bench.buy(SPEC)
        monkeypatch.setattr("pipelines.run.attempt.keep_take", settlement.keep_take)

        assert (type(outcome), bench.rows("status", "cost_usd")) == (Failed, [(None, PRICE_USD)])
        found = discover_takes(bench.ledger, [SPEC], store=bench.store, output=tmp_path)
        assert list(found.takes) == [SPEC.request_key]

    async with rig(tmp_path, replies(image_answer(SPEC)), run("run-2")) as bench:
        recover(bench.ledger, "harbor", store=bench.store)
        assert (bench.rows(*ACCOUNT), bench.files()) == (
            [(1, "ok", 200, PRICE_USD, PRICE_USD, take_file())],
            [take_file()],
        )


async def test_books_that_cannot_be_written_stop_the_run_unsent(tmp_path: Path) -> None:
    """What cannot be written down is not sent."""
    async with rig(tmp_path, replies(image_answer(SPEC)), run()) as bench:
        with sqlite3.connect(tmp_path / "storyreel.db") as connection:
            connection.execute("ALTER TABLE attempts RENAME TO gone")
        connection.close()
        outcome = await bench.buy(SPEC)
        with sqlite3.connect(tmp_path / "storyreel.db") as connection:
            connection.execute("ALTER TABLE gone RENAME TO attempts")
        connection.close()

        assert (type(outcome), type(bench.stop_signal.error), bench.requests) == (Failed, StorageError, [])


async def test_a_body_that_cannot_be_set_aside_stops_the_run(tmp_path: Path) -> None:
    """A paid body is not thrown away: it stays where it is, for the next run to set aside."""
    async with rig(tmp_path, replies(image_answer(SPEC, b"<html>")), run()) as bench:
        (bench.store.takes / "unusable").write_bytes(b"in the way")
        outcome = await bench.buy(SPEC)

        assert (type(outcome), type(bench.stop_signal.error)) == (Failed, StorageError)
        assert (bench.store.part_path(1).read_bytes(), bench.rows("status", "cost_usd")) == (
            b"<html>",
            [(None, PRICE_USD)],
        )


async def test_many_frames_are_sent_in_their_order_at_the_gate_s_pace(tmp_path: Path) -> None:
    """However many are in flight, they leave one after another, by number, each at its own moment."""
    specs = [frame_spec(n, prompt=str(n)) for n in range(10)]

    async def answer(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.01 if json.loads(request.content)["prompt"] in "02468" else 0)
        return image_answer(SPEC)

    async with rig(tmp_path, answer, run()) as bench:
        outcomes = await bench.buy_all(specs)

        sent = [json.loads(request.content)["prompt"] for request in bench.requests]
        moments = [moment for (moment,) in bench.rows("sent_at")]
        gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
        assert (outcomes, sent) == ([Generated(spec, 1) for spec in specs], list("0123456789"))
        assert (set(gaps), len(set(bench.files()))) == ({85035}, 10)


async def test_a_bug_is_not_swallowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw comes up as it is; the count of requests in flight still ends at none."""

    def bug(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(TakeStore, "keep", bug)
    async with rig(tmp_path, replies(image_answer(SPEC)), run()) as bench:
        with pytest.raises(ZeroDivisionError):
            await bench.buy(SPEC)

        assert (bench.progress.in_flight, bench.files()) == (0, ["takes/.1.part"])
