"""Narrations become speech, each once: what was spoken before is found by all that makes it sound as it does."""

import hashlib
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from pipelines.common.errors import InterruptedRunError, Problem, StoryboardError
from pipelines.common.files import hash_file
from pipelines.storyboard.model import Narration, Place, Storyboard
from pipelines.storyboard.speech import Speech
from pipelines.voice.choice import ChosenSpeaker, choose_recordings, choose_voice
from pipelines.voice.errors import LanguageError, SlowVoiceError, VoiceError, VoiceStoppedError
from pipelines.voice.observer import SpeechObserver
from pipelines.voice.store import SpeechStore

# Of all that is done to speech before it is kept; it counts in every key.
_VERSION = 2


def speak_narrations(board: Storyboard, folder: Path, observer: SpeechObserver) -> tuple[Speech, ...]:
    """Return the speech of each of a storyboard's narrations; see `speech.speak`."""
    chosen = _choose_speakers(board)
    keys = _keys(board, chosen)
    store = SpeechStore(folder)
    found = {key: store.find(key) for key in keys}
    missing = {key: narration for key, narration in zip(keys, board.narrations, strict=True) if not found[key]}
    if missing:
        found |= _Speaking(board, chosen, store, observer).speak(missing)
    return tuple(speech for key in keys if (speech := found[key]))


def _is_recorded(narration: Narration) -> bool:
    return narration.recording is not None


def _choose_speakers(board: Storyboard) -> dict[bool, ChosenSpeaker]:
    """Return who speaks a storyboard's narrations: those that are recorded, and those that are not."""
    chosen, problems = {}, []
    for is_recorded in sorted({_is_recorded(narration) for narration in board.narrations}):
        first = next(narration for narration in board.narrations if _is_recorded(narration) == is_recorded)
        try:
            if is_recorded:
                chosen[True] = choose_recordings(board.narrator)
            else:
                chosen[False] = choose_voice(board.narrator, board.path.absolute().parent)
        except LanguageError as exc:
            problems.append(board.narrator.language_place.problem(board.path, str(exc)))
        except VoiceError as exc:
            place = first.recording_place or board.narrator.place
            problems.append(place.problem(board.path, str(exc)))
    _require_none(problems)
    return chosen


def _keys(board: Storyboard, chosen: Mapping[bool, ChosenSpeaker]) -> list[str]:
    """Return for each narration the hex sha-256 of all that makes it sound as it does."""
    keys, problems = [], []
    for narration in board.narrations:
        identity = chosen[_is_recorded(narration)].identity
        # Only what has parts has silence between them.
        gap_s = board.narrator.gap_s if "\n" in narration.text else None
        try:
            content = hash_file(narration.recording) if narration.recording else None
        except OSError as exc:
            message = f"{narration.recording}: cannot be read: {exc.strerror or exc}; put it there, or correct the name"
            problems.append(_place(narration).problem(board.path, message))
            continue
        keys.append(hashlib.sha256(repr((_VERSION, narration.text, identity, gap_s, content)).encode()).hexdigest())
    _require_none(problems)
    return keys


@dataclass(frozen=True, slots=True)
class _Speaking:
    """Has narrations spoken, side by side, and keeps them."""

    board: Storyboard
    chosen: Mapping[bool, ChosenSpeaker]
    store: SpeechStore
    observer: SpeechObserver

    def speak(self, missing: Mapping[str, Narration]) -> dict[str, Speech | None]:
        """Return the speech of narrations, each by its key.

        Raises:
            StoryboardError: some cannot be spoken.
            StorageError: speech could not be kept.
            InterruptedRunError: it was stopped.
        """
        needed = {_is_recorded(narration) for narration in missing.values()}
        stop = self.observer.expect(len(missing))
        speakers = {is_recorded: self.chosen[is_recorded].load(stop) for is_recorded in needed}
        problems: list[Problem] = []

        def speak_one(key: str, narration: Narration) -> Speech | None:
            try:
                if not stop.is_set():
                    return self.store.keep(key, speakers[_is_recorded(narration)].speak(narration))
            except VoiceStoppedError:
                pass
            except VoiceError as exc:
                problems.append(_place(narration).problem(self.board.path, str(exc)))
                # It would take as long for each of a thousand narrations.
                if isinstance(exc, SlowVoiceError):
                    stop.set()
            finally:
                self.observer.count()
            return None

        spoken = _side_by_side(speak_one, missing, stop)
        _require_none(problems)
        if stop.is_set():
            raise InterruptedRunError
        return spoken


def _side_by_side(
    speak_one: Callable[[str, Narration], Speech | None], missing: Mapping[str, Narration], stop: Event
) -> dict[str, Speech | None]:
    # As many at once as there are processors.
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        try:
            return dict(zip(missing, threads.map(speak_one, missing, missing.values()), strict=True))
        except BaseException:
            # Ctrl-C too: the threads are awaited, so they have to end.
            stop.set()
            raise


def _require_none(problems: list[Problem]) -> None:
    if problems:
        raise StoryboardError(sorted(problems, key=lambda problem: problem.position))


def _place(narration: Narration) -> Place:
    """Return where to look if a narration cannot be spoken."""
    return narration.recording_place or narration.place
