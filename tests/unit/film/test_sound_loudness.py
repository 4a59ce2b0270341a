"""Loudness and peaks are what the standards say they are."""

import numpy as np
import pytest

from pipelines.film.loudness import BLOCK, LEAD, REACH, energies, integrated_lufs, peaks
from pipelines.film.resampling import Samples

RATE_HZ = 48_000


def both_sides(wave: np.ndarray) -> Samples:
    """Return one channel on two sides, with the samples in front that are not measured."""
    return np.pad(np.asarray(wave, np.float32), (LEAD, 0))[:, None].repeat(2, axis=1)


def sine(seconds: float, peak: float = 1, hz: float = 997) -> np.ndarray:
    """Return a sine at 48 kHz."""
    return np.asarray(peak * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ))


@pytest.mark.parametrize(
    ("hz", "lufs"),
    [(997, 0), (100, -1.8), (10_000, 3.4)],
    ids=["as the standard says", "less of what is low", "more of what is high"],
)
def test_a_tone_is_as_loud_as_the_standard_says(hz: float, lufs: float) -> None:
    """Full scale at 997 Hz on both sides is 0 LUFS (ITU-R BS.1770)."""
    assert integrated_lufs(energies(both_sides(sine(3, hz=hz)))) == pytest.approx(lufs, abs=0.3)


def test_one_channel_counts_on_both_sides() -> None:
    """For so it is heard."""
    two = both_sides(sine(1, peak=0.1))

    assert energies(two[:, :1]) == pytest.approx(energies(two))


def test_pauses_do_not_count() -> None:
    """Neither silence nor what is far below the rest makes the whole quieter."""
    wave = np.concatenate([sine(2, peak=0.1), np.zeros(5 * RATE_HZ), sine(5, peak=0.005)])

    assert integrated_lufs(energies(both_sides(wave))) == pytest.approx(-20, abs=0.5)


@pytest.mark.parametrize("wave", [np.zeros(RATE_HZ), sine(1, peak=0.0002), np.zeros(BLOCK)])
def test_next_to_nothing_is_silence(wave: np.ndarray) -> None:
    """By the absolute gate."""
    assert integrated_lufs(energies(both_sides(wave))) == -70


def test_a_peak_between_two_samples_is_seen() -> None:
    """A quarter of the rate, an eighth of a turn late: each sample is 3 dB below the wave's own peak."""
    wave = np.sin(np.pi / 2 * np.arange(10 * BLOCK + 2 * REACH) + np.pi / 4)[:, None]

    assert peaks(np.asarray(wave, np.float32), least=0.5) == pytest.approx(1, abs=0.001)
    assert peaks(np.asarray(wave, np.float32), least=5) == pytest.approx(np.sqrt(0.5), abs=0.001)
