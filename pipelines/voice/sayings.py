"""What is spoken in the place of a written word, as a storyboard's `say` has it."""

import unicodedata
from collections.abc import Iterable

from pipelines.voice.timing import WrittenWord, words_in

_POSSESSIVES = ("'s", "\u2019s")


class Sayings:
    """Words, and what is spoken in their place; in which case a word is written does not matter."""

    def __init__(self, say: Iterable[tuple[str, str]]) -> None:
        self._spoken = {_bare(word).casefold(): spoken for word, spoken in say}

    def spoken(self, text: str) -> str:
        """Return a text as it is to be spoken."""
        parts, end = [], 0
        for word in words_in(text) if self._spoken else ():
            parts += [text[end : word.at], self._of_word(word)]
            end = word.at + len(word.text)
        return "".join([*parts, text[end:]])

    def _of_word(self, word: WrittenWord) -> str:
        bare = _bare(word.text)
        endings = [ending for ending in _POSSESSIVES if bare.endswith(ending)]
        for ending in ["", *endings]:
            if spoken := self._spoken.get(bare.removesuffix(ending).casefold()):
                return word.text.replace(bare, spoken + ending, 1)
        return word.text


def _bare(word: str) -> str:
    """Return a word without the punctuation around it; all of it where there is nothing else."""
    places = [place for place, character in enumerate(word) if unicodedata.category(character)[0] != "P"]
    return word[places[0] : places[-1] + 1] if places else word
