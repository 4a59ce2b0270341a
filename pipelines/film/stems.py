"""Stems: pieces of sound at their places in the film, summed sample by sample."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.film.loudness import BLOCK
from pipelines.film.resampling import Samples

# Blocks that are worked on at once: a little more than a second.
CHUNK = 240 * BLOCK
SIDES = 2
_SAMPLE_BYTES = 4


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


@dataclass(frozen=True, slots=True)
class StoredSamples:
    """Samples in a file, read as they are needed.

    Attributes:
        file: the file, which holds them as 32-bit floats.
        channels: samples of each instant.
    """

    file: Path
    channels: int

    @property
    def length(self) -> int:
        """How many instants they are."""
        return self.file.stat().st_size // (_SAMPLE_BYTES * self.channels)

    def read(self, start: int, end: int) -> Samples:
        """Return those from `start` up to `end`, a column for each channel; fewer where the file ends before."""
        samples = np.fromfile(
            self.file,
            np.float32,
            count=max(end - start, 0) * self.channels,
            offset=start * _SAMPLE_BYTES * self.channels,
        )
        return samples.reshape(-1, self.channels)

    def repeat(self, start: int, end: int) -> Samples:
        """Return those from `start` up to `end` as if they began again, for ever, where they end."""
        length, first = self.length, start % self.length
        head = self.read(first, min(first + end - start, length))
        missing = end - start - len(head)
        return np.concatenate([head, np.resize(self.read(0, min(length, missing)), (missing, self.channels))])


@dataclass(frozen=True, slots=True)
class Clip:
    """A piece of sound in the film.

    Attributes:
        samples: where it is taken from, of one channel or two.
        start: the film's sample with which it begins.
        length: in samples; beyond the end of `samples` it is silent, unless it loops.
        offset: the sample with which it begins in `samples`.
        loops: at their end it goes on with their beginning.
        gain: a factor.
        fades: in any order.
    """

    samples: StoredSamples
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
            return self.samples.repeat(start, end)
        there = self.samples.read(start, end)
        return np.pad(there, ((0, end - start - len(there)), (0, 0)))


class Stem:
    """Clips that are summed, in their order."""

    def __init__(self, clips: Iterable[Clip], *, sides: int = SIDES) -> None:
        """Sum clips.

        Args:
            clips: the clips.
            sides: how many channels the sum has; 1 only where all clips have one, which is heard on both sides.
        """
        self.clips = tuple(clips)
        self._sides = sides
        # By chunk: of thousands of clips, few are heard in any.
        self._heard = defaultdict[int, list[int]](list)
        for number, clip in enumerate(self.clips):
            for chunk in range(clip.start // CHUNK, -(-clip.end // CHUNK)):
                self._heard[chunk].append(number)

    def read(self, start: int, end: int) -> Samples:
        """Return the samples from `start` up to `end`, a column for each side; silence where there are no clips."""
        mixed = np.zeros((end - start, self._sides), np.float32)
        heard = {number for chunk in range(start // CHUNK, -(-end // CHUNK)) for number in self._heard.get(chunk, ())}
        # Always in the same order, on which sums of more than two depend.
        for number in sorted(heard):
            self.clips[number].add_to(mixed, start)
        return mixed
