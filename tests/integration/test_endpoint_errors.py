"""Every answer that is no image: what it costs, whether it is sent again, and what it means for the run."""

from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from pipelines.common.errors import (
    AllocationExhaustedError,
    CredentialsRefusedError,
    EndpointUnreachableError,
    IncompleteError,
    WrongEndpointError,
)
from pipelines.endpoints.retry import RetryPolicy
from pipelines.run.outcomes import Failed, Generated
from tests.support.builders import run, take_spec
from tests.support.generation import ACCOUNT, SPEC, api_error, replies, rig, take_file
from tests.support.pictures import PRICE_USD, image_answer


async def test_a_429_cools_everyone_down_and_costs_nothing(tmp_path: Path) -> None:
    """The wait is the gate's, for all runs on this ledger; the row is closed at zero, the next one brings the take."""
    limited = httpx.Response(429, json={"error": "Too many requests"}, headers={"Retry-After": "42"})
    async with rig(tmp_path, replies(limited, image_answer(SPEC.frame)), run()) as bench:
        outcome = await bench.generate(SPEC)

        assert (outcome, bench.rows(*ACCOUNT, "error")) == (
            Generated(SPEC, 2),
            [
                (1, "rate_limited", 429, 0, PRICE_USD, None, "Too many requests"),
                (2, "ok", 200, PRICE_USD, PRICE_USD, take_file(), None),
            ],
        )
        assert (bench.cool_until_s(), bench.pauses, bench.log) == (
            42,
            [0, 42],
            ["rate limited (429 Too many requests): no run sends for 42.0 s"],
        )
        assert (bench.committed_usd(), bench.quota.left, bench.progress.resends) == (PRICE_USD, 20, 1)


async def test_429s_without_end_stop_the_run(tmp_path: Path) -> None:
    """After max_rate_limited in a row nothing more is sent."""
    policy = RetryPolicy(max_rate_limited=3)
    async with rig(tmp_path, replies(api_error(429, "slow")), run(), policy=policy) as bench:
        outcome = await bench.generate(SPEC)

        assert outcome == Failed(SPEC, "the endpoint answered 429 3 times in a row; run again later to complete")
        assert (type(bench.stop_signal.error), bench.rows("status", "cost_usd"), bench.leases()) == (
            IncompleteError,
            [("rate_limited", 0)] * 3,
            [],
        )


@pytest.mark.parametrize(
    "words", ["3040: out of capacity", "4006: daily free allocation used up", "5006: no such field"]
)
async def test_what_was_answered_429_is_entered_as_such(tmp_path: Path, words: str) -> None:
    """Whatever its number means: only `rate_limited` says 429."""
    async with rig(tmp_path, replies(api_error(429, words)), run(), policy=RetryPolicy(max_rate_limited=1)) as bench:
        await bench.generate(SPEC)

        assert bench.rows("status", "http_status", "cost_usd") == [("rate_limited", 429, 0)]


async def test_a_rejected_request_fails_its_frame_alone(tmp_path: Path) -> None:
    """A 400 is free, is not sent again, and the run goes on."""
    async with rig(tmp_path, replies(api_error(400, "Prompt is required")), run()) as bench:
        outcome = await bench.generate(SPEC)

        assert outcome == Failed(SPEC, "request rejected (400 Prompt is required)")
        assert bench.rows(*ACCOUNT, "error") == [(1, "rejected", 400, 0, PRICE_USD, None, "Prompt is required")]
        assert (bench.stop_signal.stopped, bench.leases(), bench.committed_usd()) == (False, [], 0)
        assert (bench.progress.failed, bench.progress.in_flight) == (1, 0)
        assert bench.log == ["giving up: request rejected (400 Prompt is required)"]


@pytest.mark.parametrize(("status", "message"), [(500, "Authentication error"), (401, "Who are you?"), (403, "No")])
async def test_refused_credentials_stop_the_run(tmp_path: Path, status: int, message: str) -> None:
    """One answer is enough: no other frame would fare better."""
    async with rig(tmp_path, replies(api_error(status, message)), run()) as bench:
        outcome = await bench.generate(SPEC)

        said = (
            f"the endpoint answered {status} {message!r}; check the token (STORYREEL_API_TOKEN, or the variable that "
            "the storyboard names) and that its account may generate images"
        )
        assert (outcome, type(bench.stop_signal.error)) == (Failed(SPEC, said), CredentialsRefusedError)
        assert bench.rows(*ACCOUNT) == [(1, "refused", status, 0, PRICE_USD, None)]


@pytest.mark.parametrize(("status", "row"), [(404, "rejected"), (301, "rejected")])
async def test_an_address_that_is_not_the_api_stops_the_run(tmp_path: Path, status: int, row: str) -> None:
    """A page of something else costs nothing and is reported as such."""
    async with rig(tmp_path, replies(httpx.Response(status, text="<html>")), run()) as bench:
        await bench.generate(SPEC)

        assert (type(bench.stop_signal.error), bench.rows("status", "cost_usd")) == (WrongEndpointError, [(row, 0)])


async def test_an_error_in_the_api_s_own_words_is_free_and_sent_again(tmp_path: Path) -> None:
    """The API bills images only: its 500 settles at zero."""
    async with rig(tmp_path, replies(api_error(500, "3007: timeout"), image_answer(SPEC.frame)), run()) as bench:
        outcome = await bench.generate(SPEC)

        assert (outcome, bench.rows(*ACCOUNT)) == (
            Generated(SPEC, 2),
            [(1, "failed", 500, 0, PRICE_USD, None), (2, "ok", 200, PRICE_USD, PRICE_USD, take_file())],
        )
        assert (bench.committed_usd(), bench.quota.left) == (PRICE_USD, 19)


async def test_a_lack_of_capacity_is_waited_for_by_all(tmp_path: Path) -> None:
    """It is not billed: the quota stays as it is, and so does the take's bound on re-sends."""
    full = api_error(500, "3040: Capacity temporarily exceeded")
    answers = replies(*[full] * 6, image_answer(SPEC.frame))
    async with rig(tmp_path, answers, run(), policy=RetryPolicy(max_resends=0), quota=0) as bench:
        outcome = await bench.generate(SPEC)

        assert outcome == Generated(SPEC, 7)
        assert bench.cool_until_s() > 0
        assert bench.committed_usd() == PRICE_USD


@pytest.mark.parametrize("status", [201, 203, 206, 299])
async def test_another_2xx_is_looked_at_and_its_cost_is_unknown(tmp_path: Path, status: int) -> None:
    """The seller may have billed it: the picture is kept, and nothing is entered as free."""
    answer = httpx.Response(status, content=image_answer(SPEC.frame).content)
    async with rig(tmp_path, replies(answer), run()) as bench:
        outcome = await bench.generate(SPEC)

        assert (outcome, bench.rows(*ACCOUNT)) == (
            Generated(SPEC, 1),
            [(1, "ok", status, None, PRICE_USD, take_file())],
        )
        assert bench.committed_usd() == PRICE_USD
        assert (bench.progress.cost_usd, bench.progress.uncertain_usd) == (Decimal(0), PRICE_USD)


async def test_another_2xx_without_a_picture_is_unusable(tmp_path: Path) -> None:
    """Its cost is unknown, and can be settled."""
    answers = replies(httpx.Response(202, json={"queued": True}))
    async with rig(tmp_path, answers, run(), policy=RetryPolicy(max_resends=0)) as bench:
        await bench.generate(SPEC)

        assert bench.rows("status", "http_status", "cost_usd") == [("unusable", 202, None)]
        assert bench.ledger.unsettled_attempts(bench.run.storyboard) == [1]


async def test_an_error_in_an_image_s_place_means_what_it_says(tmp_path: Path) -> None:
    """A 200 with Workers AI's number: the run stops as at any other status; the cost is that of a 200."""
    async with rig(tmp_path, replies(httpx.Response(200, json={"error": "4006: used up"})), run()) as bench:
        await bench.generate(SPEC)

        assert isinstance(bench.stop_signal.error, AllocationExhaustedError)
        assert bench.rows("status", "http_status", "cost_usd") == [("unusable", 200, None)]


async def test_an_error_that_names_its_price_is_charged_at_it(tmp_path: Path) -> None:
    """What the headers say is believed, whatever the status."""
    answer = httpx.Response(500, json={"error": "late"}, headers={"X-Cost-USD": "0.0001"})
    async with rig(tmp_path, replies(answer), run(), policy=RetryPolicy(max_resends=0)) as bench:
        await bench.generate(SPEC)

        assert (bench.rows(*ACCOUNT), bench.committed_usd()) == (
            [(1, "failed", 500, Decimal("0.0001"), PRICE_USD, None)],
            Decimal("0.0001"),
        )


async def test_a_502_of_something_before_the_api_stays_charged(tmp_path: Path) -> None:
    """Whether an image was made behind it is not known: no cost in the ledger, the reservation stands."""
    page = httpx.Response(502, text="<html>Bad gateway</html>")
    async with rig(tmp_path, replies(page, image_answer(SPEC.frame)), run()) as bench:
        outcome = await bench.generate(SPEC)

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
        outcome = await bench.generate(SPEC)

        assert outcome == Failed(SPEC, "server error (503 Service Unavailable) (sent 4 times)")
        assert (bench.rows("try", "status"), bench.stop_signal.stopped, bench.committed_usd()) == (
            [(n, "failed") for n in (1, 2, 3, 4)],
            False,
            4 * PRICE_USD,
        )
        assert (len(bench.log), bench.log[0][:17], bench.leases()) == (4, "sending again in ", [])


async def test_the_quota_of_the_run_ends_the_resends_of_all_frames(tmp_path: Path) -> None:
    """An endpoint gone bad cannot multiply the bill."""
    specs = [take_spec(n, prompt=str(n)) for n in range(4)]
    async with rig(tmp_path, replies(httpx.Response(503)), run(), quota=2) as bench:
        outcomes = await bench.generate_all(specs)

        assert ([type(outcome) for outcome in outcomes], len(bench.rows("status"))) == ([Failed] * 4, 6)


@pytest.mark.parametrize(
    "error", [httpx.ReadTimeout("silence"), httpx.ReadError("reset"), httpx.RemoteProtocolError("gone")]
)
async def test_a_lost_answer_is_unknown_and_stays_charged(tmp_path: Path, error: Exception) -> None:
    """It may have been billed: no status, no cost, the reservation stands; then it is sent again."""
    async with rig(tmp_path, replies(error, image_answer(SPEC.frame)), run()) as bench:
        outcome = await bench.generate(SPEC)

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
        outcome = await bench.generate(SPEC)

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


async def test_a_refused_prompt_gives_way_to_its_fallbacks(tmp_path: Path) -> None:
    """Twice the prompt, then the first fallback, under the same request key and with its own words."""
    spec = take_spec(fallback_prompts=("a stormy sea", "oil painting"))
    no = api_error(500, "Failed to generate image")
    async with rig(tmp_path, replies(no, no, image_answer(spec.frame)), run()) as bench:
        outcome = await bench.generate(spec)

        assert outcome == Generated(spec, 3)
        assert bench.rows("try", "prompt", "status", "http_status", "cost_usd", "request_key") == [
            (1, "a harbor at dawn", "failed", 500, 0, spec.request_key),
            (2, "a harbor at dawn", "failed", 500, 0, spec.request_key),
            (3, "a stormy sea", "ok", 200, PRICE_USD, spec.request_key),
        ]
        assert bench.log[-1] == "prompt refused (500 Failed to generate image): trying the next fallback prompt"


async def test_a_frame_whose_every_prompt_is_refused_fails_with_the_cure(tmp_path: Path) -> None:
    """The last words say what to do."""
    spec = take_spec(fallback_prompts=("a stormy sea",))
    async with rig(tmp_path, replies(api_error(500, "Failed to generate image")), run()) as bench:
        outcome = await bench.generate(spec)

        assert outcome == Failed(
            spec, "prompt refused (500 Failed to generate image); reword the prompt or add fallback_prompts"
        )
        assert (len(bench.requests), bench.stop_signal.stopped, bench.leases()) == (4, False, [])
