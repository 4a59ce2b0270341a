"""Narrations become speech, each once: what was spoken before is found by all that makes it sound as it does."""

import hashlib
import io
import json
import os
import wave
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np

from pipelines.common.errors import InterruptedRunError, Problem, StoryboardError
from pipelines.common.files import write_atomic
from pipelines.storyboard.model import Narration, Place, Storyboard
from pipelines.storyboard.speech import Speech, Word
from pipelines.voice.choice import ChosenVoice, choose_voice
from pipelines.voice.observer import SpeechObserver
from pipelines.voice.voices import Samples, SpokenText, Voice, VoiceError

# Of the files; it counts in every key.
_VERSION = 1
# After the last word: its sound dies away.
_TAIL_S = Fraction(3, 20)


def speak(board: Storyboard, folder: Path, *, observer: SpeechObserver | None = None) -> tuple[Speech, ...]:
    """Return the speech of each of a storyboard's narrations. Blocking: what is missing is spoken.

    Args:
        board: the storyboard.
        folder: where speech is kept.
        observer: sees what is spoken, and may stop it.

    Raises:
        InterruptedRunError: it was stopped; what was spoken before is kept.
        StoryboardError: there is no such voice here, or it cannot speak a narration; each is named with its place.
        StorageError: it could not be written.
    """
    if not board.narrations:
        return ()
    try:
        chosen = choose_voice(board.narrator)
    except VoiceError as exc:
        raise StoryboardError([_problem(board, board.narrator.place, str(exc))]) from exc
    store = SpeechStore(folder)
    keys = [speech_key(narration, chosen) for narration in board.narrations]
    found = {key: store.find(key) for key in keys}
    missing = {key: narration for key, narration in zip(keys, board.narrations, strict=True) if not found[key]}
    if missing:
        found |= _spoken(missing, chosen.load(), store, board, observer or SpeechObserver())
    return tuple(speech for key in keys if (speech := found[key]))


def speech_key(narration: Narration, chosen: ChosenVoice) -> str:
    """Return the hex sha-256 of all that makes a narration sound as it does."""
    return hashlib.sha256(repr((_VERSION, narration.text, chosen.identity)).encode()).hexdigest()


def _spoken(
    missing: dict[str, Narration], voice: Voice, store: "SpeechStore", board: Storyboard, observer: SpeechObserver
) -> dict[str, Speech | None]:
    """Speak narrations side by side, and keep them; return each by its key."""
    problems: list[Problem] = []

    def speak_one(key: str, narration: Narration) -> Speech | None:
        if observer.stopped:
            raise InterruptedRunError
        try:
            return store.keep(key, voice.speak(narration.text))
        except VoiceError as exc:
            problems.append(_problem(board, narration.place, str(exc)))
            return None
        finally:
            observer.count()

    observer.expect(len(missing))
    with ThreadPoolExecutor(os.cpu_count()) as threads, observer.stopped_by_interruption():
        spoken = dict(zip(missing, threads.map(speak_one, missing, missing.values()), strict=True))
    if problems:
        raise StoryboardError(sorted(problems, key=lambda problem: problem.position))
    return spoken


def _problem(board: Storyboard, place: Place, message: str) -> Problem:
    return Problem(str(board.path), place.line, place.column, place.where, message)


class SpeechStore:
    """Speech in a folder: for each key the sound, and the times of its words."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: str) -> Speech | None:
        """Return a speech that is kept; None where there is none."""
        sound = self._folder / f"{key}.wav"
        try:
            kept = json.loads((self._folder / f"{key}.json").read_bytes())
            words = [Word(text, at, Fraction(start_s), Fraction(end_s)) for text, at, start_s, end_s in kept["words"]]
            return Speech(key, sound, Fraction(kept["length_s"]), tuple(words), kept["are_estimated"])
        except (OSError, ValueError, KeyError, TypeError):
            # Not there, or not whole: it is spoken anew.
            return None

    def keep(self, key: str, spoken: SpokenText) -> Speech:
        """Keep a speech.

        Raises:
            StorageError: it could not be written.
        """
        length_s = min(spoken.words[-1].end_s + _TAIL_S, Fraction(len(spoken.samples), spoken.rate_hz))
        speech = Speech(key, self._folder / f"{key}.wav", length_s, spoken.words, spoken.are_estimated)
        write_atomic(speech.file, wav_bytes(spoken.samples[: int(length_s * spoken.rate_hz)], spoken.rate_hz))
        # Last: with it, the speech is whole.
        words = [(word.text, word.at, str(word.start_s), str(word.end_s)) for word in spoken.words]
        kept = {"length_s": str(length_s), "are_estimated": spoken.are_estimated, "words": words}
        write_atomic(self._folder / f"{key}.json", json.dumps(kept, ensure_ascii=False).encode())
        return speech


def wav_bytes(samples: Samples, rate_hz: int) -> bytes:
    """Return samples as a WAV file of 16 bits."""
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return data.getvalue()
