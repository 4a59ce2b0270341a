"""Times of written words, from those of what was spoken in their place."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from fractions import Fraction
from itertools import accumulate, pairwise

from pipelines.common.lettering.segmentation import split_unspaced
from pipelines.common.visible_text import shows_nothing
from pipelines.storyboard.speech import Word

_PUNCTUATION = re.compile(r"\W+")


@dataclass(frozen=True, slots=True)
class WrittenWord:
    """A word as it is written, and where it begins in its text, in characters."""

    text: str
    at: int

    @property
    def weight(self) -> int:
        """How much of the time of several words is its own, in letters; at least one."""
        return max(1, len(_PUNCTUATION.sub("", self.text)))


@dataclass(frozen=True, slots=True)
class TimedText:
    """Something that was spoken, and when, in exact seconds."""

    text: str
    start_s: Fraction
    end_s: Fraction


def words_in(text: str) -> list[WrittenWord]:
    """Return the words of a text that show something: what stands between spaces, or without any, ICU's words."""
    return [word for match in re.finditer(r"\S+", text) for word in _words_of(match[0], match.start())]


def _words_of(unspaced: str, at: int) -> Iterator[WrittenWord]:
    for word in [unspaced] if unspaced.isascii() else split_unspaced(unspaced):
        if not shows_nothing(word):
            yield WrittenWord(word, at)
        at += len(word)


def timed_words(written: Sequence[WrittenWord], spoken: Sequence[TimedText]) -> list[Word]:
    """Return written words with the times at which they are spoken.

    What was spoken may differ: `$9.99` has become five words, `Dr.` one other. Words that are the same are paired (by
    difflib's longest matching runs), and what lies between two pairs belongs together.

    Args:
        written: the words of a text.
        spoken: what was spoken, in order; at least one.
    """
    matcher = SequenceMatcher(None, [_key(word.text) for word in written], [_key(word.text) for word in spoken], False)
    words: list[Word] = []
    end_s = spoken[0].start_s
    for _, first, last, start, end in matcher.get_opcodes():
        of_block = spoken[start:end]
        if not of_block:
            # Written and not spoken, a lone dash for instance: it takes no time.
            of_block = [TimedText("", end_s, end_s)]
        end_s = of_block[-1].end_s
        if first == last and words:
            # Spoken and not written: the word before it goes on.
            words[-1] = Word(words[-1].text, words[-1].at, words[-1].start_s, end_s)
        words += _block(written[first:last], of_block)
    return words


def _block(written: Sequence[WrittenWord], spoken: Sequence[TimedText]) -> Iterator[Word]:
    if len(written) == len(spoken):
        for word, said in zip(written, spoken, strict=True):
            yield Word(word.text, word.at, said.start_s, said.end_s)
        return
    yield from share_out(written, spoken[0].start_s, spoken[-1].end_s)


def share_out(written: Sequence[WrittenWord], start_s: Fraction, end_s: Fraction) -> Iterator[Word]:
    """Yield words that together take the time from `start_s` to `end_s`, each as much as it has letters."""
    ends = list(accumulate((word.weight for word in written), initial=0))
    times = [start_s + (end_s - start_s) * Fraction(end, ends[-1]) for end in ends] if written else []
    for word, (start, end) in zip(written, pairwise(times), strict=True):
        yield Word(word.text, word.at, start, end)


def spread_over(written: Sequence[WrittenWord], stretches: Sequence[tuple[Fraction, Fraction]]) -> list[Word]:
    """Return words shared out by their letters over stretches of time, without what lies between these.

    Args:
        written: the words.
        stretches: the start and the end of each, in exact seconds, in order; at least one.
    """
    lengths_s = [end_s - start_s for start_s, end_s in stretches]
    passed_s = list(accumulate(lengths_s, initial=Fraction(0)))

    def at(time_s: Fraction, bisect: Callable[[Sequence[Fraction], Fraction], int]) -> Fraction:
        number = min(max(bisect(passed_s, time_s) - 1, 0), len(stretches) - 1)
        return stretches[number][0] + time_s - passed_s[number]

    # A word that begins where a stretch ends begins with the next; one that ends there does not last until then.
    return [
        Word(word.text, word.at, at(word.start_s, bisect_right), at(word.end_s, bisect_left))
        for word in share_out(written, Fraction(0), passed_s[-1])
    ]


def _key(text: str) -> str:
    # A word of signs alone is itself.
    return _PUNCTUATION.sub("", text).casefold() or text
