"""The rest goes down under each passage, as far as it must, and no further than to silence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.film.ducking import Passage, ducking
from pipelines.film.loudness import BLOCK_S, Blocks

BLOCKS = 4000


def at(second: float) -> int:
    """Return the number of the block at a time."""
    return round(second / BLOCK_S)


@st.composite
def mixes(draw: st.DrawFn) -> tuple[list[Passage], Blocks, Blocks]:
    """Return passages, and energies of a voice and of the rest, which go up and down."""
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    voice, rest = np.zeros(BLOCKS), 10 ** random.uniform(-6, 0, BLOCKS // 100).repeat(100)
    passages, end = [], 0.0
    while (start := end + draw(st.floats(1, 4))) < BLOCKS * BLOCK_S - 1:
        end = min(start + draw(st.floats(0.1, 6)), BLOCKS * BLOCK_S)
        passages.append(Passage(((start, end),)))
        voice[at(start) : at(end)] = 10 ** random.uniform(-4, -2, at(end) - at(start))
    return passages, voice, rest


@given(mixes(), st.sampled_from([0.0, 12.0, 30.0]))
def test_the_voice_is_12_lu_above_the_rest(mix: tuple[list[Passage], Blocks, Blocks], duck_db: float) -> None:
    """In each passage, by at least what is asked for, and never in steps."""
    passages, voice, rest = mix

    envelope = ducking(passages, voice, rest, duck_db=duck_db)

    left = rest * envelope.energies
    for passage in passages:
        first, last = at(passage.start_s), at(passage.end_s)
        assert 10 * np.log10(voice[first:last].mean() / left[first:last].mean()) > 12
        assert envelope.edges[first + 1 : last].max() <= 10 ** (-duck_db / 20) * 1.001
    assert np.abs(np.diff(20 * np.log10(envelope.edges))).max() < 60 * BLOCK_S / 0.25 + 0.01


def test_between_phrases_the_rest_comes_back() -> None:
    """A quarter of a second before the next one it begins to go."""
    passages = [Passage(((2, 3),)), Passage(((6, 7),))]

    edges = 20 * np.log10(ducking(passages, np.ones(BLOCKS), np.zeros(BLOCKS), duck_db=12).edges)

    expected = {0: 0, 1.75: 0, 2: -12, 3: -12, 3.375: -6, 3.75: 0, 5.75: 0, 5.875: -6, 6: -12, 7.75: 0, 19: 0}
    assert {time_s: edges[at(time_s)] for time_s in expected} == pytest.approx(expected)


def test_under_a_voice_that_is_not_there_nothing_is_heard() -> None:
    """For nothing is 12 LU below silence; it goes down by 60 dB."""
    envelope = ducking([Passage(((2, 3),))], np.zeros(BLOCKS), np.ones(BLOCKS), duck_db=12)

    assert 20 * np.log10(envelope.edges.min()) == pytest.approx(-60)
