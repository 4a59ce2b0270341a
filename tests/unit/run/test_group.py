"""A run of a group shows what the others do, and what it waits for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

from pipelines.ledger.executor import AsyncLedger
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import RunCounters, RunState
from pipelines.run.group import RunGroup
from pipelines.run.observer import RunObserver
from tests.support.builders import run
from tests.support.patience import WAIT_S


@contextlib.asynccontextmanager
async def followed(folder: Path, *lanes: str) -> AsyncIterator[tuple[RunGroup, RunObserver, Ledger]]:
    """Enter a run in each of these lanes, of which the first conducts; yield the last one's group while it follows it.

    Its observer and the ledger are yielded too.
    """
    with Ledger.open(f"sqlite:///{folder / 'storyreel.db'}") as blocking, AsyncLedger(blocking) as ledger:
        for lane in lanes:
            entered = blocking.start_run(replace(run(f"run-{lane}"), lane=lane), plan="plan", encoder="ffmpeg")
        observer = RunObserver()
        group = RunGroup(entered, ledger, observer, encoder="ffmpeg", grace_period_s=1)
        async with group.following():
            yield group, observer, blocking


async def until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(WAIT_S):
        while not holds():
            await asyncio.sleep(0.01)


async def test_a_run_shows_the_lanes_of_its_group(tmp_path: Path) -> None:
    """Its own among them."""
    async with followed(tmp_path, "a", "b", "c") as (group, observer, _):
        await until(lambda: observer.progress.members)

        lanes = [(member.lane, member.conducts) for member in observer.progress.members]
        assert lanes == [("a", True), ("b", False), ("c", False)]
        assert await group.members() == observer.progress.members


async def test_a_run_that_waits_for_the_film_says_what_its_conductor_is_at(tmp_path: Path) -> None:
    """As that one reports it, until it has ended."""
    async with followed(tmp_path, "a", "b") as (group, observer, ledger):
        progress = observer.progress
        progress.enter("waiting for the run that makes the film")
        waiting = asyncio.create_task(group.conductor_ended())
        ledger.record_heartbeat("run-a", RunCounters("assembling the film", seconds_left=1000.0))
        await until(lambda: progress.news.endswith("the film: lane a is assembling the film"))
        left_s = progress.seconds_left
        ledger.record_heartbeat("run-a", RunCounters("writing the report"))
        await until(lambda: progress.news.endswith("the film: lane a is writing the report"))
        ledger.finish_run("run-a", state=RunState.COMPLETED)

        assert await waiting is RunState.COMPLETED
        assert left_s is not None
        assert 900 < left_s <= 1000
        assert progress.seconds_left is None


async def test_a_run_alone_is_shown_no_members(tmp_path: Path) -> None:
    """They are not even added up."""
    async with followed(tmp_path, "a") as (group, observer, _):
        assert await group.members() == ()

    assert observer.progress.members == ()
