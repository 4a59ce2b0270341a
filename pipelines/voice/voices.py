"""What a voice is: text becomes sound, and it is known when each word is spoken."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipelines.common.errors import StoryreelError
from pipelines.storyboard.model import Narration
from pipelines.storyboard.speech import Word

# One channel, from -1 to 1.
Samples = npt.NDArray[np.float32]


class VoiceError(StoryreelError):
    """A text cannot be spoken, or there is no such voice here; the message says why, and the cure."""


class SlowVoiceError(VoiceError):
    """A voice does not come to an end; asking it for more would take as long again."""


@dataclass(frozen=True, slots=True)
class SpokenText:
    """A text as it was spoken.

    Attributes:
        samples: the sound, with the voice from its beginning on, and cut a little after the last of it.
        rate_hz: samples a second.
        words: those of the text, in order.
        are_estimated: the words' times are not known from the voice, but shared out by their letters.
    """

    samples: Samples
    rate_hz: int
    words: tuple[Word, ...]
    are_estimated: bool = False


class Voice(Protocol):
    """Speaks texts; called from several threads at once."""

    def speak(self, text: str) -> SpokenText:
        """Speak a text.

        Raises:
            VoiceError: it cannot.
        """
        ...


class Speaker(Protocol):
    """Has narrations spoken; called from several threads at once."""

    def speak(self, narration: Narration) -> SpokenText:
        """Return a narration as it is spoken.

        Raises:
            VoiceError: it cannot be.
        """
        ...
