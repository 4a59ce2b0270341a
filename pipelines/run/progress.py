"""The progress of a run, counted while it goes on: for the terminal, Prefect's page and the ledger."""

import contextlib
import logging
import math
import textwrap
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.common.budgets import Budgets
from pipelines.common.formatting import counted, format_duration
from pipelines.common.settings import Settings
from pipelines.ledger.models import GroupMember, RunCounters
from pipelines.run.time_left import TakePace, TimeLeft
from pipelines.storyboard.plan import Plan

if TYPE_CHECKING:
    # What draws and encodes takes long to import: a command begins its wait before that.
    from pipelines.film.outputs import Films

_log = logging.getLogger(__name__)

# The rate limit counts requests a minute: so does the rate that is shown beside it.
_WINDOW_S = 60.0
# The bars of the display's small chart.
_SLICE_S = 2.0
# A run that waits for its place in the rate limit does so all the time; shorter waits are no news.
_NOTABLE_WAIT_S = 2.0
_REASON_LENGTH = 60
# A run that is late is not done.
_LEAST_LEFT_S = 1.0


@dataclass(slots=True)
class SceneProgress:
    """The progress of one scene.

    Attributes:
        name: its id.
        frames: its frames, or takes, that the run is about.
        done: those that need no more work.
        failed: those of them that could not be generated.
    """

    name: str
    frames: int
    done: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class StopNotice:
    """The notice that a person has stopped the run.

    Attributes:
        deadline: until when answers are awaited, by the clock of the progress.
    """

    deadline: float


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait of the run.

    Attributes:
        words: what it waits for.
        until: when that is over, by the clock of the progress; None where that is not known.
    """

    words: str
    until: float | None = None


# What is charged, for certain and at most, for an attempt that nothing is known of.
_NOTHING = (Decimal(0), Decimal(0))


@dataclass(slots=True)
class Progress:
    """Counters that a run keeps and an observer in the same process reads.

    Counters are polled; a stage may be over before the next poll, so listeners are called at each stage, and when a
    person stops the run.

    Attributes:
        stage: the step that the run is at, in words.
        storyboard: its id.
        frames, reused, to_generate: frames, or takes, that the run is about; those that were there before; the rest.
        generated, failed: the part of the rest that is done.
        elsewhere: those of the generated that other runs have generated meanwhile.
        requests, resends: attempts that were sent, and those of them that were not the first for their take.
        in_flight: attempts without an answer yet.
        cost_usd: the cost of this run's answers so far, as far as it is known.
        uncertain_usd: the most that the attempts of unknown cost may have cost.
        budget_usd: the run's hard cap; None without one.
        rate_limit: requests a minute that the endpoint allows.
        pace: the share of it that the gate aims at: below 1 after a 429 or a lack of capacity.
        quote_usd: the quote for what is to be generated.
        segments, segments_done: the films' segments, and those of them that are encoded.
        scenes: by name, in the order of the storyboard.
        simulated: whether the costs are made up.
        stopping: set once a person has stopped the run.
        grace_period_s: how long a person who stops the run waits for answers; None where Ctrl-C does not stop it.
        clock: seconds that never step back.
        began: when a person began to wait for it, by that clock.
        time_left: the estimate of its end.
        members: the runs of its group, itself among them, as last seen in the ledger; empty as long as it is alone.
    """

    stage: str = "starting"
    storyboard: str = ""
    frames: int = 0
    reused: int = 0
    to_generate: int = 0
    generated: int = 0
    failed: int = 0
    elsewhere: int = 0
    requests: int = 0
    resends: int = 0
    in_flight: int = 0
    cost_usd: Decimal = Decimal(0)
    uncertain_usd: Decimal = Decimal(0)
    budget_usd: Decimal | None = None
    rate_limit: int = 0
    pace: float = 1.0
    quote_usd: Decimal | None = None
    segments: int = 0
    segments_done: int = 0
    scenes: dict[str, SceneProgress] = field(default_factory=dict)
    simulated: bool = False
    stopping: StopNotice | None = None
    grace_period_s: float | None = None
    members: tuple[GroupMember, ...] = ()
    clock: Callable[[], float] = time.monotonic
    began: float = field(init=False)
    time_left: TimeLeft = field(init=False)
    _wait: Wait | None = None
    _cool_down: Wait | None = None
    _joining: str = ""
    _awaited_film: Wait | None = None
    _sent: deque[float] = field(default_factory=deque)
    _charges: dict[int, tuple[Decimal, Decimal]] = field(default_factory=dict)
    _listeners: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.began = self.clock()
        self.time_left = TimeLeft(TakePace(self.clock))

    def start(self, plan: Plan, settings: Settings, budgets: Budgets) -> None:
        """Fill in what is known before the run's first step."""
        self.storyboard = plan.storyboard
        self.expect(frame.scene for frame in plan.frames)
        self.budget_usd = budgets.run_usd
        self.rate_limit = settings.rate_limit
        self.simulated = settings.simulated
        self.time_left.takes.assumed_s = 60 / settings.rate_limit

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` at the beginning of each stage, and at a stop, in the run's thread: it must not block."""
        self._listeners.append(listener)

    def enter(self, stage: str) -> None:
        """Begin another stage, and call the listeners."""
        self.stage, self._joining, self._awaited_film = stage, "", None
        self._call_listeners(stage)

    def stop(self, *, grace_period_s: float) -> None:
        """Note that a person has stopped the run, and for how long it awaits answers; call the listeners."""
        self.stopping = StopNotice(self.clock() + grace_period_s)
        # Where it is a log on Prefect's page, there is no Ctrl-C.
        self._call_listeners(self._awaited)

    def _call_listeners(self, news: str) -> None:
        _log.info("%s: %s", self.storyboard, news)
        for listener in self._listeners:
            listener()

    def expect(self, scenes: Iterable[str]) -> None:
        """Note the frames that the run is about by the names of their scenes, in storyboard order."""
        counted = Counter(scenes)
        # Replaced as a whole: another thread may be reading it.
        self.scenes = {name: SceneProgress(name, frames) for name, frames in counted.items()}
        self.frames = counted.total()

    def reuse(self, scenes: Iterable[str]) -> None:
        """Count the frames that are there already, by the names of their scenes; the others are to be generated."""
        counted = Counter(scenes)
        for name, frames in counted.items():
            self.scenes[name].done += frames
        self.reused = counted.total()
        self.to_generate = self.time_left.takes.expected = self.frames - self.reused

    def expect_films(self, films: "Films") -> None:
        """Note the segments that the films have."""
        self.segments = len(films)
        self.time_left.encoding.expected = films.megapixels
        self.time_left.encoding.encoders = films.encoders

    def count(self, scene: str, *, failed: bool = False, elsewhere: bool = False) -> None:
        """Count a frame of a scene as generated, perhaps by another run, or as failed."""
        self.failed += failed
        self.generated += not failed
        self.elsewhere += elsewhere
        self.time_left.takes.count()
        if tally := self.scenes.get(scene):
            tally.done += 1
            tally.failed += failed

    def segment_encoded(self, megapixels: float, seconds: float | None) -> None:
        """Count a segment of the films as encoded; see `film.effort.FilmObserver`."""
        self.segments_done += 1
        self.time_left.encoding.count(megapixels, seconds)

    def joining(self, film: Path) -> None:
        """Note which film's segments are being joined."""
        self._joining = f"joining {film.name}"

    def await_film(self, words: str, *, seconds_left: float | None) -> None:
        """Note what the run is at that makes the film, for which this one waits, and its own estimate of its end."""
        self._awaited_film = Wait(words, None if seconds_left is None else self.clock() + seconds_left)

    def films_made(self) -> None:
        """Note that all films are there."""
        self.time_left.film_made = True

    def end_work(self) -> None:
        """Note that nothing is generated or encoded any more, whether all was or not."""
        self.time_left.over = True

    @contextlib.contextmanager
    def waiting(self, words: str, *, seconds: float | None = None) -> Iterator[None]:
        """Say what the run waits for while the block lasts; `seconds` is for how long, where that is known."""
        if seconds is None or seconds >= _NOTABLE_WAIT_S:
            self._wait = Wait(words, None if seconds is None else self.clock() + seconds)
        try:
            yield
        finally:
            self._wait = None

    def cool_down(self, reason: str, *, seconds: float) -> None:
        """Note that no run sends anything for so many seconds, and why."""
        # An endpoint's words may be many.
        short = textwrap.shorten(reason, _REASON_LENGTH, placeholder=" ...")
        self._cool_down = Wait(f"after {short}", self.clock() + seconds)

    def sent(self, *, again: bool, pace: float = 1.0) -> None:
        """Count a request that is sent now, and note the gate's pace."""
        self.pace = pace
        self.requests += 1
        self.resends += again
        self.in_flight += 1
        self._sent.append(self.clock())

    def charge(self, attempt_id: int, cost_usd: Decimal | None, *, at_most_usd: Decimal) -> None:
        """Take note of what an attempt costs, instead of what was known of it before.

        Args:
            attempt_id: the attempt.
            cost_usd: None where it is not known.
            at_most_usd: the most that it can be.
        """
        before_usd, before_uncertain_usd = self._charges.get(attempt_id, _NOTHING)
        known_usd, uncertain_usd = (Decimal(0), at_most_usd) if cost_usd is None else (cost_usd, Decimal(0))
        self._charges[attempt_id] = known_usd, uncertain_usd
        self.cost_usd += known_usd - before_usd
        self.uncertain_usd += uncertain_usd - before_uncertain_usd

    def answered(self) -> None:
        """Count a request that has ended, with an answer or without."""
        self.in_flight -= 1

    @property
    def headline(self) -> str:
        """The step that the run is at, what it waits for, and how long that may take."""
        if self.stopping is None:
            wait = self._present_wait
            if wait is None or wait.until is None:
                return self.news
            return f"{self._step}: waiting {self._until(wait.until)} more {wait.words}"
        return f"{self._awaited}; Ctrl-C again gives them up" if self.in_flight else self._step

    @property
    def _awaited(self) -> str:
        """What a run that is being stopped still waits for, and how long that may take."""
        if self.stopping is None or not self.in_flight:
            return self._step
        return f"{self._step}, at most {self._until(self.stopping.deadline)}"

    @property
    def news(self) -> str:
        """The headline without its times: as long as it is the same, the run is at the same."""
        detail = "" if self.stopping else self._detail
        return f"{self._step}: {detail}" if detail else self._step

    @property
    def _detail(self) -> str:
        if wait := self._present_wait:
            return f"waiting {wait.words}"
        # All that is left has been sent.
        if self.in_flight and self.in_flight >= self.to_generate - self.generated - self.failed:
            return f"waiting for {counted(self.in_flight, 'answer')}"
        return self._awaited_film.words if self._awaited_film else self._joining

    @property
    def _present_wait(self) -> Wait | None:
        cool_down = self._cool_down
        if cool_down and cool_down.until and cool_down.until > self.clock():
            return cool_down
        return self._wait

    def _until(self, deadline: float) -> str:
        # Up: a period that has just begun must not read as a shorter one.
        return format_duration(math.ceil(max(deadline - self.clock(), 0)))

    @property
    def _step(self) -> str:
        # At most 64 characters: the ledger keeps it.
        if self.stopping is None:
            return self.stage
        if not self.in_flight:
            return "stopping: nothing is in flight, the run ends"
        return f"stopping: waiting for {counted(self.in_flight, 'answer')}"

    @property
    def counters(self) -> RunCounters:
        """The counters that the ledger keeps, as they are now."""
        return RunCounters(
            stage=self._step,
            frames=self.frames,
            # It came without a request of this run, before it or meanwhile.
            reused=self.reused + self.elsewhere,
            to_generate=self.to_generate,
            generated=self.generated - self.elsewhere,
            failed=self.failed,
            segments=self.segments,
            segments_done=self.segments_done,
            rate_limit=self.rate_limit,
            quote_usd=self.quote_usd,
            cost_usd=self.cost_usd,
            uncertain_usd=self.uncertain_usd,
            seconds_left=self.seconds_left,
            megapixels_per_s=self.time_left.encoding.megapixels_per_s,
        )

    @property
    def done(self) -> int:
        """Frames that need no more work."""
        return self.reused + self.generated + self.failed

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
    def elapsed_s(self) -> float:
        """Seconds that a person has waited for the run."""
        return max(self.clock() - self.began, 0)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the last segment is encoded; None where that cannot be said, and for a run that is stopped."""
        if self.stopping:
            return None
        if film := self._awaited_film:
            return None if film.until is None else max(film.until - self.clock(), _LEAST_LEFT_S)
        return self.time_left.seconds
