"""When each sound of a film is heard: tracks of music follow one another, sounds begin with their shots."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from pipelines.storyboard.model import Instant, Sound
from pipelines.storyboard.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Heard:
    """A sound in the film, in exact seconds from its beginning.

    Attributes:
        sound: the sound.
        start_s, end_s: when it is heard, unless its file ends before; with half of each crossfade.
        comes_s: how long it comes while the music before it goes.
        goes_s: how long it goes while the music after it comes.
    """

    sound: Sound
    start_s: Fraction
    end_s: Fraction
    comes_s: Fraction = Fraction(0)
    goes_s: Fraction = Fraction(0)

    @property
    def length_s(self) -> Fraction:
        """How long it is heard at most; 0 where it ends before it begins."""
        return max(self.end_s - self.start_s, Fraction(0))


def heard_sounds(timeline: Timeline) -> list[Heard]:
    """Return when each sound of a film is heard, in their order; see `Heard`."""
    music = [sound for sound in timeline.sound.sounds if sound.span]
    crossed = iter(_crossed(music, _changes(music, timeline)) if music else ())
    return [next(crossed) if sound.span else _of_shot(sound, timeline) for sound in timeline.sound.sounds]


def _of_shot(sound: Sound, timeline: Timeline) -> Heard:
    return Heard(sound, _second(Instant(sound.frame), timeline), timeline.duration_s)


def _second(instant: Instant, timeline: Timeline) -> Fraction:
    if instant.frame is None:
        return min(instant.time_s, timeline.duration_s)
    if instant.frame == len(timeline.holds):
        return timeline.duration_s
    return timeline.holds[instant.frame].start / timeline.output.fps


def _changes(music: Sequence[Sound], timeline: Timeline) -> list[tuple[Fraction, Fraction]]:
    """Return when each track of music begins and ends, without crossfades."""
    spans = [sound.span for sound in music if sound.span]
    starts = [_second(span.start, timeline) if span.start else None for span in spans]
    ends = [_second(span.end, timeline) if span.end else None for span in spans]
    # Two that follow each other meet where one of them says; where neither does, the tracks share the time evenly.
    meetings = [
        starts[0] or Fraction(0),
        *(end if start is None else start for end, start in zip(ends, starts[1:], strict=False)),
        timeline.duration_s if ends[-1] is None else ends[-1],
    ]
    met = _shared_evenly(meetings)
    return [
        (before_s if start_s is None else start_s, after_s if end_s is None else end_s)
        for start_s, end_s, before_s, after_s in zip(starts, ends, met, met[1:], strict=False)
    ]


def _shared_evenly(times: Sequence[Fraction | None]) -> list[Fraction]:
    """Return times, those that are missing at even distances between the ones beside them."""
    known = [(number, time_s) for number, time_s in enumerate(times) if time_s is not None]
    filled = [known[0][1]]
    for (first, before_s), (last, after_s) in pairwise(known):
        step_s = (after_s - before_s) / (last - first)
        filled += [before_s + step_s * (number - first) for number in range(first + 1, last + 1)]
    return filled


def _crossed(music: Sequence[Sound], changes: Sequence[tuple[Fraction, Fraction]]) -> Iterator[Heard]:
    """Yield when each track is heard, longer by half of the crossfade at each end where another one meets it."""
    crossfades = [
        _crossfade_s(sound, before, after)
        for sound, before, after in zip(music[1:], changes, changes[1:], strict=False)
    ]
    for sound, (start_s, end_s), comes_s, goes_s in zip(
        music, changes, [Fraction(0), *crossfades], [*crossfades, Fraction(0)], strict=True
    ):
        yield Heard(sound, start_s - comes_s / 2, end_s + goes_s / 2, comes_s, goes_s)


def _crossfade_s(sound: Sound, before: tuple[Fraction, Fraction], after: tuple[Fraction, Fraction]) -> Fraction:
    """Return how long a track and the one before it are heard together: none longer than either of them."""
    (start_s, end_s), (next_start_s, next_end_s) = before, after
    if end_s != next_start_s or not sound.span:
        return Fraction(0)
    return max(min(sound.span.crossfade_s, end_s - start_s, next_end_s - next_start_s), Fraction(0))
