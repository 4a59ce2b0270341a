"""Asynchronous work in a command."""

import asyncio

import pytest

from pipelines.cli.asynchronous import run_to_end
from pipelines.common.errors import InterruptedRunError


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


async def cancelled() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


def test_the_result_of_the_work_is_returned() -> None:
    """As if it were called."""
    assert run_to_end(answer()) == 42


def test_cancelled_work_is_an_interruption() -> None:
    """A second Ctrl-C cancels; the command has an exit code for it."""
    with pytest.raises(InterruptedRunError, match="what was paid for is kept"):
        run_to_end(cancelled())
