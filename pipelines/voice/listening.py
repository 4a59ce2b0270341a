"""Words of a sound of which only the text is known: they are found in it, or else their times are estimated."""

from typing import TYPE_CHECKING

from pipelines.storyboard.speech import Word
from pipelines.voice.errors import VoiceError
from pipelines.voice.sound import RATE_HZ, cut_after, heard_stretches
from pipelines.voice.timing import spread_over, words_in
from pipelines.voice.unspeakable import is_english_text
from pipelines.voice.voices import Samples, SpokenText

if TYPE_CHECKING:
    from pipelines.voice.alignment import Aligner


class Listener:
    """Tells when the words of a text are spoken in a sound. Several threads may ask it at once."""

    def __init__(self, aligner: "Aligner | None") -> None:
        """Take what finds English words; None where the language is another."""
        self._aligner = aligner

    def listen(self, text: str, samples: Samples, *, said: str | None = None) -> SpokenText:
        """Return a text as it is spoken in a sound.

        Args:
            text: the words as they are written.
            samples: the sound, at `RATE_HZ`.
            said: the words as they are spoken, where they are others.

        Raises:
            VoiceError: nothing is heard in the sound, or there are no words.
        """
        heard = heard_stretches(samples, RATE_HZ)
        if not heard:
            raise VoiceError("is silent")
        if not words_in(text):
            raise VoiceError("is spoken without words; write them")
        found = self._found(text, samples, said=said or text)
        words = found or spread_over(words_in(text), heard)
        end_s = max(words[-1].end_s, heard[-1][1])
        return SpokenText(cut_after(samples, RATE_HZ, end_s), RATE_HZ, tuple(words), are_estimated=not found)

    def _found(self, text: str, samples: Samples, *, said: str) -> list[Word] | None:
        return self._aligner.align(text, samples, said=said) if self._aligner and is_english_text(said) else None
