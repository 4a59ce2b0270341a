"""Loudness and peaks, measured as broadcasters do (ITU-R BS.1770-5, EBU R 128), block by block."""

import functools
import math

import numpy as np
import numpy.typing as npt

from pipelines.film.resampling import Samples, sinc_weights
from pipelines.film.sound_files import RATE_HZ

Blocks = npt.NDArray[np.float64]

BLOCK = RATE_HZ // 200
BLOCK_S = BLOCK / RATE_HZ
# Below it is silence, by the standard's absolute gate.
SILENT_LUFS = -70.0
# Samples before those that are measured: the filter has died away over them.
LEAD = 10 * BLOCK
# Samples on each side of a peak from which it is told what a player makes of it.
REACH = 16

# The filter's two stages at 48 kHz: the head, and low frequencies (BS.1770-5, tables 1 and 2).
_STAGES = (
    ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)),
    ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
)
_OFFSET_LU = -0.691
_RELATIVE_GATE_LU = 10
# Gating blocks of 400 ms, each overlapping the one before by three quarters.
_STEP_BLOCKS = 20
_STEPS = 4
_SIDES = 2
# Between samples no peak is this many times as high as those around it.
_STEEPEST = 2.5
_OVERSAMPLING = 4


def energies(samples: Samples) -> Blocks:
    """Return the weighted energy of each block, summed over both sides.

    Args:
        samples: of shape (LEAD + n, 1 or 2), n a multiple of BLOCK; what is in front is not measured. A single channel
            is heard on both sides.
    """
    spectrum = np.fft.rfft(samples, axis=0)
    spectrum *= _response(len(samples))[:, None]
    weighted = np.fft.irfft(spectrum, len(samples), axis=0)[LEAD:]
    squares = np.square(weighted, out=weighted).reshape(-1, BLOCK * samples.shape[1])
    return np.asarray(squares.mean(axis=1, dtype=np.float64) * _SIDES)


@functools.lru_cache(maxsize=4)
def _response(length: int) -> npt.NDArray[np.complex64]:
    """Return the filter's response at the frequencies of a spectrum of so many samples."""
    delay = np.exp(-2j * np.pi * np.fft.rfftfreq(length))
    response = np.ones_like(delay)
    for forward, back in _STAGES:
        response *= np.polyval(forward[::-1], delay) / np.polyval(back[::-1], delay)
    return np.asarray(response, np.complex64)


def loudness_of(energy: float) -> float:
    """Return the loudness of a mean energy, in LUFS."""
    return _OFFSET_LU + 10 * math.log10(energy) if energy > 0 else -math.inf


def integrated_lufs(blocks: Blocks) -> float:
    """Return the loudness of the whole, in LUFS: silences count in it as little as what is far below the rest.

    Args:
        blocks: the energy of each block.
    """
    steps = -(-max(len(blocks), _STEPS * _STEP_BLOCKS) // _STEP_BLOCKS)
    padded = np.pad(blocks, (0, steps * _STEP_BLOCKS - len(blocks))).reshape(steps, _STEP_BLOCKS).mean(axis=1)
    gated = np.lib.stride_tricks.sliding_window_view(padded, _STEPS).mean(axis=1)
    gated = gated[gated > _energy_at(SILENT_LUFS)]
    if not len(gated):
        return SILENT_LUFS
    gated = gated[gated > _energy_at(loudness_of(gated.mean()) - _RELATIVE_GATE_LU)]
    return loudness_of(float(gated.mean()))


def _energy_at(lufs: float) -> float:
    return float(10 ** ((lufs - _OFFSET_LU) / 10))


def peaks(samples: Samples, *, least: float) -> Samples:
    """Return the peak of each block as a player makes it, between samples too (true peak, at four times the rate).

    Args:
        samples: of shape (REACH + n + REACH, channels), n a multiple of BLOCK; what is in front and behind only helps.
        least: peaks that are lower may come out somewhat too low.
    """
    highest = np.abs(samples[REACH:-REACH]).reshape(-1, BLOCK * samples.shape[1]).max(axis=1)
    # With what reaches into a block from those beside it.
    near = np.pad(highest, 1)
    near[[0, -1]] = np.abs(samples[:REACH]).max(), np.abs(samples[-REACH:]).max()
    near = np.lib.stride_tricks.sliding_window_view(near, 3).max(axis=1)
    (high,) = np.nonzero(near * _STEEPEST > least)
    if len(high):
        highest[high] = np.maximum(highest[high], _between(samples, high))
    return np.asarray(highest)


def _between(samples: Samples, blocks: npt.NDArray[np.intp]) -> Samples:
    """Return the highest values between the samples of some blocks."""
    weights = sinc_weights(_OVERSAMPLING)[1:].T
    windows = np.lib.stride_tricks.sliding_window_view(samples, BLOCK + 2 * REACH, axis=0)[::BLOCK][blocks]
    # Each place is between the last sample of its window's first half and the first of the second.
    around = np.lib.stride_tricks.sliding_window_view(windows, 2 * REACH, axis=2)
    highest: Samples = np.abs(np.ascontiguousarray(around) @ weights).max(axis=(1, 2, 3))
    return highest
