"""The books' blocking transactions, out of the event loop's way."""

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from pipelines.common.errors import CommitUnknownError, DatabaseAwayError
from pipelines.ledger.database import LedgerDatabase

_AGAIN_AFTER_S = 1.0
_TIMES_AGAIN = 30

P = ParamSpec("P")
R = TypeVar("R")


class LedgerExecutor:
    """Runs the books' blocking transactions in one thread, in order, out of the event loop's way."""

    def __init__(self, books: LedgerDatabase, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.books = books
        self._pause = pause
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="books")

    async def __call__(self, write: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `write` to its end, even if the caller is cancelled meanwhile; again while the database server is away.

        Raises:
            DatabaseAwayError: the server stayed away for about half a minute.
            CommitUnknownError: it went away as it should have committed.
        """
        for _ in range(_TIMES_AGAIN):
            try:
                return await self._run(write, *args, **kwargs)
            except CommitUnknownError:
                raise
            except DatabaseAwayError:
                await self._pause(_AGAIN_AFTER_S)
        return await self._run(write, *args, **kwargs)

    async def insist(self, write: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `write`, which changes nothing if it is done twice, until it is known to be committed.

        Raises:
            DatabaseAwayError: the server stayed away for about half a minute.
        """
        for _ in range(_TIMES_AGAIN):
            with contextlib.suppress(CommitUnknownError):
                return await self(write, *args, **kwargs)
        return await self(write, *args, **kwargs)

    async def _run(self, write: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        call = functools.partial(write, *args, **kwargs)
        written = asyncio.get_running_loop().run_in_executor(self._thread, call)
        # A caller who was cancelled hears of no error, and nobody else shall: what stays open, the next run closes.
        written.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait([written])
        return written.result()

    def close(self) -> None:
        """Wait for what was asked, then end the thread."""
        self._thread.shutdown()
