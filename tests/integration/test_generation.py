"""Takes go through the gate in order, within the budget, until the run is stopped; none is generated twice."""

import asyncio
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from pipelines.common.errors import BudgetError, InterruptedRunError
from pipelines.ledger.models import AttemptRequest, AttemptStatus, Outcome, Permit
from pipelines.ledger.schema import runs
from pipelines.run.outcomes import Generated, Postponed, Reused, Unsent
from tests.support.builders import run, take_spec
from tests.support.generation import SPEC, Rig, replies, rig
from tests.support.pictures import PRICE_USD, image_answer


async def test_a_take_that_is_kept_already_is_not_generated(tmp_path: Path) -> None:
    """A second request for it finds it in the ledger and sends nothing."""
    async with rig(tmp_path, replies(image_answer(SPEC.frame)), run()) as bench:
        first = await bench.generate(SPEC)
        second = await bench.generate(SPEC)

        assert (first, second, len(bench.requests), len(bench.rows("status"))) == (
            Generated(SPEC, 1),
            Reused(SPEC),
            1,
            1,
        )
        assert bench.progress.generated == 2


async def test_a_take_that_another_run_is_generating_is_left_to_it(tmp_path: Path) -> None:
    """Its lease holds while it lives; ours is not sent, and its lease is not let go by us."""
    other = run("run-2", storyboard="other")
    async with rig(tmp_path, replies(image_answer(SPEC.frame)), run()) as bench:
        bench.ledger.start_run(other)
        bench.ledger.gate(other, rate_limit=720).admit(AttemptRequest(SPEC, SPEC.prompt, 1))

        outcome = await bench.generate(SPEC)

        assert (outcome, bench.requests, bench.leases()) == (Postponed(SPEC), [], [SPEC.request_key])
        assert (bench.progress.generated, bench.progress.failed) == (0, 0)


@dataclass
class SleepyClock:
    """A clock by which the machine goes to sleep once, as an attempt waits for its moment."""

    sleeps_s: float
    readings: int = 0

    def __call__(self) -> float:
        self.readings += 1
        return self.sleeps_s if self.readings > 1 else 0.0


async def test_an_attempt_that_slept_is_sent_if_its_take_is_still_its_own(tmp_path: Path) -> None:
    """Nothing happened meanwhile."""
    clock = SleepyClock(3600)
    async with rig(tmp_path, replies(image_answer(SPEC.frame)), run(), clock=clock) as bench:
        assert await bench.generate(SPEC) == Generated(SPEC, 1)


async def test_an_attempt_that_slept_is_not_sent_where_another_run_has_taken_its_take_over(tmp_path: Path) -> None:
    """That run is generating it: to send this one would pay twice. It is looked for again later, and costs nothing."""
    other = run("run-2", storyboard="harbor")

    def take_over(_: float) -> None:
        bench.ledger.close_attempt(1, Outcome(AttemptStatus.UNKNOWN, "its process was killed"))
        with bench.ledger.database.transaction() as connection:
            connection.execute(update(runs).where(runs.c.run_id == bench.run.run_id).values(pid=2**22 + 1))
        bench.ledger.start_run(other)
        admission = bench.ledger.gate(other, rate_limit=720).admit(AttemptRequest(SPEC, SPEC.prompt, 1))
        assert isinstance(admission, Permit)

    handler, clock = replies(image_answer(SPEC.frame)), SleepyClock(3600)
    async with rig(tmp_path, handler, run(), on_pause=take_over, clock=clock) as bench:
        outcome = await bench.generate(SPEC)

        assert (outcome, bench.requests, bench.leases()) == (Postponed(SPEC), [], [SPEC.request_key])
        assert (bench.rows("run_id", "status"), bench.committed_usd()) == ([("run-2", None)], 0)
        assert bench.progress.in_flight == 0


async def test_the_budget_stops_before_the_first_request(tmp_path: Path) -> None:
    """What one attempt may cost does not fit: nothing is sent, nothing is written down."""
    async with rig(tmp_path, replies(image_answer(SPEC.frame)), run(budget_usd=Decimal("0.0006"))) as bench:
        outcome = await bench.generate(SPEC)

        assert (outcome, bench.requests, bench.rows("status"), bench.leases()) == (Unsent(SPEC), [], [], [])
        assert (type(bench.stop_signal.error), str(bench.stop_signal.error)) == (
            BudgetError,
            "the budget of 0.0006 USD is used up (0 USD spent or reserved); what was generated is kept: raise "
            "budget.usd or --budget; then run again to complete",
        )


def held_answers(price_usd: str | None = None) -> tuple[asyncio.Event, Callable[[httpx.Request], Any]]:
    """Return an event, and an API that answers only once it is set, at its own price if one is given."""
    release = asyncio.Event()

    async def handle(_: httpx.Request) -> httpx.Response:
        await release.wait()
        answer = image_answer(SPEC.frame)
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
    """Those in flight may turn out cheaper: if so the rest is generated after all, if not the run stops in order."""
    specs = [take_spec(n, prompt=str(n)) for n in range(4)]
    release, handler = held_answers(price_usd)
    async with rig(tmp_path, handler, run(budget_usd=2 * PRICE_USD)) as bench:
        task = asyncio.create_task(bench.generate_all(specs))
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
        outcome = await bench.generate(SPEC)

        assert (outcome, bench.rows("status", "cost_usd"), type(bench.stop_signal.error), bench.leases()) == (
            Unsent(SPEC, 1),
            [("unknown", None)],
            BudgetError,
            [],
        )


async def test_a_stop_at_the_gate_withdraws_the_attempt(tmp_path: Path) -> None:
    """What was admitted and not sent leaves no row, no reservation, no lease."""
    bench: Rig

    def stop(_: float) -> None:
        bench.stop_signal.stop(InterruptedRunError("stop"))

    async with rig(tmp_path, replies(image_answer(SPEC.frame)), run(), on_pause=stop) as bench:
        outcome = await bench.generate(SPEC)

        assert (outcome, bench.requests, bench.rows("status")) == (Unsent(SPEC), [], [])
        assert (bench.committed_usd(), bench.leases(), bench.progress.requests) == (0, [], 0)


async def test_a_stop_in_a_back_off_sends_no_more(tmp_path: Path) -> None:
    """The failed attempt stays in the ledger, the next is withdrawn."""
    bench: Rig

    def stop(_: float) -> None:
        if bench.requests:
            bench.stop_signal.stop(InterruptedRunError("stop"))

    async with rig(tmp_path, replies(httpx.Response(503)), run(), on_pause=stop) as bench:
        outcome = await bench.generate(SPEC)

        assert (outcome, bench.rows("try", "status")) == (Unsent(SPEC, 1), [(1, "failed")])


async def test_a_generator_without_a_pause_of_its_own_waits_for_the_stop_signal(tmp_path: Path) -> None:
    """A stop ends every wait, the gate's too."""
    async with rig(tmp_path, replies(image_answer(SPEC.frame)), run(), real_pauses=True) as bench:
        bench.gate.slow_down(sent_at=0, cool_down_s=300)
        task = asyncio.create_task(bench.generate(SPEC))
        await until(lambda: len(bench.rows("status")) == 1)
        bench.stop_signal.stop(InterruptedRunError("stop"))

        assert (await task, bench.rows("status"), bench.requests) == (Unsent(SPEC), [], [])


async def test_many_frames_are_sent_in_their_order_at_the_gate_s_pace(tmp_path: Path) -> None:
    """However many are in flight, they leave one after another, by number, each at its own moment."""
    specs = [take_spec(n, prompt=str(n)) for n in range(10)]

    async def answer(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.01 if json.loads(request.content)["prompt"] in "02468" else 0)
        return image_answer(SPEC.frame)

    async with rig(tmp_path, answer, run()) as bench:
        outcomes = await bench.generate_all(specs)

        sent = [json.loads(request.content)["prompt"] for request in bench.requests]
        moments = [moment for (moment,) in bench.rows("sent_at")]
        gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
        assert (outcomes, sent) == ([Generated(spec, 1) for spec in specs], list("0123456789"))
        assert (set(gaps), len(set(bench.files()))) == ({85035}, 10)
