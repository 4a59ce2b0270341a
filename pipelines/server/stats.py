"""The server's own book and its rate limiter: what the client's ledger is compared with, written by somebody else."""

import math
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from pipelines.common.formatting import format_decimal
from pipelines.endpoints.prices import Price

_MINUTE_S = 60.0
NO_ANSWER = "none"


@dataclass(slots=True)
class Statistics:
    """Counts every POST that arrives, whatever becomes of it."""

    clock: Callable[[], float]
    requests: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    billed_usd: Decimal = Decimal(0)
    images: int = 0
    max_in_flight: int = 0
    max_requests_in_any_60s: int = 0
    _in_flight: int = 0
    _arrivals: deque[float] = field(default_factory=deque)

    def arrived(self) -> None:
        """Count a request as it arrives."""
        now = self.clock()
        self.requests += 1
        self._in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self._in_flight)
        self._arrivals.append(now)
        _forget(self._arrivals, now)
        self.max_requests_in_any_60s = max(self.max_requests_in_any_60s, len(self._arrivals))

    def answered(self, status: int | None) -> None:
        """Count its end; None for a connection that got no answer."""
        self._in_flight -= 1
        self.by_status[NO_ANSWER if status is None else str(status)] += 1

    def billed(self, price: Price) -> None:
        """Count an image that was generated."""
        self.images += 1
        self.billed_usd += price.usd

    def as_json(self) -> dict[str, object]:
        """Return the book as `GET /_stats` answers it."""
        return {
            "requests": self.requests,
            "by_status": dict(self.by_status),
            "billed_usd": format_decimal(self.billed_usd),
            "images": self.images,
            "max_in_flight": self.max_in_flight,
            "max_requests_in_any_60s": self.max_requests_in_any_60s,
        }


@dataclass(slots=True)
class Limiter:
    """A sliding log for each client address: at most `limit` requests let through in any 60 s."""

    limit: int
    clock: Callable[[], float]
    _passed: dict[str, deque[float]] = field(default_factory=dict)

    def refuse(self, client: str) -> int | None:
        """Let a request through, or return after how many whole seconds there will be room for one."""
        if not self.limit:
            return None
        now = self.clock()
        passed = self._passed.setdefault(client, deque())
        _forget(passed, now)
        if len(passed) < self.limit:
            passed.append(now)
            return None
        return max(1, math.ceil(passed[0] + _MINUTE_S - now))


def _forget(log: deque[float], now: float) -> None:
    while log and log[0] <= now - _MINUTE_S:
        log.popleft()
