"""Why a text cannot be spoken."""

from pipelines.common.errors import StoryreelError


class VoiceError(StoryreelError):
    """A text cannot be spoken, or there is no such voice here; the message says why, and the cure."""


class LanguageError(VoiceError):
    """A voice does not speak the storyboard's language."""


class VoiceStoppedError(VoiceError):
    """A voice was stopped while it spoke."""


class SlowVoiceError(VoiceError):
    """A voice does not come to an end; asking it for more would take as long again."""
