"""The book from an event loop: what is written waits for the disk in a thread, and the loop does not."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pipelines.common.errors import StorageError
from pipelines.endpoints.answers import Bill
from pipelines.endpoints.requests import ImageRequest
from pipelines.server.book import Book, Ending

_log = logging.getLogger(__name__)
T = TypeVar("T")


class AsyncBook:
    """The methods of `Book`, in a thread of its own, one after another."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="book")

    def close(self) -> None:
        """Let go of the book, once all is written."""
        self._writer.shutdown()
        self._book.close()

    async def figures(self) -> Mapping[str, object]:
        """Return the totals."""
        # Not in the writer's thread: a long look holds up no request.
        return await asyncio.to_thread(self._book.figures)

    async def enter(self, request: ImageRequest, *, model: str) -> int:
        """Enter a request that is about to be sent; return its number.

        Raises:
            StorageError: it could not be written.
        """
        return await self._write(lambda: self._book.enter(request, model=model))

    async def bill(self, number: int, http_status: int, bill: Bill) -> None:
        """Write down what a request costs; log it where that cannot be done, for the answer is paid for."""
        await self._write_or_log(lambda: self._book.bill(number, http_status, bill))

    async def end(self, number: int, ending: Ending) -> None:
        """Write down how a request ended; log it where that cannot be done: its row stays open until the next start."""
        await self._write_or_log(lambda: self._book.end(number, ending))

    async def _write(self, entry: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, entry)

    async def _write_or_log(self, entry: Callable[[], None]) -> None:
        try:
            await self._write(entry)
        except StorageError as exc:
            _log.error("%s", exc)
