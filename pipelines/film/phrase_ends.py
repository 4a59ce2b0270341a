"""What ends with each word of a narration: a sentence, a clause, or less; by its signs, and by its voice."""

import re
from collections.abc import Iterator, Sequence
from enum import IntEnum
from fractions import Fraction

from pipelines.common.lettering.segmentation import sentence_breaks
from pipelines.storyboard.speech import Word

# A silence of which nothing but the end of a sentence is the reason.
_PAUSE_S = Fraction(4, 5)
# One that a voice makes where something ends, whether or not that is written: between two lines, for instance.
_BREATH_S = Fraction(1, 4)
_CLAUSE_END = re.compile(r"[,\u060c\u3001\uff0c]\W*$")
_HALF_STOP = re.compile(r"(?:[;:\u2013\u2014\u2026\u061b\uff1b\uff1a]|--|\.\.\.)\W*$")
# Full stops behind these end no sentence; nor does one behind an initial.
_ABBREVIATION = re.compile(r"\W*(mr|mrs|ms|dr|st|prof|vs|[^\W\d_])\.", re.IGNORECASE)
# Of so few letters, a word mostly belongs to the ones after it: an article, a preposition, a conjunction.
_SHORT_WORD = 3


class End(IntEnum):
    """What ends with a word; the higher, the better a phrase or a line may end there."""

    SHORT_WORD = 0
    WORD = 1
    GROUP = 2
    CLAUSE = 3
    HALF_STOP = 4
    SENTENCE = 5


def ends_of(words: Sequence[Word], joints: Sequence[str], text: str, language: str | None) -> Iterator[End]:
    """Yield what ends with each word.

    Args:
        words: what is spoken.
        joints: what stands before each word: a space, or nothing.
        text: all of it, joined.
        language: of it, as a BCP 47 tag; None where it is not known.
    """
    sentences = set(sentence_breaks(text, language))
    # Where words are not separated by spaces, a space separates more than words.
    spaced = 2 * sum(map(bool, joints)) >= len(joints)
    place = 0
    for word, joint, (following, next_joint) in zip(words, joints, _followed(words, joints), strict=True):
        place += len(joint) + len(word.text)
        if following is None or following.start_s - word.end_s >= _PAUSE_S:
            yield End.SENTENCE
        elif not sentences.isdisjoint((place, place + len(next_joint))) and not _ABBREVIATION.fullmatch(word.text):
            # "Who is there?" he asked.
            yield End.CLAUSE if following.text[:1].islower() else End.SENTENCE
        elif _HALF_STOP.search(word.text):
            yield End.HALF_STOP
        elif (
            _CLAUSE_END.search(word.text) or following.start_s - word.end_s >= _BREATH_S or (next_joint and not spaced)
        ):
            yield End.CLAUSE
        else:
            yield _word_end(word.text, following.text) if spaced else End.WORD


def _word_end(word: str, following: str) -> End:
    if len(word) <= _SHORT_WORD:
        return End.SHORT_WORD
    return End.GROUP if len(following) <= _SHORT_WORD and following.isalpha() else End.WORD


def _followed(words: Sequence[Word], joints: Sequence[str]) -> list[tuple[Word | None, str]]:
    """Return the word after each, and what joins it."""
    return [*zip(words[1:], joints[1:], strict=True), (None, "")]
