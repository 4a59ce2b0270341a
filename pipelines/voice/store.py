"""Speech that is kept in a folder: for each key the sound, and the times of its words."""

import contextlib
import hashlib
import json
import time
from collections.abc import Collection, Iterator
from fractions import Fraction
from pathlib import Path

import filelock

from pipelines.common.files import hash_file, storage_errors, write_atomic
from pipelines.storyboard.speech import Speech, Word
from pipelines.voice.sound import wav_bytes
from pipelines.voice.voices import SpokenText

_SUFFIXES = (".wav", ".json")
# Younger ones may be of a command that is still at work.
_LEAST_AGE_S = 24 * 3600


class SpeechStore:
    """Speech in a folder. Several threads and processes may keep some there at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: str) -> Speech | None:
        """Return a speech that is kept; None where there is none, or it is not whole."""
        sound = self._folder / f"{key}.wav"
        try:
            kept = json.loads((self._folder / f"{key}.json").read_bytes())
            if hash_file(sound) != kept["sha256"]:
                return None
            words = [Word(text, at, Fraction(start_s), Fraction(end_s)) for text, at, start_s, end_s in kept["words"]]
            return Speech(key, sound, Fraction(kept["length_s"]), tuple(words), kept["are_estimated"])
        except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
            # Not there, or damaged: it is spoken anew.
            return None

    def keep(self, key: str, spoken: SpokenText) -> Speech:
        """Keep a speech, and return it; where another process has kept one meanwhile, that one.

        Raises:
            StorageError: it could not be written.
        """
        with self._locked():
            if found := self.find(key):
                return found
            length_s = Fraction(len(spoken.samples), spoken.rate_hz)
            speech = Speech(key, self._folder / f"{key}.wav", length_s, spoken.words, spoken.are_estimated)
            sound = wav_bytes(spoken.samples, spoken.rate_hz)
            write_atomic(speech.file, sound)
            # Last: with it, the speech is whole.
            write_atomic(self._folder / f"{key}.json", _description(speech, sound))
            return speech

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep others from writing to the folder for as long as the block lasts.

        Raises:
            StorageError: the folder cannot be written to.
        """
        with storage_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self._folder / ".lock")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


def _description(speech: Speech, sound: bytes) -> bytes:
    """Return what is kept of a speech beside its sound, as JSON."""
    kept = {
        "sha256": hashlib.sha256(sound).hexdigest(),
        "length_s": str(speech.length_s),
        "are_estimated": speech.are_estimated,
        "words": [(word.text, word.at, str(word.start_s), str(word.end_s)) for word in speech.words],
    }
    return json.dumps(kept, ensure_ascii=False).encode()


def drop_unused_speech(folder: Path, used: Collection[str]) -> None:
    """Delete speech that no film uses and that has been there for more than a day.

    Args:
        folder: where speech is kept.
        used: the keys of what stays.

    Raises:
        StorageError: some could not be deleted.
    """
    if not folder.is_dir():
        return
    latest = time.time() - _LEAST_AGE_S
    with storage_errors(folder):
        for file in folder.iterdir():
            if file.suffix in _SUFFIXES and file.stem not in used and file.stat().st_mtime < latest:
                file.unlink(missing_ok=True)
