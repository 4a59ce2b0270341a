"""The books' blocking transactions, out of the event loop's way."""

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from pipelines.ledger.books import Books

P = ParamSpec("P")
R = TypeVar("R")


class BooksDesk:
    """Runs the books' blocking transactions in one thread, in order, out of the event loop's way."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="books")

    async def __call__(self, write: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `write` to its end, even if the caller is cancelled meanwhile."""
        call = functools.partial(write, *args, **kwargs)
        written = asyncio.get_running_loop().run_in_executor(self._thread, call)
        # A caller who was cancelled hears of no error, and nobody else shall: what stays open, the next run closes.
        written.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait([written])
        return written.result()

    def close(self) -> None:
        """Wait for what was asked, then end the thread."""
        self._thread.shutdown()
