"""The plan of a storyboard that speaks: holds and captions go by the voice."""

import asyncio
from pathlib import Path

from pipelines.common.settings import Settings
from pipelines.storyboard.model import Storyboard
from pipelines.storyboard.plan import Plan, plan_of
from pipelines.storyboard.speech import Speech
from pipelines.voice.observer import SpeechObserver
from pipelines.voice.speech import speak

# Of a storyboard's folder.
VOICE_FOLDER = "voice"


def plan_spoken(board: Storyboard, settings: Settings, *, observer: SpeechObserver | None = None) -> Plan:
    """Speak a storyboard's narrations where they are missing, and plan it; see `plan_of`. Blocking.

    Args:
        board: the storyboard.
        settings: say which model is asked, and where its speech is kept.
        observer: sees what is spoken, and may stop it.

    Raises:
        StoryboardError: a narration cannot be spoken.
        StorageError: speech could not be written.
        InterruptedRunError: the speaking was stopped.
        UsageError: the price list is wrong.
    """
    return plan_of(board, settings, speeches=speak(board, voice_folder(board, settings), observer=observer))


async def speak_in_thread(
    board: Storyboard, settings: Settings, *, observer: SpeechObserver | None = None
) -> tuple[Speech, ...]:
    """Speak a storyboard's narrations where they are missing, in a thread, which ends soon after a cancellation.

    Raises:
        StoryboardError: a narration cannot be spoken.
        StorageError: speech could not be written.
    """
    observer = observer or SpeechObserver()
    try:
        return await asyncio.to_thread(speak, board, voice_folder(board, settings), observer=observer)
    except asyncio.CancelledError:
        # The event loop awaits the thread as it ends.
        observer.stop()
        raise


def voice_folder(board: Storyboard, settings: Settings) -> Path:
    """Return where a storyboard's speech is kept."""
    return settings.output / board.id / VOICE_FOLDER
