"""The voice that a storyboard names, if it is here."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from pipelines.storyboard.model import Narrator
from pipelines.storyboard.voices import BUILT_IN_VOICE
from pipelines.voice.voices import Voice, VoiceError


@dataclass(frozen=True, slots=True)
class ChosenVoice:
    """A voice that is here.

    Attributes:
        identity: its name and version, and whatever else changes how it sounds: with another, it sounds otherwise.
        load: makes it ready to speak, which may take a second.
    """

    identity: str
    load: Callable[[], Voice]


def choose_voice(narrator: Narrator) -> ChosenVoice:
    """Return the voice of a storyboard.

    Raises:
        VoiceError: it is not here, or does not speak the storyboard's language.
    """
    if narrator.voice != BUILT_IN_VOICE:
        raise VoiceError(f"there is no voice {narrator.voice!r}")
    try:
        built_in = version("hibari-tts")
    except PackageNotFoundError as exc:
        raise VoiceError(f"{BUILT_IN_VOICE} is not installed; pip install 'storyreel[voice]', or name another") from exc

    def load() -> Voice:
        # Only where something is to be spoken: it takes long to import.
        from pipelines.voice.hibari import HibariVoice

        return HibariVoice(speed=narrator.speed, say=dict(narrator.say))

    return ChosenVoice(repr((BUILT_IN_VOICE, built_in, narrator.speed, narrator.say)), load)
