"""The speech of a storyboard's narrations."""

from pathlib import Path

from pipelines.storyboard.model import Storyboard
from pipelines.storyboard.speech import Speech
from pipelines.voice.observer import SpeechObserver


def speak(board: Storyboard, folder: Path, *, observer: SpeechObserver | None = None) -> tuple[Speech, ...]:
    """Return the speech of each of a storyboard's narrations. Blocking: what is missing is spoken.

    Args:
        board: the storyboard.
        folder: where speech is kept.
        observer: sees what is spoken, and may stop it.

    Raises:
        StoryboardError: there is no such voice here, or it cannot speak a narration; each is named with its place.
        StorageError: it could not be written.
        InterruptedRunError: it was stopped; what was spoken before is kept.
    """
    if not board.narrations:
        return ()
    # Only where something is said: it takes long to import.
    from pipelines.voice.speaking import speak_narrations

    return speak_narrations(board, folder, observer or SpeechObserver())
