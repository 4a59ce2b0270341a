"""The built-in voice."""

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("hibari", reason="the built-in voice is not installed")

from hibari import dsp

from pipelines.voice.errors import VoiceError
from pipelines.voice.hibari import HibariVoice
from pipelines.voice.sayings import Sayings
from pipelines.voice.sound import heard_stretches
from pipelines.voice.voices import SpokenText
from tests.support.speech import hibari_voice

TEXT = "The harbor lay quiet before dawn. A cold wind came off the water, and nobody spoke. Why? It cost $9.99."
HASHING = """
from tests.unit.voice.test_hibari_voice import TEXT, sound_hash
from tests.support.speech import hibari_voice
print(sound_hash(hibari_voice().speak(TEXT)))
"""


def sound_hash(spoken: SpokenText) -> str:
    return hashlib.sha256(spoken.samples.tobytes()).hexdigest()


def test_its_network_tells_how_long_each_sound_lasts() -> None:
    """An inner node does, that is no output of its own: all that it says together is the sound, to the sample."""
    voice = hibari_voice()
    words = voice._english.words("It cost nine dollars, and nobody knew why.")
    phonemes = " ".join(word.phonemes for word in words)

    ids = [0, *(voice._numbers[sound] for sound in phonemes), 0]
    inputs = {"ids": np.asarray([ids], np.int64), "speed": np.asarray([1], np.float32)}
    *spectrum, steps = voice._network.run(None, inputs)

    assert len(steps) == len(ids)
    assert all(step >= 0 and step == int(step) for step in steps)
    sound = dsp.synth(*(part[0] for part in spectrum), np.random.default_rng(0))
    assert int(sum(steps)) * 600 == len(sound)


@pytest.mark.slow
def test_the_same_text_is_the_same_sound() -> None:
    """Again, from several threads at once, and in a process with other settings for its threads."""
    once = sound_hash(hibari_voice().speak(TEXT))

    with ThreadPoolExecutor(4) as threads:
        others = list(threads.map(lambda _: sound_hash(hibari_voice().speak(TEXT)), range(4)))
    environment = {**os.environ, "OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3"}
    elsewhere = subprocess.run(
        [sys.executable, "-c", HASHING], env=environment, capture_output=True, text=True, check=True
    )

    assert [*others, elsewhere.stdout.strip()] == [once] * 5


def test_its_words_have_their_times() -> None:
    """All of them, in order, from the very beginning on; it pauses between sentences as people do."""
    spoken = hibari_voice().speak(TEXT)

    assert [word.text for word in spoken.words] == TEXT.split()
    assert all(TEXT[word.at :].startswith(word.text) for word in spoken.words)
    times = [time for word in spoken.words for time in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert times[-1] <= Fraction(len(spoken.samples), spoken.rate_hz)
    pauses = [
        float(after.start_s - before.end_s) for before, after in pairwise(spoken.words) if before.text[-1] in ".?"
    ]
    assert all(0.3 <= pause <= 0.65 for pause in pauses), pauses


def test_it_begins_at_once_and_ends_with_its_last_word() -> None:
    """So that the voice starts at the cut: at most 50 ms of silence stand before it, and 0.2 s behind."""
    spoken = hibari_voice().speak(TEXT)

    heard = heard_stretches(spoken.samples, spoken.rate_hz)
    assert heard[0][0] <= Fraction(5, 100)
    assert Fraction(len(spoken.samples), spoken.rate_hz) - heard[-1][1] <= Fraction(1, 5)


def test_it_speaks_faster_and_what_it_is_told_to_say() -> None:
    """Speed and sayings change what is heard; the words stay as they are written."""
    fast = HibariVoice(speed=Fraction(2), sayings=Sayings([("Nguyen", "Win"), ("AC/DC", "a c d c")]))

    slowly, spoken = hibari_voice().speak("Win met a c d c."), fast.speak("Nguyen met AC/DC.")

    assert [word.text for word in spoken.words] == ["Nguyen", "met", "AC/DC."]
    assert spoken.words[-1].end_s / slowly.words[-1].end_s == pytest.approx(0.5, abs=0.1)


# Each with the number of its words.
ODD = {
    "one letter": ("a", 1),
    "a word without an end": ("lalo" * 300, 1),
    "a sentence without an end": ("no stop " * 200, 400),
    "many sentences": ("Word. " * 50, 50),
    "marks that show nothing": ("e\u0301 \u0301 \u200b \u200d zero\u200bwidth", 2),
    "signs": ("Hello 🎉 — world ✓", 5),
    "brackets": ("(" * 300 + "deep" + ")" * 300, 1),
    "a number without a name": ("9" * 400, 1),
    "stops": ("really?!?!?! … yes...", 3),
}


@pytest.mark.parametrize(("text", "words"), ODD.values(), ids=ODD.keys())
def test_any_text_is_spoken(text: str, words: int) -> None:
    """One letter, a word without an end, a sentence without one, signs and marks that show nothing."""
    spoken = hibari_voice().speak(text)

    assert len(spoken.words) == words
    assert spoken.words[-1].end_s <= Fraction(len(spoken.samples), spoken.rate_hz)


@pytest.mark.parametrize("text", ["<b>bold</b>", "Привет", "🎉", "\u200b", "\u0301", ""])
def test_what_cannot_be_spoken_is_an_error(text: str) -> None:
    """And no silence."""
    with pytest.raises(VoiceError):
        hibari_voice().speak(text)
