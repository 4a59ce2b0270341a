"""The broker of events: one service publishes, every open page receives."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

from pipelines.review.events import Event

# A page whose connection is silently lost reads no more; what it does not read must not pile up.
_MAX_UNREAD = 1000

# None ends a subscription.
_Queue = asyncio.Queue[Event | None]


class EventBroker:
    """Passes events on to all subscribers. For one event loop."""

    def __init__(self) -> None:
        self._queues: set[_Queue] = set()
        self._closed = False

    def publish(self, event: Event) -> None:
        """Pass an event on to every subscriber that still reads."""
        self._put(event)

    def close(self) -> None:
        """End every subscription, also those of subscribers that come later."""
        self._closed = True
        self._put(None)

    @contextlib.contextmanager
    def subscription(self) -> Iterator[AsyncIterator[Event]]:
        """Yield an iterator over everything that is published from now on; it ends when the broker is closed."""
        queue: _Queue = asyncio.Queue(_MAX_UNREAD)
        self._queues.add(queue)
        try:
            yield self._read(queue)
        finally:
            self._queues.discard(queue)

    async def _read(self, queue: _Queue) -> AsyncIterator[Event]:
        # The flag is needed besides the None, which a full queue would have dropped.
        while not self._closed and (event := await queue.get()) is not None:
            yield event

    def _put(self, event: Event | None) -> None:
        for queue in self._queues:
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(event)
