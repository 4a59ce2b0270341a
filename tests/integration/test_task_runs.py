"""The task runs of a flow run, read back from a real Prefect API: how many there are, and how each ended."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import cast
from uuid import UUID

import pytest
from prefect import flow, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.context import FlowRunContext

from pipelines.flows.tasks import generating_in_task_runs
from pipelines.run.attempt import Log
from pipelines.run.generation import Generate
from pipelines.run.outcomes import Failed, Generated, Postponed, Reused, TakeOutcome, Unsent
from pipelines.run.worker import TakeGenerator
from pipelines.storyboard.plan import TakeSpec
from tests.support.builders import take_spec
from tests.support.patience import WAIT_S

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_api_url")]

SPECS = [take_spec(number, prompt=f"view {number}") for number in range(7)]
FOREVER_S = 3600


class StubGenerator:
    """Asks no endpoint: it ends takes as it was told, by their frames' numbers, and generates all others."""

    def __init__(self, ends: Mapping[int, list[TakeOutcome]]) -> None:
        self._ends = {number: list(outcomes) for number, outcomes in ends.items()}

    async def generate(self, spec: TakeSpec, *, log: Log) -> TakeOutcome:
        log("asked")
        ends = self._ends.get(spec.frame.number)
        return ends.pop(0) if ends else Generated(spec, 1)


class SilentGenerator(StubGenerator):
    """An endpoint that never answers; `asked` is set once it was asked."""

    def __init__(self) -> None:
        super().__init__({})
        self.asked = asyncio.Event()

    async def generate(self, spec: TakeSpec, *, log: Log) -> TakeOutcome:
        self.asked.set()
        await asyncio.sleep(FOREVER_S)
        return Generated(spec, 1)


async def task_runs_of(
    generator: StubGenerator,
    work: Callable[[Generate], Awaitable[None]],
    *,
    max_task_runs: int = 1000,
    settled: Sequence[TakeOutcome] = (),
) -> list[tuple[str, str, str | None]]:
    """Do some work with a generator in a flow; return name, state and message of each task run, by name."""

    @flow
    async def generating() -> UUID:
        takes = cast("TakeGenerator", generator)
        elsewhere: dict[str, TakeOutcome] = {}
        async with generating_in_task_runs(takes, SPECS, elsewhere, max_task_runs=max_task_runs) as generate:
            await work(generate)
            elsewhere.update({outcome.spec.request_key: outcome for outcome in settled})
        context = FlowRunContext.get()
        assert context is not None
        assert context.flow_run is not None
        return context.flow_run.id

    run_id = await generating()
    deadline = time.monotonic() + WAIT_S
    async with get_client() as client:
        while time.monotonic() < deadline:
            # They are recorded in the background, one after another.
            runs = await client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run_id])))
            states = [run.state for run in runs]
            if runs and all(state is not None and state.is_final() for state in states):
                return sorted((run.name, run.state.name or "", run.state.message) for run in runs if run.state)
            await asyncio.sleep(0.1)
    raise AssertionError(f"task runs are left unfinished: {runs}")


async def generate_all(generate: Generate) -> None:
    await asyncio.gather(*(generate(spec) for spec in SPECS))


async def test_each_take_has_a_task_run_that_ends_as_the_take_did() -> None:
    """None that was not generated is Completed, and none that has failed holds a traceback."""
    ends: dict[int, list[TakeOutcome]] = {1: [Failed(SPECS[1], "prompt refused")], 2: [Unsent(SPECS[2])]}

    runs = await task_runs_of(StubGenerator(ends), generate_all)

    assert runs == [
        ("frame_0000 arrival/wide", "Completed", "generated with 1 request"),
        ("frame_0001 arrival/wide", "Failed", "prompt refused"),
        ("frame_0002 arrival/wide", "NotSent", "not sent, for the run is stopped"),
        *((spec.label, "Completed", "generated with 1 request") for spec in SPECS[3:]),
    ]


async def test_very_many_takes_have_task_runs_by_groups() -> None:
    """As many as are allowed; each names its first and its last take, and counts how they ended."""
    runs = await task_runs_of(StubGenerator({4: [Failed(SPECS[4], "prompt refused")]}), generate_all, max_task_runs=3)

    assert runs == [
        ("frame_0000 arrival/wide to frame_0002 arrival/wide, 3 takes", "Completed", "3 takes: 3 generated"),
        (
            "frame_0003 arrival/wide to frame_0005 arrival/wide, 3 takes",
            "Failed",
            "3 takes: 2 generated, 1 failed; frame_0004 arrival/wide: prompt refused",
        ),
        ("frame_0006 arrival/wide", "Completed", "generated with 1 request"),
    ]


async def test_a_group_is_ended_with_the_generation_of_takes() -> None:
    """What has not had its turn was not sent; a group without a take that had has no task run."""

    async def generate_two(generate: Generate) -> None:
        for spec in SPECS[:2]:
            await generate(spec)

    runs = await task_runs_of(StubGenerator({}), generate_two, max_task_runs=3)

    assert runs == [
        (
            "frame_0000 arrival/wide to frame_0002 arrival/wide, 3 takes",
            "Cancelled",
            "3 takes: 2 generated, 1 not sent",
        )
    ]


async def test_takes_that_other_runs_have_seen_to_are_none_that_were_not_sent() -> None:
    """A group counts them; one that was postponed here ends as it ended there."""

    async def generate_two(generate: Generate) -> None:
        for spec in SPECS[:2]:
            await generate(spec)

    generator = StubGenerator({1: [Postponed(SPECS[1])]})
    runs = await task_runs_of(
        generator, generate_two, max_task_runs=3, settled=[Reused(SPECS[1]), Failed(SPECS[2], "prompt refused")]
    )

    assert runs == [
        (
            "frame_0000 arrival/wide to frame_0002 arrival/wide, 3 takes",
            "Failed",
            "3 takes: 1 generated, 1 there already, 1 failed; frame_0002 arrival/wide: prompt refused",
        )
    ]


async def test_a_take_that_is_postponed_comes_again_in_its_task_run() -> None:
    """Another run was generating it, and gave it up."""

    async def generate_twice(generate: Generate) -> None:
        await generate(SPECS[0])
        await generate(SPECS[0])

    runs = await task_runs_of(StubGenerator({0: [Postponed(SPECS[0])]}), generate_twice)

    assert runs == [("frame_0000 arrival/wide", "Completed", "generated with 1 request")]


async def test_a_take_whose_answer_is_not_awaited_is_given_up() -> None:
    """It is neither a success nor a crash."""
    generator = SilentGenerator()

    async def give_up(generate: Generate) -> None:
        waiting = asyncio.ensure_future(generate(SPECS[0]))
        await generator.asked.wait()
        waiting.cancel()
        await asyncio.wait([waiting])

    runs = await task_runs_of(generator, give_up)

    assert runs == [("frame_0000 arrival/wide", "GivenUp", "its answer was not awaited, and it may have been billed")]
