"""Stems: pieces of sound at their places in the film, summed sample by sample."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.film.loudness import BLOCK
from pipelines.film.resampling import Samples

# Blocks that are worked on at once: a little more than a second.
CHUNK = 240 * BLOCK
_SIDES = 2


@dataclass(frozen=True, slots=True)
class Fade:
    """A part of a clip in which it comes or goes.

    Attributes:
        start: the sample of the clip with which it begins.
        length: in samples.
        out: the clip goes: it is silent afterwards.
        even: two sounds that cross in this way are together as loud as each alone (equal power); else the fade is a
            straight line.
    """

    start: int
    length: int
    out: bool = False
    even: bool = False

    def apply(self, samples: Samples, start: int) -> None:
        """Fade the samples of a clip, from its sample `start` on, in place."""
        first, last = (min(max(place - start, 0), len(samples)) for place in (self.start, self.start + self.length))
        places = np.arange(first, last) + (start - self.start)
        shares = (self.length - places if self.out else places) / self.length
        factors = np.sin(shares * (math.pi / 2)) if self.even else shares
        samples[first:last] = samples[first:last] * factors[:, None]
        silent = slice(last, None) if self.out else slice(0, first)
        samples[silent] = 0


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A piece of sound in the film.

    Attributes:
        samples: where it is taken from, of shape (n, 1 or 2).
        start: the film's sample with which it begins.
        length: in samples; beyond the end of `samples` it is silent, unless it loops.
        offset: the sample with which it begins in `samples`.
        loops: at their end it goes on with their beginning.
        gain: a factor.
        fades: in any order.
    """

    samples: npt.NDArray[np.float32]
    start: int
    length: int
    offset: int = 0
    loops: bool = False
    gain: float = 1.0
    fades: tuple[Fade, ...] = ()

    @property
    def end(self) -> int:
        """The film's sample with which it is over."""
        return self.start + self.length

    def add_to(self, mixed: Samples, start: int) -> None:
        """Add what is heard of it to the film's samples from `start` on."""
        first, last = max(self.start, start), min(self.end, start + len(mixed))
        if first < last:
            mixed[first - start : last - start] += self._heard(first - self.start, last - self.start)

    def _heard(self, start: int, end: int) -> Samples:
        samples = self._source(self.offset + start, self.offset + end) * np.float32(self.gain)
        for fade in self.fades:
            fade.apply(samples, start)
        return samples

    def _source(self, start: int, end: int) -> Samples:
        if self.loops:
            return self.samples[np.arange(start, end) % len(self.samples)]
        there = self.samples[start:end]
        return np.pad(there, ((0, end - start - len(there)), (0, 0)))


class Stem:
    """Clips that are summed, in their order."""

    def __init__(self, clips: Iterable[Clip]) -> None:
        self.clips = tuple(clips)
        # By chunk: of thousands of clips, few are heard in any.
        self._heard = defaultdict[int, list[int]](list)
        for number, clip in enumerate(self.clips):
            for chunk in range(clip.start // CHUNK, -(-clip.end // CHUNK)):
                self._heard[chunk].append(number)

    def read(self, start: int, end: int) -> Samples:
        """Return the samples from `start` up to `end`, on two sides; silence where there are no clips."""
        mixed = np.zeros((end - start, _SIDES), np.float32)
        heard = {number for chunk in range(start // CHUNK, -(-end // CHUNK)) for number in self._heard.get(chunk, ())}
        # Always in the same order, on which sums of more than two depend.
        for number in sorted(heard):
            self.clips[number].add_to(mixed, start)
        return mixed
