"""The time that is left of a run, over takes and segments together, from what the run itself has measured so far."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipelines.film.effort import SECONDS_PER_MEGAPIXEL

_WINDOW_S = 60.0
# A rate limit of one a minute has a pace, too.
_LEAST_TAKES = 4
# Two answers of the same moment are no pace yet.
_LEAST_SPAN_S = 1.0
# Enough that one odd segment does not count for much, few enough that the pace is the present one.
_PIECES = 32
# People read less as "done".
_LEAST_LEFT_S = 1.0
# The film's joining and the report are still to come: no bar is full before the film is there.
_MOST_SHARE = 0.99


@dataclass(slots=True)
class TakePace:
    """The pace at which takes come.

    Attributes:
        clock: seconds that never step back.
        expected: takes that the run generates.
        ended: those of them that need no more work, failed ones included.
        assumed_s: seconds a take, before any pace is known.
    """

    clock: Callable[[], float]
    expected: int = 0
    ended: int = 0
    assumed_s: float = 0.0
    _moments: deque[float] = field(default_factory=deque)

    def count(self) -> None:
        """Count a take that has ended now."""
        now = self.clock()
        self.ended += 1
        self._moments.append(now)
        while self._moments[0] <= now - self._window_s:
            self._moments.popleft()

    @property
    def _window_s(self) -> float:
        return max(_WINDOW_S, _LEAST_TAKES * self.assumed_s)

    @property
    def left(self) -> int:
        """Takes that have not ended; never below 0: others may have come that were not expected."""
        return max(self.expected - self.ended, 0)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the last take has ended, at the pace of the last minute; None before there is a pace."""
        if not self.left:
            return 0.0
        now = self.clock()
        # Not popped here: another thread may be reading too.
        pace_s = _gap_s([moment for moment in tuple(self._moments) if moment > now - self._window_s], until=now)
        # Takes that are in flight count as well, and rightly: at this pace they end one after another (Little's law).
        return None if pace_s is None else self.left * pace_s

    @property
    def seconds_each(self) -> float:
        """Seconds a take as last measured, else as assumed; unlike the time left it does not grow in a pause."""
        moments = tuple(self._moments)
        pace_s = _gap_s(moments, until=moments[-1]) if moments else None
        return self.assumed_s if pace_s is None else pace_s


@dataclass(slots=True)
class EncodingPace:
    """The pace at which segments are encoded; their effort is in megapixels, see `film.effort`.

    Attributes:
        expected: the effort of all segments that are not there from before.
        done: that of those that are encoded.
        encoders: how many run side by side.
        worked_s: seconds that they worked for it, added up over all of them.
    """

    expected: float = 0.0
    done: float = 0.0
    encoders: int = 1
    worked_s: float = 0.0
    _pieces: tuple[tuple[float, float], ...] = ()

    def count(self, megapixels: float, seconds: float | None) -> None:
        """Count a segment that took an encoder so many seconds; None for one that was there before."""
        if seconds is None:
            self.expected -= megapixels
            return
        self.done += megapixels
        self.worked_s += seconds
        # Replaced as a whole: another thread may be reading it.
        self._pieces = (*self._pieces, (megapixels, seconds))[-_PIECES:]

    @property
    def measured(self) -> bool:
        """Whether any segment was encoded."""
        return bool(self._pieces)

    @property
    def seconds_each(self) -> float:
        """Seconds a megapixel, with all encoders at work; before any is measured, what a machine like ours takes."""
        pieces = self._pieces
        effort = sum(megapixels for megapixels, _ in pieces)
        worked_s = sum(seconds for _, seconds in pieces)
        return (worked_s / effort if effort else SECONDS_PER_MEGAPIXEL) / self.encoders

    @property
    def megapixels_per_s(self) -> float | None:
        """The speed of all encoders together; None before it is measured."""
        return self.encoders * self.done / self.worked_s if self.worked_s >= _LEAST_SPAN_S else None

    @property
    def seconds_left(self) -> float:
        """Seconds until all segments are encoded, with all encoders at work."""
        # Below a thousandth of a megapixel lies what floating point has left over.
        left = self.expected - self.done
        return left * self.seconds_each if left > 1e-3 else 0.0

    @property
    def seconds_of_one(self) -> float:
        """Seconds that one encoder takes for one segment."""
        pieces = self._pieces
        return sum(seconds for _, seconds in pieces) / max(len(pieces), 1)


@dataclass(slots=True)
class TimeLeft:
    """The estimate of a run's end.

    Attributes:
        takes, encoding: what is measured of its two long parts.
        over: whether nothing is generated or encoded any more.
        film_made: whether its films are there.
    """

    takes: TakePace
    encoding: EncodingPace = field(default_factory=EncodingPace)
    over: bool = False
    film_made: bool = False

    @property
    def known(self) -> bool:
        """Whether it can be told: either the seconds, or that no work is left."""
        return self.seconds is not None or self.over or not (self.takes.left or self.encoding.seconds_left)

    @property
    def seconds(self) -> float | None:
        """Seconds until the last segment is encoded; None before that can be said, and once there is none left."""
        takes_s, encoding_s = self.takes.seconds_left, self.encoding.seconds_left
        if self.over or takes_s is None or (not takes_s and not encoding_s):
            return None
        if not takes_s:
            return max(encoding_s, _LEAST_LEFT_S) if self.encoding.measured else None
        if not self.encoding.measured:
            # No segment could be encoded yet, and perhaps none can be before the last take is there.
            return max(takes_s + encoding_s, _LEAST_LEFT_S)
        # Segments follow their takes, but for those of the last one.
        return max(takes_s + self.encoding.seconds_of_one, encoding_s, _LEAST_LEFT_S)

    @property
    def share(self) -> float:
        """The share of the work that is done, from 0 to 1, by the time it takes; 1 only once its films are there."""
        if self.film_made:
            return 1.0
        take_s, megapixel_s = self.takes.seconds_each, self.encoding.seconds_each
        whole_s = self.takes.expected * take_s + self.encoding.expected * megapixel_s
        done_s = min(self.takes.ended, self.takes.expected) * take_s + self.encoding.done * megapixel_s
        return min(done_s / whole_s, _MOST_SHARE) if whole_s > 0 else 0.0


def _gap_s(moments: Sequence[float], *, until: float) -> float | None:
    """Return the mean time between moments, the last gap drawn out until now; None where there is only one."""
    # n takes span n - 1 gaps.
    gaps = len(moments) - 1
    return max(until - moments[0], _LEAST_SPAN_S) / gaps if gaps > 0 else None
