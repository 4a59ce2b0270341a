"""The runs of the review app, as it is closed."""

import asyncio
import contextlib
from pathlib import Path
from typing import NoReturn

import pytest

from pipelines.common.settings import Settings
from pipelines.review.jobs import Jobs
from pipelines.storyboard.selection import ExtraTakes
from tests.support.patience import WAIT_S


async def nothing() -> None:
    """Show no change."""


def no_run() -> NoReturn:
    """Stand in for the storyboard that a run would read first."""
    pytest.fail("a run was started")


@pytest.mark.parametrize("asked_first", [True, False])
async def test_a_review_that_is_being_closed_starts_no_run(tmp_path: Path, asked_first: bool) -> None:
    """A page that is still open can ask for one; nothing is sent for it."""
    jobs = Jobs(
        Settings(output=tmp_path),
        read_board=no_run,
        publish=lambda _: None,
        on_change=nothing,
        show_stopping=lambda _: contextlib.nullcontext(),
    )
    working = asyncio.create_task(jobs.work())
    if asked_first:
        jobs.submit(ExtraTakes())
    jobs.interrupt()
    jobs.submit(ExtraTakes())
    await asyncio.sleep(0)

    await asyncio.wait_for(jobs.stop(working), WAIT_S)

    assert (jobs.interruption, working.done()) == (None, True)
