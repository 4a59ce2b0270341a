"""Speech: a voice's recording of a narration, with the time of each of its words."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a narration, as it is written, with the punctuation that clings to it.

    Attributes:
        text: the word.
        at: where it begins in the narration's text, in characters.
        start_s, end_s: exact seconds from where the speech begins.
    """

    text: str
    at: int
    start_s: Fraction
    end_s: Fraction


@dataclass(frozen=True, slots=True)
class Speech:
    """A recording of a narration.

    Attributes:
        key: hex sha-256 of all that it was made of: other words or another voice have another key.
        file: a sound file, with the voice from its beginning on.
        length_s: exact seconds, up to the end of the last word.
        words: in their order, none before the one before it has ended.
        are_estimated: the words' times are not the voice's own, but shared out by their letters.
    """

    key: str
    file: Path = field(repr=False)
    length_s: Fraction
    words: tuple[Word, ...]
    are_estimated: bool = False
