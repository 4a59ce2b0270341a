"""Recordings of narrations."""

from pipelines.storyboard.model import Narration
from pipelines.voice.errors import VoiceError
from pipelines.voice.listening import Listener
from pipelines.voice.sound import read_sound
from pipelines.voice.voices import SpokenText

# The longest text takes as long to be said.
_LONGEST_S = 3600


class Recordings:
    """Narrations that were recorded; see `Speaker`."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def speak(self, narration: Narration) -> SpokenText:
        """Return a narration as it is spoken in its recording."""
        assert narration.recording is not None
        try:
            return self._listener.listen(narration.text, read_sound(narration.recording, longest_s=_LONGEST_S))
        except VoiceError as exc:
            raise VoiceError(f"{narration.recording}: {exc}; use a sound file in which the text is spoken") from exc
