"""Ducking: whatever else sounds makes room for the voice, by the known times of its words."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pipelines.film.envelopes import Envelope
from pipelines.film.loudness import BLOCK_S, Blocks
from pipelines.storyboard.speech import Speech
from pipelines.storyboard.timeline import Timeline

# Down before the first word, up after the last one. Where a pause has no room for both, the rest stays down.
_DOWN_S = 0.25
_UP_S = 0.75
_SPEECH_OVER_REST_LU = 12
# For whoever measures otherwise: by other blocks, or after encoding.
_MARGIN_LU = 0.5
# As the standard leaves out what is 10 LU below the rest.
_GATE = 0.1
_WINDOW_BLOCKS = round(1 / BLOCK_S)
# Nothing is heard any more.
_MAX_DUCK_DB = 60.0
_NO_ENERGY = 1e-15


@dataclass(frozen=True, slots=True)
class Passage:
    """Words that follow one another without a long pause.

    Attributes:
        words: when each begins and ends, in seconds from the film's beginning; at least one.
    """

    words: tuple[tuple[float, float], ...]

    @property
    def start_s(self) -> float:
        """When it begins."""
        return self.words[0][0]

    @property
    def end_s(self) -> float:
        """When it ends."""
        return self.words[-1][1]


def passages_of(timeline: Timeline) -> list[Passage]:
    """Return the passages of a film, in their order."""
    groups: list[list[tuple[float, float]]] = []
    for start_s, end_s in _words(timeline):
        if groups and start_s - groups[-1][-1][1] < _DOWN_S + _UP_S:
            groups[-1].append((start_s, end_s))
        else:
            groups.append([(start_s, end_s)])
    return [Passage(tuple(words)) for words in groups]


def _words(timeline: Timeline) -> Iterator[tuple[float, float]]:
    """Yield when each word that is heard begins and ends in the film."""
    fps = timeline.output.fps
    for spoken in timeline.spoken:
        start_s, limit_s = spoken.start / fps, spoken.end / fps
        for word_start_s, word_end_s in _times(spoken.speech):
            if start_s + word_start_s < limit_s:
                yield float(start_s + word_start_s), float(min(start_s + word_end_s, limit_s))


def _times(speech: Speech) -> Iterable[tuple[Fraction, Fraction]]:
    if speech.are_estimated:
        # Where its pauses are is not known.
        return [(Fraction(0), speech.length_s)]
    return [(word.start_s, word.end_s) for word in speech.words]


def ducking(passages: Iterable[Passage], speech: Blocks, rest: Blocks, *, duck_db: float) -> Envelope:
    """Return how the rest goes down under the voice, by the same all through a passage.

    Args:
        passages: when it speaks, in their order.
        speech: the energy of each block of the voice.
        rest: that of the rest, as it is without ducking.
        duck_db: how far it goes down at least; further where it would be too loud for any second of a passage.
    """
    times_s: list[float] = []
    levels_db: list[float] = []
    for passage in passages:
        depth_db = min(max(duck_db, _needed_db(passage, speech, rest)), _MAX_DUCK_DB)
        times_s += [passage.start_s - _DOWN_S, passage.start_s, passage.end_s, passage.end_s + _UP_S]
        levels_db += [0.0, -depth_db, -depth_db, 0.0]
    edges_s = np.arange(len(rest) + 1) * BLOCK_S
    return Envelope(np.power(10.0, np.interp(edges_s, times_s, levels_db) / 20))


def _needed_db(passage: Passage, speech: Blocks, rest: Blocks) -> float:
    """Return how far the rest must go down so that the voice is well above it."""
    # At least one block, and none beyond the film.
    first = min(_block(passage.start_s), len(rest) - 1)
    last = min(max(_block(passage.end_s), first + 1), len(rest))
    voice, others = speech[first:last], rest[first:last]
    worst = max(_highest_ratio(others, voice, length) for length in (min(_WINDOW_BLOCKS, last - first), last - first))
    return _SPEECH_OVER_REST_LU + _MARGIN_LU + 10 * math.log10(worst) if worst > 0 else 0.0


def _highest_ratio(others: Blocks, voice: Blocks, length: int) -> float:
    """Return the highest ratio of two energies over so many blocks in a row."""
    means, others_means = _moving_mean(voice, length), _moving_mean(others, length)
    # Where a pause takes most of that time, there is no voice to be above anything.
    counts = means >= min(means.max(), _GATE * voice.mean())
    return float((others_means[counts] / np.maximum(means[counts], _NO_ENERGY)).max())


def _moving_mean(blocks: Blocks, length: int) -> Blocks:
    sums = np.cumsum(np.pad(blocks, (1, 0)))
    # Sums are differences of sums: rounding leaves a little less than nothing.
    return np.maximum(sums[length:] - sums[:-length], 0) / length


def _block(time_s: float) -> int:
    return round(time_s / BLOCK_S)
