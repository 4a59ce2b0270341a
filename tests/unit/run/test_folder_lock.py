"""A storyboard's folder is written by one run at a time."""

import asyncio
from pathlib import Path

import pytest

from pipelines.common.errors import StorageError
from pipelines.run.folder_lock import exclusive
from tests.support.patience import WAIT_S


async def test_a_folder_that_is_free_is_had_at_once(tmp_path: Path) -> None:
    """And again, once it was let go, however that came about."""
    with pytest.raises(ZeroDivisionError):
        async with exclusive(tmp_path, timeout_s=0):
            raise ZeroDivisionError

    async with exclusive(tmp_path, timeout_s=0):
        pass


async def test_a_folder_that_another_run_holds_is_waited_for(tmp_path: Path) -> None:
    """The second run goes on when the first lets go."""
    order: list[str] = []

    async def work(name: str) -> None:
        async with exclusive(tmp_path, timeout_s=WAIT_S):
            order.append(f"{name} begins")
            await asyncio.sleep(0.05)
            order.append(f"{name} ends")

    await asyncio.gather(work("first"), work("second"))

    names = [entry.partition(" ")[0] for entry in order]
    assert order == [f"{names[0]} begins", f"{names[0]} ends", f"{names[2]} begins", f"{names[2]} ends"]


async def test_a_folder_that_is_held_for_too_long_is_a_storage_error(tmp_path: Path) -> None:
    """A run does not wait for ever."""
    async with exclusive(tmp_path, timeout_s=0):
        with pytest.raises(StorageError, match="another run has been at work here for too long"):
            async with exclusive(tmp_path, timeout_s=0.05):
                pass
