"""The server's own figures and its rate limiter.

Tests compare a client's ledger with these figures, so they are counted here and never read from the client.
"""

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from pipelines.common.formatting import format_decimal
from pipelines.endpoints.answers import Bill

MINUTE_S = 60.0
# The key in `by_status` of requests whose connection ended without a status.
NO_ANSWER = "none"


@dataclass(slots=True)
class Statistics:
    """The count of every POST that arrives, whatever becomes of it.

    Attributes:
        clock: the time in seconds, from any start.
        requests: how many arrived.
        by_status: how many ended with each HTTP status.
        billed_usd: the cost of all images, in US dollars.
        images: how many were generated.
        max_in_flight: the most requests that were unanswered at one moment.
        max_requests_in_any_60s: the most requests that arrived within any 60 s.
    """

    clock: Callable[[], float]
    requests: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    billed_usd: Decimal = Decimal(0)
    images: int = 0
    max_in_flight: int = 0
    max_requests_in_any_60s: int = 0
    _in_flight: int = 0
    _arrivals: deque[float] = field(default_factory=deque)

    def count_request(self) -> None:
        """Count a request as it arrives."""
        now = self.clock()
        self.requests += 1
        self._in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self._in_flight)
        self._arrivals.append(now)
        _forget(self._arrivals, now - MINUTE_S)
        self.max_requests_in_any_60s = max(self.max_requests_in_any_60s, len(self._arrivals))

    def count_answer(self, status: int | None) -> None:
        """Count the end of a request, by its status; None for a connection that got no answer."""
        self._in_flight -= 1
        self.by_status[NO_ANSWER if status is None else str(status)] += 1

    def count_bill(self, bill: Bill) -> None:
        """Count an image by its bill; what costs nothing is none."""
        if bill.cost_usd is not None:
            self.images += 1
            self.billed_usd += bill.cost_usd

    def as_json(self) -> dict[str, object]:
        """Return the figures as `GET /_stats` answers them; money is a decimal string."""
        return {
            "requests": self.requests,
            "by_status": dict(self.by_status),
            "billed_usd": format_decimal(self.billed_usd),
            "images": self.images,
            "max_in_flight": self.max_in_flight,
            "max_requests_in_any_60s": self.max_requests_in_any_60s,
        }


@dataclass(slots=True)
class RateLimiter:
    """A sliding window for each client address: at most `limit` requests are admitted in any 60 s; 0 admits all.

    The API documents its limit per address (flux-api.md, "Rate Limits"). Refused requests take no place in the window.

    Attributes:
        limit: the most requests in a window.
        clock: the time in seconds, from any start.
        window_s: the length of the window.
    """

    limit: int
    clock: Callable[[], float]
    window_s: float = MINUTE_S
    _admitted: dict[str, deque[float]] = field(default_factory=dict)

    def admit(self, client: str) -> int | None:
        """Admit a request and return None, or return in how many whole seconds the next one can be admitted."""
        if not self.limit:
            return None
        now = self.clock()
        admitted = self._admitted.setdefault(client, deque())
        _forget(admitted, now - self.window_s)
        if len(admitted) < self.limit:
            admitted.append(now)
            return None
        # With a lower limit than before, more than one place must become free.
        freed = admitted[len(admitted) - self.limit]
        return max(1, math.ceil(freed + self.window_s - now))

    def remember(self, client: str, ages_s: Iterable[float]) -> None:
        """Take note of requests that were admitted earlier, by how long ago that was, the oldest first."""
        now = self.clock()
        self._admitted[client] = deque(now - age_s for age_s in ages_s)


def _forget(log: deque[float], before: float) -> None:
    """Drop the moments up to `before`."""
    while log and log[0] <= before:
        log.popleft()
