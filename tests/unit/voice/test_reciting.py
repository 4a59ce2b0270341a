"""Narrations of several parts."""

from fractions import Fraction

import numpy as np
import pytest

from pipelines.storyboard.model import Narration, Place
from pipelines.storyboard.speech import Word
from pipelines.voice.reciting import Reciter
from pipelines.voice.timing import share_out, words_in
from pipelines.voice.voices import SpokenText

HZ = 1000


class _EvenVoice:
    """Takes a second for each word, and is silent for a while after each text."""

    def speak(self, text: str) -> SpokenText:
        words = words_in(text)
        samples = np.concatenate([np.full(len(words) * HZ, 0.5), np.zeros(HZ // 10)]).astype(np.float32)
        return SpokenText(samples, HZ, tuple(share_out(words, Fraction(0), Fraction(len(words)))))


def _narration(text: str) -> Narration:
    return Narration(text, frame=0, frames=1, place=Place(1, 1, ""))


@pytest.mark.parametrize("gap_s", [Fraction(0), Fraction(1, 20), Fraction(1, 2)])
def test_parts_follow_one_another_after_the_gap(gap_s: Fraction) -> None:
    """From the last word of each to the first of the next, to the sample; nothing is lost of their texts' places."""
    spoken = Reciter(_EvenVoice(), gap_s).speak(_narration("aa bb\ncc"))

    assert spoken.words == (
        Word("aa", 0, Fraction(0), Fraction(1)),
        Word("bb", 3, Fraction(1), Fraction(2)),
        Word("cc", 6, 2 + gap_s, 3 + gap_s),
    )
    assert len(spoken.samples) == (3 + gap_s) * HZ + HZ // 10
    assert not spoken.samples[2 * HZ : int((2 + gap_s) * HZ)].any()


def test_one_part_is_as_it_was_spoken() -> None:
    """There is nothing to join."""
    spoken, alone = Reciter(_EvenVoice(), Fraction(1)).speak(_narration("aa bb")), _EvenVoice().speak("aa bb")

    assert np.array_equal(spoken.samples, alone.samples)
    assert spoken.words == alone.words
