"""100,000 frames on several lanes, simulated event by event: the same figures on every machine."""

import heapq
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from benchmarks.measure import Row, ratio_row
from pipelines.common.settings import DEFAULT_CONCURRENCY, DEFAULT_RATE_LIMIT
from pipelines.ledger.gate import PACE
from pipelines.ledger.runs import ALIVE_S

FRAMES = 100_000
LANES = (2, 4, 10)
SEED = 20261123
# The pace that the gate aims at, of what flux-api.md ("Rate Limits") allows an address: 705.6.
REQUESTS_A_MINUTE = DEFAULT_RATE_LIMIT * PACE
# flux-api.md, "Generation Time": evenly between these.
FASTEST_S, SLOWEST_S = 3.0, 10.0
# An assumption: of so many answers nothing can be used, and they are asked for again.
RESENT = 0.02
# An assumption: a lane claims so many takes at a time, less than two seconds of its work.
CHUNK = 16
# A run's requests in flight at most.
IN_FLIGHT = DEFAULT_CONCURRENCY
# What a dead run had claimed is free once its heartbeat has been missing for so long.
FREE_AFTER_S = float(ALIVE_S)
# The share of the frames that are there when a lane dies.
DEATH_AT = 1 / 3


@dataclass(frozen=True, slots=True)
class Simulated:
    """The outcome of a simulated run: how long it took, and how many requests were sent."""

    minutes: float
    requests: int


@dataclass
class _Lane:
    """A lane: what it has claimed and not sent, what it waits for, and from when on it may send again."""

    claimed: deque[int] = field(default_factory=deque)
    in_flight: set[int] = field(default_factory=set)
    free_s: float = 0.0
    idle: bool = False
    dead: bool = False


class Simulation:
    """Lanes that share the frames of one storyboard.

    Args:
        frames: how many.
        lanes: how many.
        dies: whether one of the lanes dies in the middle of it.
        seed: of latencies and re-sends.
    """

    def __init__(self, *, frames: int = FRAMES, lanes: int, dies: bool = False, seed: int = SEED) -> None:
        self._left = deque(range(frames))
        self._frames = frames
        self._lanes = [_Lane() for _ in range(lanes)]
        self._death_at = round(frames * DEATH_AT) if dies else -1
        self._rng = random.Random(seed)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._now_s = 0.0
        self._kept = 0
        self._requests = 0

    def run(self) -> Simulated:
        """Let every frame be generated."""
        for lane in self._lanes:
            self._send_when_free(lane)
        while self._kept < self._frames:
            self._now_s, _, happen = heapq.heappop(self._events)
            happen()
        return Simulated(self._now_s / 60, self._requests)

    def _at(self, moment_s: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._events, (moment_s, next(self._order), happen))

    def _send_when_free(self, lane: _Lane) -> None:
        lane.idle = False
        self._at(max(self._now_s, lane.free_s), lambda: self._send(lane))

    def _send(self, lane: _Lane) -> None:
        if lane.dead:
            return
        if not lane.claimed:
            lane.claimed.extend(self._left.popleft() for _ in range(min(CHUNK, len(self._left))))
        if not lane.claimed or len(lane.in_flight) == IN_FLIGHT:
            lane.idle = True
            return
        take = lane.claimed.popleft()
        lane.in_flight.add(take)
        lane.free_s = self._now_s + 60 / REQUESTS_A_MINUTE
        self._requests += 1
        self._at(self._now_s + self._rng.uniform(FASTEST_S, SLOWEST_S), lambda: self._answer(lane, take))
        self._send_when_free(lane)

    def _answer(self, lane: _Lane, take: int) -> None:
        if lane.dead:
            return
        lane.in_flight.remove(take)
        if self._rng.random() < RESENT:
            lane.claimed.appendleft(take)
        else:
            self._keep()
        if lane.idle:
            self._send_when_free(lane)

    def _keep(self) -> None:
        self._kept += 1
        if self._kept == self._death_at:
            self._die(self._lanes[0])

    def _die(self, lane: _Lane) -> None:
        """Let a lane be gone: the answers that it waited for come to nobody."""
        lane.dead = True
        self._at(self._now_s + FREE_AFTER_S, lambda: self._free((*lane.claimed, *lane.in_flight)))

    def _free(self, takes: Iterable[int]) -> None:
        self._left.extend(takes)
        for lane in self._lanes:
            if lane.idle and not lane.dead:
                self._send_when_free(lane)


def rows(_: Path) -> Iterator[Row]:
    """Yield what lanes gain, and what the death of one costs."""
    alone = Simulation(lanes=1).run()
    for lanes in LANES:
        together = Simulation(lanes=lanes).run()
        name, against = f"simulated: {FRAMES:,} frames on {lanes} lanes", f"one lane ({alone.minutes:.1f} min)"
        detail = f"{together.minutes:.1f} min"
        times = alone.minutes / together.minutes
        yield ratio_row(f"{name}, times as fast", times, against, str(lanes), detail=detail, higher_is_better=True)
        bereft = Simulation(lanes=lanes, dies=True).run()
        over = bereft.minutes / together.minutes
        # From there on the others do its part.
        least = DEATH_AT + (1 - DEATH_AT) * lanes / (lanes - 1)
        detail = f"{bereft.minutes:.1f} min, {bereft.requests - together.requests} more requests"
        yield ratio_row(f"{name}, one dies at a third", over, f"none dies ({detail})", f"{least:.2f}")
