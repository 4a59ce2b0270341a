"""What a run is doing right now, for whoever watches: the terminal, Prefect's page."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

_WINDOW_S = 60.0


@dataclass(slots=True)
class Progress:
    """Counters that a run keeps and a watcher reads; both live in one process.

    Attributes:
        stage: what the run is doing, in words.
        frames, reused, to_buy: the storyboard's frames, those that were bought before, those to buy.
        bought, failed: of those to buy, how many are done.
        requests, resends: attempts sent, and how many of them were second or later ones for a frame.
        cost_usd: what this run's answers cost so far.
        budget_usd: its hard cap, if any.
        rate_limit: requests a minute that the endpoint allows.
        pace: the share of it that the gate aims at: below 1 after the endpoint said that it was too much.
        pieces, pieces_done: the films' segments, and how many of them are encoded.
        simulated: whether the costs are made up.
        clock: seconds that never step back.
    """

    stage: str = "starting"
    storyboard: str = ""
    frames: int = 0
    reused: int = 0
    to_buy: int = 0
    bought: int = 0
    failed: int = 0
    requests: int = 0
    resends: int = 0
    in_flight: int = 0
    cost_usd: Decimal = Decimal(0)
    budget_usd: Decimal | None = None
    rate_limit: int = 0
    pace: float = 1.0
    pieces: int = 0
    pieces_done: int = 0
    simulated: bool = False
    clock: Callable[[], float] = time.monotonic
    _sent: deque[float] = field(default_factory=deque)

    def sent(self, *, again: bool, pace: float = 1.0) -> None:
        """Count a request that leaves now, and at what pace."""
        self.pace = pace
        self.requests += 1
        self.resends += again
        self.in_flight += 1
        self._sent.append(self.clock())

    def answered(self) -> None:
        """Count a request that came to an end, whichever."""
        self.in_flight -= 1

    @property
    def done(self) -> int:
        """Frames that need no more work."""
        return self.reused + self.bought + self.failed

    @property
    def requests_per_minute(self) -> float:
        """The rate of the last minute; of the time since the first request, while that is less."""
        now = self.clock()
        while self._sent and self._sent[0] <= now - _WINDOW_S:
            self._sent.popleft()
        if len(self._sent) < 2:
            return float(len(self._sent))
        # n requests span n - 1 gaps.
        return 60 * (len(self._sent) - 1) / max(now - self._sent[0], 1e-3)

    @property
    def seconds_left(self) -> float | None:
        """How long the frames that are left will take at the present rate; None before there is one."""
        left = self.to_buy - self.bought - self.failed
        rate = self.requests_per_minute
        return 60 * left / rate if rate >= 1 and self.requests > 1 else None
