"""Clips are summed where they are heard, the same in whatever pieces they are read."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.film.resampling import Samples, resampled
from pipelines.film.stems import CHUNK, Clip, Fade, Stem, StoredSamples


def stored(file: Path, samples: Samples) -> StoredSamples:
    """Keep samples in a file."""
    file.write_bytes(np.asarray(samples, np.float32).tobytes())
    return StoredSamples(file, samples.shape[1])


@pytest.fixture(scope="module")
def ramp(tmp_path_factory: pytest.TempPathFactory) -> StoredSamples:
    """Return samples of which each is another one."""
    return stored(tmp_path_factory.mktemp("ramp") / "a.pcm", np.arange(1, 1001, dtype=np.float32)[:, None])


clips = st.builds(
    lambda start, length, offset, loops, fade: (start, length, offset, loops, fade),
    st.integers(0, 3 * CHUNK),
    st.integers(1, 2 * CHUNK),
    st.integers(0, 1500),
    st.booleans(),
    st.integers(1, 500),
)


@given(st.lists(clips, max_size=4), st.integers(-500, 4 * CHUNK), st.integers(1, 2000))
def test_what_is_read_does_not_depend_on_where_reading_begins(
    ramp: StoredSamples, drawn: list[tuple[int, int, int, bool, int]], start: int, length: int
) -> None:
    """Loops, fades, offsets and chunks or not."""
    stem = Stem(
        Clip(ramp, start, length, offset, loops, fades=(Fade(0, fade), Fade(length - fade, fade, out=True, even=True)))
        for start, length, offset, loops, fade in drawn
    )

    whole = stem.read(0, 6 * CHUNK)

    expected = np.pad(whole, ((500, 2000), (0, 0)))[start + 500 : start + 500 + length]
    assert np.array_equal(stem.read(start, start + length), expected)


def test_a_loop_goes_on_with_the_beginning(ramp: StoredSamples) -> None:
    """As often as it must; without one, silence follows."""
    clip = Clip(ramp, 0, 2500, offset=999)

    assert Stem([replace(clip, loops=True)]).read(0, 2500)[[0, 1, 1000, 2001], 0].tolist() == [1000, 1, 1000, 1]
    assert Stem([clip]).read(0, 3)[:, 0].tolist() == [1000, 0, 0]


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 24_000, 44_100, 48_000, 96_000])
def test_a_tone_stays_what_it_is_at_another_rate(rate_hz: int) -> None:
    """In pitch, level and phase, to 80 dB below it."""
    seconds = np.arange(2 * rate_hz) / rate_hz
    tone = np.sin(2 * np.pi * 997 * seconds).astype(np.float32)

    new = np.concatenate(list(resampled(tone, rate_hz, 48_000)))

    expected = np.sin(2 * np.pi * 997 * np.arange(96_000) / 48_000)
    assert len(new) == 96_000
    assert np.abs(new - expected)[2000:-2000].max() < 1e-4
