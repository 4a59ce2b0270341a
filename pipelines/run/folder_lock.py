"""The lock of a storyboard's folder: frames, films and reports are written by one run at a time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import filelock

from pipelines.common.errors import StorageError


@contextlib.asynccontextmanager
async def exclusive(
    folder: Path, *, timeout_s: float, waiting: contextlib.AbstractContextManager[None] | None = None
) -> AsyncIterator[None]:
    """Lock a storyboard's folder for as long as the block lasts.

    The system releases the lock of a process that dies.

    Args:
        folder: the storyboard's.
        timeout_s: how long to wait for another run.
        waiting: entered while that is awaited.

    Raises:
        StorageError: another run has held it for longer than `timeout_s`.
    """
    # Not thread-local: it is acquired in a worker thread, so as not to block the loop, and released in this one.
    lock = filelock.FileLock(folder / ".lock", thread_local=False)
    try:
        with waiting or contextlib.nullcontext():
            await asyncio.to_thread(lock.acquire, timeout=timeout_s)
    except filelock.Timeout as exc:
        raise StorageError(f"{folder}: another run has been at work here for too long") from exc
    try:
        yield
    finally:
        lock.release()
