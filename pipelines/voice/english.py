"""English as it is read aloud: the words of a sentence, each with the sounds that it is made of."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hibari.g2p import ASSETS, G2P
from hibari.g2p.normalize import ABBREV, TITLES, normalize

from pipelines.voice.reading import as_read

# What ends a sentence, with the quotes and brackets that close behind it.
_SENTENCE_END = re.compile(r"[.!?…]+[\"”\u2019)\]]*\s+(?=\S)")
_OPENING = "(\"“'\u2018["
# Before what they belong to, never at the end of a sentence.
_NEVER_LAST = frozenset({*TITLES, "No", "Nos", "no", "nos", "vs", "approx", "Fig", "fig", "Vol", "vol", "cf", "pp"})
_INITIAL = re.compile(r"[A-Z]")
# Of a longer word nobody knows how it is pronounced; and the time that it takes to guess grows with its square.
_MAX_LETTERS = 40
_LONG_WORD = re.compile(rf"[^\W\d_]{{{_MAX_LETTERS}}}(?=[^\W\d_])")


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word as it is spoken.

    Attributes:
        text: the word, perhaps with punctuation: `dollars,`.
        phonemes: its sounds in hibari's letters; a space between those of several words, punctuation where it pauses.
    """

    text: str
    phonemes: str


class English:
    """Knows how English is pronounced. Several threads may ask it at once."""

    def __init__(self) -> None:
        # Loads its dictionaries, in about half a second.
        self._g2p = G2P()
        self._known = frozenset(json.loads(Path(ASSETS, "vocab.json").read_text(encoding="utf-8")))

    def words(self, sentence: str) -> list[SpokenWord]:
        """Return the words of a sentence as they are spoken; none where nothing of it can be spoken."""
        text = normalize(as_read(_LONG_WORD.sub(r"\g<0> ", sentence)))
        words = [("", "")]
        for token in self._g2p.phonemize_tokens(self._g2p.tokenize(text)):
            written, phonemes = words.pop()
            known = "".join(sound for sound in token.phonemes or "" if sound in self._known)
            words.append((written + token.text, phonemes + known))
            if token.whitespace:
                words.append(("", ""))
        return [SpokenWord(written, phonemes.strip()) for written, phonemes in words if phonemes.strip()]


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """Yield the sentences of a text, each with the place where it begins, in characters."""
    start = 0
    for match in _SENTENCE_END.finditer(text):
        if _ends_sentence(text[start : match.end()].rsplit(maxsplit=1)[-1].lstrip(_OPENING), text[match.end()]):
            yield start, text[start : match.end()]
            start = match.end()
    if text[start:].strip():
        yield start, text[start:]


def _ends_sentence(word: str, following: str) -> bool:
    """Return whether a sentence ends with a word that has a full stop, given the letter that follows."""
    bare = word.removesuffix(".")
    if bare == word:
        return not following.islower()
    is_before_number = following.isdigit() and word in ABBREV
    return not (following.islower() or is_before_number or bare in _NEVER_LAST or _INITIAL.fullmatch(bare))
