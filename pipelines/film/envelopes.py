"""Envelopes: gains over the film's time, given at the edges of blocks and straight lines between them."""

from dataclasses import dataclass

import numpy as np

from pipelines.film.loudness import BLOCK, Blocks
from pipelines.film.resampling import Samples


@dataclass(frozen=True, slots=True, eq=False)
class Envelope:
    """Gains over the film's time.

    Attributes:
        edges: the gain, as a factor, at the beginning of each block, and at the end of the last.
    """

    edges: Blocks

    def over(self, start: int, end: int) -> Samples:
        """Return the gain of each sample from `start` up to `end`, as a column; outside of the film as at its ends."""
        first = start // BLOCK
        edges = self.edges[np.clip(np.arange(first, -(-end // BLOCK) + 1), 0, len(self.edges) - 1)]
        lines = edges[:-1, None] + np.diff(edges)[:, None] * (np.arange(BLOCK) / BLOCK)
        return lines.ravel()[start - first * BLOCK : end - first * BLOCK, None].astype(np.float32)

    @property
    def energies(self) -> Blocks:
        """By how much each block's energy changes, as a factor."""
        first, last = self.edges[:-1], self.edges[1:]
        # The mean of the square over a straight line.
        return (first * first + first * last + last * last) / 3
