"""The speech of a storyboard's narrations."""

from pathlib import Path
from threading import Event

from pipelines.storyboard.model import Storyboard
from pipelines.storyboard.speech import Speech


def speak(board: Storyboard, folder: Path, *, stop: Event | None = None) -> tuple[Speech, ...]:
    """Return the speech of each of a storyboard's narrations. Blocking: what is missing is spoken.

    Args:
        board: the storyboard.
        folder: where speech is kept.
        stop: once it is set, what takes long is ended.

    Raises:
        StoryboardError: there is no such voice here, or it cannot speak a narration; each is named with its place.
        StorageError: it could not be written.
        InterruptedRunError: it was stopped.
    """
    if not board.narrations:
        return ()
    # Only where something is said: it takes long to import.
    from pipelines.voice.speaking import speak_narrations

    return speak_narrations(board, folder, stop or Event())
