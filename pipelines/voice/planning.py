"""The plan of a storyboard that speaks: holds and captions go by the voice."""

from pathlib import Path

from pipelines.common.settings import Settings
from pipelines.storyboard.model import Storyboard
from pipelines.storyboard.plan import Plan, plan_of
from pipelines.voice.speech import speak

# Of a storyboard's folder.
VOICE_FOLDER = "voice"


def plan_spoken(board: Storyboard, settings: Settings) -> Plan:
    """Speak a storyboard's narrations where they are missing, and plan it; see `plan_of`. Blocking.

    Raises:
        StoryboardError: a narration cannot be spoken.
        StorageError: speech could not be written.
        UsageError: the price list is wrong.
    """
    return plan_of(board, settings, speeches=speak(board, voice_folder(board, settings)))


def voice_folder(board: Storyboard, settings: Settings) -> Path:
    """Return where a storyboard's speech is kept."""
    return settings.output / board.id / VOICE_FOLDER
