"""A mix is brought to its loudness, and no peak over the ceiling."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipelines.film.loudness import BLOCK, integrated_lufs
from pipelines.film.mastering import Levels, master

CEILING = 0.8
heights = arrays(np.float32, st.integers(1, 300), elements=st.floats(0, 20, width=32))


def test_a_mix_without_high_peaks_is_left_as_it_is() -> None:
    """Not even by a gain of one."""
    assert master(Levels(np.full(100, 0.85, np.float32)), highest=0.89, ceiling=CEILING) is None


@given(heights)
def test_no_peak_is_over_the_ceiling(found: np.ndarray) -> None:
    """And the gain never jumps: by a few decibels in ten milliseconds at most."""
    envelope = master(Levels(found), highest=0.0, ceiling=CEILING) if found.any() else None

    if envelope:
        gains = envelope.over(0, len(found) * BLOCK).reshape(-1, BLOCK)
        assert (gains.max(axis=1) * found).max() <= CEILING * 1.0001
        assert np.abs(np.diff(20 * np.log10(envelope.edges))).max() <= 1.5001


@pytest.mark.parametrize("peak", [0.1, 0.9, 4.0])
@pytest.mark.parametrize("lufs", [-40.0, -23.0, -16.0])
def test_a_mix_is_brought_to_its_loudness(peak: float, lufs: float) -> None:
    """Where peaks allow it: what the limiter takes off, a gain makes good."""
    found = np.full(1000, peak / 4, np.float32)
    found[::100] = peak
    energies = found.astype(float) ** 2 / 8

    envelope = master(Levels(found, energies), highest=CEILING, ceiling=CEILING, loudness_lufs=lufs)

    assert envelope
    assert integrated_lufs(energies * envelope.energies) == pytest.approx(lufs, abs=0.1)
    assert (envelope.edges[:-1] * found).max() <= CEILING * 1.0001
