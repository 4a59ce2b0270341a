"""Mastering: a mix is brought to a loudness, and its peaks are kept under a ceiling, by one envelope of gains."""

from dataclasses import dataclass

import numpy as np

from pipelines.film.envelopes import Envelope
from pipelines.film.loudness import SILENT_LUFS, Blocks, integrated_lufs
from pipelines.film.resampling import Samples

# How fast the limiter takes a block down, and lets it up again: 3 dB and 0.4 dB in ten milliseconds.
_DOWN_DB = 1.5
_UP_DB = 0.2
_TOLERANCE_LU = 0.02
# The limiter takes off what the gain has brought: each round makes good for a part of that.
_MAX_ROUNDS = 12
_MAX_GAIN_DB = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """What was measured of a mix.

    Attributes:
        peaks: of each block, as players make them.
        energies: of each block; None where its loudness does not matter.
    """

    peaks: Samples
    energies: Blocks | None = None


def master(levels: Levels, *, highest: float, ceiling: float, loudness_lufs: float | None = None) -> Envelope | None:
    """Return the gains that a mix needs; None where it is right as it is.

    Args:
        levels: of the mix.
        highest: the peak, as a factor, up to which a mix is left as it is.
        ceiling: the peak that none exceeds otherwise.
        loudness_lufs: what the whole is brought to, as far as the ceiling allows; None to leave it as loud as it is.
    """
    if loudness_lufs is None or levels.energies is None or integrated_lufs(levels.energies) <= SILENT_LUFS:
        return None if levels.peaks.max(initial=0) <= highest else _limited(levels.peaks, 0.0, ceiling)
    gain_db = 0.0
    for _ in range(_MAX_ROUNDS):
        envelope = _limited(levels.peaks, gain_db, ceiling)
        missing_lu = loudness_lufs - integrated_lufs(levels.energies * envelope.energies)
        if abs(missing_lu) < _TOLERANCE_LU or gain_db >= _MAX_GAIN_DB:
            break
        gain_db = min(gain_db + missing_lu, _MAX_GAIN_DB)
    return envelope


def _limited(peaks: Samples, gain_db: float, ceiling: float) -> Envelope:
    """Return a gain that goes down before each peak that would exceed the ceiling, and up slowly after it."""
    needed_db = np.minimum(gain_db, 20 * np.log10(ceiling / np.maximum(peaks, 1e-9)))
    # The edge between two blocks has the lower gain of the two, so that no line between edges is too high.
    edges_db = np.minimum(np.pad(needed_db, (0, 1), mode="edge"), np.pad(needed_db, (1, 0), mode="edge"))
    falling = _rising_at_most(edges_db[::-1], _DOWN_DB)[::-1]
    return Envelope(np.power(10.0, _rising_at_most(falling, _UP_DB) / 20))


def _rising_at_most(levels_db: Blocks, step_db: float) -> Blocks:
    """Return the highest levels below these of which none is more than a step above the one before."""
    slope = np.arange(len(levels_db)) * step_db
    return np.asarray(np.minimum.accumulate(levels_db - slope) + slope)
