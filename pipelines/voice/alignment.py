"""Alignment: where in a sound the words of a text are spoken."""

import math
import re
import sys
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate, pairwise

import numpy as np
from pocketsphinx import Decoder, Segment

from pipelines.storyboard.speech import Word
from pipelines.voice.english import English, sentences
from pipelines.voice.sound import RATE_HZ, STEPS_A_SECOND, heard_steps
from pipelines.voice.timing import TimedText, timed_words, words_in
from pipelines.voice.voices import Samples

_MODEL_HZ = 16_000
_FRAMES_A_SECOND = 100
# Of its low-pass, in samples of the sound: enough for sounds of speech.
_TAPS = 63
# hibari's letters for sounds, in those of pocketsphinx's model (ARPABET).
_ARPABET = {
    "əɹ": "ER", "ɜɹ": "ER", "A": "EY", "I": "AY", "O": "OW", "Q": "OW", "W": "AW", "Y": "OY", "a": "AE", "e": "EH",
    "i": "IY", "o": "OW", "u": "UW", "æ": "AE", "ɐ": "AH", "ɑ": "AA", "ɒ": "AA", "ɔ": "AO", "ə": "AH", "ɚ": "ER",
    "ɛ": "EH", "ɜ": "ER", "ɪ": "IH", "ʊ": "UH", "ʌ": "AH", "ᵊ": "AH", "ᵻ": "IH", "b": "B", "d": "D", "f": "F",
    "h": "HH", "j": "Y", "k": "K", "l": "L", "m": "M", "n": "N", "p": "P", "r": "R", "s": "S", "t": "T", "v": "V",
    "w": "W", "x": "K", "z": "Z", "T": "T", "ð": "DH", "ŋ": "NG", "ɡ": "G", "ɹ": "R", "ɾ": "T", "ʃ": "SH", "ʒ": "ZH",
    "ʤ": "JH", "ʧ": "CH", "θ": "TH",
}  # fmt: skip
_SOUND = re.compile("|".join(_ARPABET))
# Before the name of a word.
_MARK = "="
# Wider than its own: what is heard may be noisy, or of a voice that the model does not know.
_BEAM, _WORD_BEAM = 1e-80, 1e-60
# By the model's scores, as natural logarithms for each of its frames, beside those of the sounds that fit best. Words
# that are spoken have -1 to -1.5, in noise of 10 dB below them -2.8; others -5.5 and less.
_LEAST_LIKENESS = -4.0
# A word of the text is drawn out no longer: else it holds others, which the text has not.
_LONGEST_S = 0.7
_LONGEST_S_A_SOUND = 0.2
# Of all that is heard, at least so much is in the words.
_LEAST_COVERED = 0.6


class Aligner:
    """Finds English words in sounds, by a model of how they sound. Several threads may use it at once."""

    def __init__(self) -> None:
        self._english = English()

    def align(self, text: str, samples: Samples, *, said: str) -> list[Word] | None:
        """Return the words of a text with the times at which they are spoken; None where they are not found.

        Args:
            text: the words as they are written.
            samples: the sound in which they are spoken, at `RATE_HZ`.
            said: the words as they are spoken.
        """
        spoken = [word for _, sentence in sentences(said) for word in self._english.words(sentence)]
        # Numbers, for instance, are several words for the recognizer.
        parts = [[part for said in word.phonemes.split() if (part := _arpabet(said))] for word in spoken]
        times = _find([part for of_word in parts for part in of_word], samples)
        if not times:
            return None
        places = accumulate(map(len, parts), initial=0)
        timed = [
            TimedText(word.text, times[first].start_s, times[last - 1].end_s)
            for word, (first, last) in zip(spoken, pairwise(places), strict=True)
            if last > first
        ]
        return timed_words(words_in(text), timed)


def _arpabet(phonemes: str) -> str:
    """Return a word's sounds as pocketsphinx's model has them; an empty text where there are none."""
    return " ".join(_ARPABET[sound] for sound in _SOUND.findall(phonemes))


def _find(words: Sequence[str], samples: Samples) -> list[TimedText] | None:
    """Return where words, given by their sounds, are heard one after another; None where they are not."""
    if not words:
        return None
    decoder = Decoder(lm=None, cmn="batch", loglevel="FATAL", beam=_BEAM, pbeam=_BEAM, wbeam=_WORD_BEAM)
    for sounds in set(words):
        decoder.add_word(_name(sounds), sounds, update=False)
    decoder.set_align_text(" ".join(map(_name, words)))
    decoder.start_utt()
    decoder.process_raw(_for_model(samples), full_utt=True)
    decoder.end_utt()
    if decoder.hyp() is None:
        return None
    # Between them it also finds pauses.
    segments = [segment for segment in decoder.seg() if segment.word.startswith(_MARK)]
    if len(segments) != len(words) or not _is_alike(segments):
        return None
    found = [TimedText(sounds, *_times(segment)) for sounds, segment in zip(words, segments, strict=True)]
    return found if _are_likely(found, samples) else None


def _times(segment: Segment) -> tuple[Fraction, Fraction]:
    return Fraction(segment.start_frame, _FRAMES_A_SECOND), Fraction(segment.end_frame + 1, _FRAMES_A_SECOND)


def _is_alike(segments: Sequence[Segment]) -> bool:
    """Return whether what is heard sounds like the words that were sought in it."""
    likeness = sum(math.log(max(segment.ascore, sys.float_info.min)) for segment in segments)
    return bool(likeness >= _LEAST_LIKENESS * sum(segment.end_frame - segment.start_frame + 1 for segment in segments))


def _name(sounds: str) -> str:
    """Return a name for a word that no dictionary has."""
    return _MARK + sounds.replace(" ", "_")


def _for_model(samples: Samples) -> bytes:
    """Return a sound as the model takes it: 16 bits at 16 kHz."""
    factor = RATE_HZ // _MODEL_HZ
    places = np.arange(_TAPS) - _TAPS // 2
    low_pass = np.sinc(places / factor) * np.hamming(_TAPS)
    filtered = np.convolve(samples, (low_pass / low_pass.sum()).astype(np.float32), "same")[::factor]
    return (np.clip(filtered, -1, 1) * 32767).astype("<i2").tobytes()


def _are_likely(found: Sequence[TimedText], samples: Samples) -> bool:
    """Return whether words may be all that is spoken in a sound: none far too long, little heard between them."""
    if any(word.end_s - word.start_s > _LONGEST_S + _LONGEST_S_A_SOUND * len(word.text.split()) for word in found):
        return False
    heard = heard_steps(samples, RATE_HZ)
    covered = np.zeros_like(heard)
    for word in found:
        covered[int(word.start_s * STEPS_A_SECOND) : int(word.end_s * STEPS_A_SECOND)] = True
    return int((heard & covered).sum()) >= _LEAST_COVERED * int(heard.sum())
