"""Captions of a film: those of its holds, and on all others what is being spoken."""

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from pipelines.film.captions import Highlighted, Revealed, ScreenText, captions_of, letters_in_line
from pipelines.film.phrases import Phrase, PhraseLimits, break_speech
from pipelines.storyboard.model import WordCaptions
from pipelines.storyboard.timeline import Hold, Spoken, Timeline
from pipelines.storyboard.timing import rounded

# Over a shorter silence between two words, the first one stays highlighted: nothing flickers.
_SHORT_SILENCE_S = Fraction(1, 4)
# For how many video frames, and what can be read meanwhile.
CaptionRun = tuple[int, ScreenText | None]


@dataclass(frozen=True, slots=True)
class Cue:
    """A text on screen, in exact seconds of the film."""

    start_s: Fraction
    end_s: Fraction
    text: str


def cues_of(timeline: Timeline) -> list[Cue]:
    """Return all that is to be read in a film, in its order, as whole texts."""
    fps = timeline.output.fps
    written = captions_of([(hold.length, hold.caption) for hold in timeline.holds])
    cues = [Cue(caption.start / fps, caption.end / fps, caption.text) for caption in written]
    cues += [Cue(phrase.start_s, phrase.end_s, phrase.text) for phrase in phrases_of(timeline)]
    return sorted(cues, key=lambda cue: cue.start_s)


def phrases_of(timeline: Timeline) -> list[Phrase]:
    """Return what is spoken in a film, in phrases as they are on screen: never over a caption of a hold's own.

    A phrase that such a caption interrupts comes again behind it, if some of it is still to be spoken.
    """
    captioned = [hold for hold in timeline.holds if hold.caption]
    phrases = (phrase for spoken in timeline.spoken for phrase in phrases_in(spoken, timeline))
    return [part for phrase in phrases for part in _uncovered(phrase, captioned, timeline.output.fps)]


def phrases_in(spoken: Spoken, timeline: Timeline) -> list[Phrase]:
    """Return the phrases of a narration, as they would be on screen if no hold had a caption of its own."""
    style, output = timeline.captions, timeline.output
    limits = PhraseLimits(
        lines=style.lines,
        columns=letters_in_line(style, output.size),
        letters_per_second=style.letters_per_second,
        fps=output.fps,
        length_s=(spoken.end - spoken.start) / output.fps,
        language=style.language,
    )
    return [phrase.later(spoken.start / output.fps) for phrase in break_speech(spoken.speech, limits)]


def _uncovered(phrase: Phrase, captioned: Sequence[Hold], fps: Fraction) -> Iterator[Phrase]:
    """Yield the parts of a phrase's time that no hold with a caption of its own takes."""
    start_s = phrase.start_s
    number = bisect.bisect_right(captioned, start_s * fps, key=lambda hold: Fraction(hold.start + hold.length))
    while number < len(captioned) and captioned[number].start < phrase.end_s * fps:
        hold = captioned[number]
        yield from _spoken_between(phrase, start_s, hold.start / fps)
        start_s, number = (hold.start + hold.length) / fps, number + 1
    yield from _spoken_between(phrase, start_s, phrase.end_s)


def _spoken_between(phrase: Phrase, start_s: Fraction, end_s: Fraction) -> Iterator[Phrase]:
    if start_s < end_s and any(word.start_s < end_s and word.end_s >= start_s for word in phrase.words):
        yield replace(phrase, start_s=start_s, end_s=end_s)


class CaptionTrack:
    """All that is to be read in a film's pictures, video frame by video frame.

    What is spoken is not, where captions are not drawn: other words then make no other pieces.
    """

    def __init__(self, timeline: Timeline) -> None:
        spoken = _SpokenTrack(timeline)
        # By hold, also where a text goes on: the names of pieces hang on it.
        self._runs = [
            run
            for hold in timeline.holds
            for run in ([(hold.length, hold.caption)] if hold.caption else spoken.between(hold.start, hold.length))
        ]
        self._starts = [0]
        for length, _ in self._runs:
            self._starts.append(self._starts[-1] + length)

    def between(self, start: int, length: int) -> tuple[CaptionRun, ...]:
        """Return what is to be read in so many video frames from `start`."""
        return tuple(_part(self._runs, self._starts, start, length))


class _SpokenTrack:
    """What is spoken, as it can be read, video frame by video frame."""

    def __init__(self, timeline: Timeline) -> None:
        self._runs: list[CaptionRun] = []
        self._starts = [0]
        for phrase in phrases_of(timeline) if timeline.captions.burn else ():
            for start, end, text in _states(phrase, timeline):
                self._add(start, None)
                self._add(end, text)
        self._add(timeline.video_frames, None)

    def _add(self, end: int, text: ScreenText | None) -> None:
        if end > self._starts[-1]:
            self._runs.append((end - self._starts[-1], text))
            self._starts.append(end)

    def between(self, start: int, length: int) -> Iterator[CaptionRun]:
        """Yield what is to be read in so many video frames from `start`."""
        return _part(self._runs, self._starts, start, length)


def _part(runs: Sequence[CaptionRun], starts: Sequence[int], start: int, length: int) -> Iterator[CaptionRun]:
    number = bisect.bisect_right(starts, start) - 1
    end = start + length
    while start < end:
        reached = min(end, starts[number + 1])
        yield reached - start, runs[number][1]
        start, number = reached, number + 1


def _states(phrase: Phrase, timeline: Timeline) -> Iterator[tuple[int, int, ScreenText]]:
    """Yield how a phrase looks, and from and up to which video frame: each begins with the one nearest to its time."""
    fps = timeline.output.fps
    # Of what begins with one video frame, the last is seen.
    looks = {0: _at_first(phrase, timeline.captions.words)}
    looks |= {rounded(at_s * fps): look for at_s, look in _looks(phrase, timeline.captions.words)}
    first, last = rounded(phrase.start_s * fps), rounded(phrase.end_s * fps)
    for (start, look), end in zip(looks.items(), [*list(looks)[1:], last], strict=True):
        if max(start, first) < min(end, last):
            yield max(start, first), min(end, last), look


def _at_first(phrase: Phrase, words: WordCaptions) -> ScreenText:
    return Revealed(phrase.text, 0) if words is WordCaptions.ONE_BY_ONE else phrase.text


def _looks(phrase: Phrase, words: WordCaptions) -> Iterator[tuple[Fraction, ScreenText]]:
    """Yield how a phrase looks, and from which second, whenever that changes."""
    match words:
        case WordCaptions.OFF:
            return
        case WordCaptions.ONE_BY_ONE:
            for word in phrase.words:
                yield word.start_s, Revealed(phrase.text, word.end) if word.end < len(phrase.text) else phrase.text
        case WordCaptions.HIGHLIGHT:
            yield from _highlights(phrase)


def _highlights(phrase: Phrase) -> Iterator[tuple[Fraction, ScreenText]]:
    # What is written and takes no time, a dash for instance, is not spoken.
    spoken = [word for word in phrase.words if word.end_s > word.start_s]
    for word, following in pairwise([*spoken, None]):
        assert word is not None
        yield word.start_s, Highlighted(phrase.text, word.start, word.end)
        if following is None or following.start_s > word.end_s + _SHORT_SILENCE_S:
            yield word.end_s, phrase.text
