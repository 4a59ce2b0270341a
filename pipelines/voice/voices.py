"""What a voice is: text becomes sound, and it is known when each word is spoken."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipelines.storyboard.model import Narration
from pipelines.storyboard.speech import Word

# One channel, from -1 to 1.
Samples = npt.NDArray[np.float32]


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
