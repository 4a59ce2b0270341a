"""Narrations of several parts, which a voice speaks one by one, with silence between them."""

from dataclasses import replace
from fractions import Fraction

import numpy as np

from pipelines.storyboard.model import Narration
from pipelines.storyboard.speech import Word
from pipelines.voice.sound import cut_after
from pipelines.voice.voices import Samples, SpokenText, Voice


class Reciter:
    """Has narrations spoken by a voice; see `Speaker`."""

    def __init__(self, voice: Voice, gap_s: Fraction) -> None:
        """Take the voice, and the exact seconds of silence between the parts of a narration."""
        self._voice = voice
        self._gap_s = gap_s

    def speak(self, narration: Narration) -> SpokenText:
        """Return a narration as the voice speaks it: each of its lines is a part."""
        sounds, words, at = list[Samples](), list[Word](), 0
        lines = narration.text.split("\n")
        parts = [self._voice.speak(line) for line in lines]
        rate_hz = parts[0].rate_hz
        for line, part in zip(lines, parts, strict=True):
            start_s = Fraction(sum(map(len, sounds)), rate_hz)
            words += [_moved(word, at, start_s) for word in part.words]
            at += len(line) + 1
            is_last = part is parts[-1]
            sounds.append(part.samples if is_last else self._with_gap(part))
        return SpokenText(np.concatenate(sounds), rate_hz, tuple(words), any(part.are_estimated for part in parts))

    def _with_gap(self, part: SpokenText) -> Samples:
        """Return a part's sound, with the silence after its last word."""
        end_s = part.words[-1].end_s
        sound = cut_after(part.samples, part.rate_hz, end_s, tail_s=self._gap_s)
        length = int((end_s + self._gap_s) * part.rate_hz)
        return np.pad(sound, (0, max(0, length - len(sound))))


def _moved(word: Word, by: int, by_s: Fraction) -> Word:
    return replace(word, at=word.at + by, start_s=word.start_s + by_s, end_s=word.end_s + by_s)
