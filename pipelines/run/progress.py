"""What a run is doing right now, for whoever watches: the terminal, Prefect's page."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from pipelines.ledger.models import RunCounters

_WINDOW_S = 60.0
_SLICE_S = 2.0


@dataclass(slots=True)
class SceneProgress:
    """A scene's frames, how many of them need no more work, and how many of those failed."""

    name: str
    frames: int
    done: int = 0
    failed: int = 0


@dataclass(slots=True)
class Progress:
    """Counters that a run keeps and a watcher reads; both live in one process.

    Counters are looked at now and then; a stage may be over before anybody looks, so listeners are told of each.

    Attributes:
        stage: what the run is doing, in words.
        frames, reused, to_buy: the storyboard's frames, those that were bought before, those to buy.
        bought, failed: of those to buy, how many are done.
        requests, resends: attempts sent, and how many of them were second or later ones for a frame.
        cost_usd: what this run's answers cost so far.
        budget_usd: its hard cap, if any.
        rate_limit: requests a minute that the endpoint allows.
        pace: the share of it that the gate aims at: below 1 after the endpoint said that it was too much.
        quote_usd: what the frames to buy were quoted at.
        pieces, pieces_done: the films' segments, and how many of them are encoded.
        scenes: by name, in the order of the storyboard.
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
    quote_usd: Decimal | None = None
    pieces: int = 0
    pieces_done: int = 0
    scenes: dict[str, SceneProgress] = field(default_factory=dict)
    simulated: bool = False
    clock: Callable[[], float] = time.monotonic
    _sent: deque[float] = field(default_factory=deque)
    _listeners: list[Callable[[], None]] = field(default_factory=list)

    def listen(self, listener: Callable[[], None]) -> None:
        """Have a listener called at each stage that the run comes to, in the run's thread: it must not block."""
        self._listeners.append(listener)

    def enter(self, stage: str) -> None:
        """Come to another stage, and tell whoever listens."""
        self.stage = stage
        for listener in self._listeners:
            listener()

    def expect(self, scenes: Iterable[str]) -> None:
        """Note the storyboard's frames by the names of their scenes, in its order."""
        counted = Counter(scenes)
        # Whole at once: another thread may be looking.
        self.scenes = {name: SceneProgress(name, frames) for name, frames in counted.items()}
        self.frames = counted.total()

    def reuse(self, scenes: Iterable[str]) -> None:
        """Count the frames that were bought before, by the names of their scenes; the others are to buy."""
        counted = Counter(scenes)
        for name, frames in counted.items():
            self.scenes[name].done += frames
        self.reused = counted.total()
        self.to_buy = self.frames - self.reused

    def settle(self, scene: str, *, failed: bool = False) -> None:
        """Count a frame of a scene as bought, or as failed."""
        self.failed += failed
        self.bought += not failed
        if tally := self.scenes.get(scene):
            tally.done += 1
            tally.failed += failed

    def piece_encoded(self) -> None:
        """Count a piece of the films as encoded."""
        self.pieces_done += 1

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
    def standing(self) -> RunCounters:
        """How far the run has come, as its entry in the books tells it."""
        return RunCounters(
            stage=self.stage,
            frames=self.frames,
            reused=self.reused,
            to_buy=self.to_buy,
            bought=self.bought,
            failed=self.failed,
            pieces=self.pieces,
            pieces_done=self.pieces_done,
            rate_limit=self.rate_limit,
            quote_usd=self.quote_usd,
        )

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

    def recent_rates(self) -> list[float]:
        """Return the requests a minute in each slice of the last one, from the first request on.

        Slices are two seconds long; longer where the rate limit lets fewer than two requests into them.
        """
        slice_s = max(_SLICE_S, 120 / self.rate_limit) if self.rate_limit else _SLICE_S
        # Whole slices only: the one that has just begun would always look slow.
        last = int(self.clock() // slice_s) - 1
        counted = Counter(int(sent // slice_s) for sent in tuple(self._sent))
        # And those that lie in the minute as a whole.
        first = max(min(counted, default=last + 1), last + 2 - int(_WINDOW_S // slice_s))
        return [60 * counted[number] / slice_s for number in range(first, last + 1)]

    @property
    def seconds_left(self) -> float | None:
        """How long the frames that are left will take at the present rate; None before there is one."""
        left = self.to_buy - self.bought - self.failed
        rate = self.requests_per_minute
        return 60 * left / rate if rate >= 1 and self.requests > 1 else None
