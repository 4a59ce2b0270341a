"""Samples at another rate: each new one is a weighted sum of those around it (a windowed sinc)."""

import functools
import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

# On each side of a sample, at the lower of the two rates; with this window, what is folded back is 80 dB down.
_LOBES = 16
_KAISER_BETA = 8.0
# A little below half the lower rate, so that the filter has fallen off there.
_PASSBAND = 0.94
_PIECE = 1 << 16


def resampled(samples: npt.NDArray[np.generic], rate_hz: int, new_rate_hz: int) -> Iterator[Samples]:
    """Yield one channel of samples at another rate, piece by piece; the first stays where it is.

    Args:
        samples: of shape (n,); whole numbers are taken as they are.
        rate_hz: samples a second.
        new_rate_hz: of those that are yielded.
    """
    step = Fraction(rate_hz, new_rate_hz)
    weights = sinc_weights(step.denominator, 1.0 if step == 1 else _PASSBAND * min(1.0, new_rate_hz / rate_hz))
    half = weights.shape[1] // 2
    length = len(samples) * new_rate_hz // rate_hz
    # Begins at a sample of both rates.
    piece = step.denominator * math.ceil(_PIECE / step.denominator)
    for start in range(0, length, piece):
        count, first = min(piece, length - start), start * step.numerator // step.denominator
        around = _padded(samples, first + 1 - half, first + math.ceil(count * step) + 1 + half)
        windows = np.lib.stride_tricks.sliding_window_view(around, 2 * half)
        new = np.empty(count, np.float32)
        # New samples that lie at the same place between two have the same weights.
        for number in range(min(step.denominator, count)):
            last, part = divmod(number * step.numerator, step.denominator)
            places = new[number :: step.denominator]
            places[:] = windows[last :: step.numerator][: len(places)] @ weights[part]
        yield new


def _padded(samples: npt.NDArray[np.generic], start: int, end: int) -> Samples:
    """Return the samples from `start` up to `end`; beyond both ends of the whole there is silence."""
    inside = np.asarray(samples[max(start, 0) : max(end, 0)], np.float32)
    front = max(0, min(-start, end - start))
    return np.pad(inside, (front, end - start - front - len(inside)))


@functools.lru_cache
def sinc_weights(parts: int, passband: float = 1.0) -> Samples:
    """Return the weights of the samples around a place, for each of `parts` places from one sample to the next.

    Args:
        parts: places between samples, the sample's own among them.
        passband: the highest frequency that passes, as a share of half the rate.
    """
    half = math.ceil(_LOBES / passband)
    distances = np.arange(1 - half, half + 1) - np.arange(parts)[:, None] / parts
    window = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (distances / half) ** 2, 0, 1))) / np.i0(_KAISER_BETA)
    weights = np.sinc(passband * distances) * window
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)
