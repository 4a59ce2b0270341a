"""Narrations broken into phrases: what of them is on screen at a time, in which lines, and from when to when.

A phrase ends with a sentence where it can, else with a clause, else between words; so do its lines. Both are divided
by the least sum of costs, as TeX breaks paragraphs (Knuth and Plass, "Breaking paragraphs into lines", 1981).
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate, pairwise
from math import inf

from pipelines.common.lettering.segmentation import (
    Directions,
    count_columns,
    line_breaks,
    split_letters,
)
from pipelines.film.phrase_ends import End, ends_of
from pipelines.storyboard.speech import Speech, Word

# After its last word, a phrase stays on screen for so long, and for up to so long where the next one then follows:
# for less, nothing need flicker.
_LINGER_S = Fraction(1)
_LONGEST_GAP_S = Fraction(5, 4)
# Bidirectional classes (UAX #9, table 4).
_RIGHT_TO_LEFT = ("R", "AL")
_RIGHT_TO_LEFT_MARK, _LEFT_TO_RIGHT_MARK = "\u200f", "\u200e"


# What it costs to end a phrase or a line so, in the order of the ends.
_PHRASE_END = (10.0, 8.0, 7.0, 1.0, 0.5, 0.0)
_LINE_END = (1.7, 1.2, 0.7, 0.1, 0.05, 0.0)
# Of a phrase: to be one more, to be all but empty, to say a sentence and some of the next, each second of silence
# between these, to be read twice as fast as it may, to be shorter than a video frame, and to be a single word.
_ANOTHER_PHRASE = 1.0
_EMPTY = 4.0
_INNER_SENTENCE = 12.0
_INNER_SECOND = 36.0
_UNREADABLE = 6.0
_UNSEEN = 50.0
_ALONE = 100.0
# Of a line: to be one more, to be full, for uneven ones cost more than even ones, and to be a single word, as the last.
_ANOTHER_LINE = 100.0
_FULL = 5.0
_FIRST_ALONE = 12.0
_LAST_ALONE = 50.0


@dataclass(frozen=True, slots=True)
class PhraseWord:
    """A word in a phrase.

    Attributes:
        start, end: its place in the phrase's text, in characters.
        start_s, end_s: exact seconds.
    """

    start: int
    end: int
    start_s: Fraction
    end_s: Fraction


@dataclass(frozen=True, slots=True)
class Phrase:
    """A part of a narration that is on screen at a time.

    Attributes:
        text: in lines.
        words: in their order.
        start_s, end_s: exact seconds from which and up to which it is on screen.
    """

    text: str
    words: tuple[PhraseWord, ...]
    start_s: Fraction
    end_s: Fraction

    @property
    def letters_per_second(self) -> Fraction:
        """How fast it has to be read; spaces don't count, and letters that are as wide as high count twice."""
        return Fraction(_count_letters(self.text)) / (self.end_s - self.start_s)

    def later(self, seconds: Fraction) -> "Phrase":
        """Return the phrase, and all its words, so much later."""
        words = (replace(word, start_s=word.start_s + seconds, end_s=word.end_s + seconds) for word in self.words)
        return replace(self, words=tuple(words), start_s=self.start_s + seconds, end_s=self.end_s + seconds)


@dataclass(frozen=True, slots=True)
class PhraseLimits:
    """The room of a phrase.

    Attributes:
        lines: at most.
        columns: letters in a line at most, those that are as wide as high counted twice.
        letters_per_second: at most, where lingering can give it.
        fps: video frames a second; a phrase is on screen for one at least, where that can be.
        length_s: exact seconds after which nothing is spoken any more.
        language: of the text, as a BCP 47 tag; None where it is not known.
    """

    lines: int
    columns: int
    letters_per_second: Fraction
    fps: Fraction
    length_s: Fraction
    language: str | None = None


# Asked for by each part of the film that shows or tells what is spoken.
@lru_cache(maxsize=10_000)
def break_speech(speech: Speech, limits: PhraseLimits) -> tuple[Phrase, ...]:
    """Return the phrases of a speech, with times from where it begins; words that are not spoken any more are left out.

    Args:
        speech: what is spoken.
        limits: the room of a phrase.
    """
    spoken = [word for word in speech.words if word.start_s < limits.length_s]
    if not spoken:
        return ()
    tokens = _Tokens(spoken, limits)
    return tuple(tokens.phrase(start, end) for start, end in divide(len(tokens), tokens.phrases_from))


def divide(count: int, parts_from: Callable[[int], Iterable[tuple[int, float]]]) -> list[tuple[int, int]]:
    """Return the parts into which so many things are divided at the least cost: where each begins, and where it ends.

    Args:
        count: of the things.
        parts_from: returns each end that a part may have which begins with a thing, and what that part costs. The end
            that follows directly must be among them.
    """
    costs, starts = [0.0] + [inf] * count, [0] * (count + 1)
    for start in range(count):
        for end, cost in parts_from(start):
            if costs[start] + cost < costs[end]:
                costs[end], starts[end] = costs[start] + cost, start
    ends = [count]
    while ends[-1]:
        ends.append(starts[ends[-1]])
    return list(pairwise(reversed(ends)))


@dataclass(frozen=True, slots=True)
class _Token:
    """A word, or a part of one that is longer than a line.

    Attributes:
        text: as it is written.
        joint: what stands before it, unless it begins a line.
        columns: that it takes in a line.
        ends: what ends with it.
        start_s, end_s: exact seconds.
    """

    text: str
    joint: str
    columns: int
    ends: End
    start_s: Fraction
    end_s: Fraction


class _Tokens:
    """What a speech consists of, and what each division of it costs."""

    def __init__(self, words: Sequence[Word], limits: PhraseLimits) -> None:
        self._limits = limits
        joints = ["", *(" " if word.at > before.at + len(before.text) else "" for before, word in pairwise(words))]
        text = "".join(joint + word.text for joint, word in zip(joints, words, strict=True))
        self._right_to_left = Directions(text).right_to_left
        # A line that needs a mark of its direction has one letter more.
        may_need_marks = any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in text)
        self._columns = limits.columns - 1 if may_need_marks else limits.columns
        ends = ends_of(words, joints, text, limits.language)
        self._tokens = [
            token
            for word, joint, end in zip(words, joints, ends, strict=True)
            for token in self._tokens_of(word, joint, end)
        ]
        self._leave_s = list(_leaving(self._tokens, limits.length_s))
        # Fractions would take most of the time of it all.
        self._starts = [float(token.start_s) for token in self._tokens]
        self._leave = list(map(float, self._leave_s))
        self._fps, self._readable = float(limits.fps), float(limits.letters_per_second)

    def __len__(self) -> int:
        return len(self._tokens)

    def _tokens_of(self, word: Word, joint: str, end: End) -> Iterator[_Token]:
        """Yield a word, in parts where it is longer than a line, each with as much of its time as it has letters."""
        parts = _cut(word.text, self._columns, self._limits.language)
        end_s = min(word.end_s, self._limits.length_s)
        reached = list(accumulate(map(len, parts), initial=0))
        times = [word.start_s + (end_s - word.start_s) * Fraction(place, reached[-1]) for place in reached]
        for index, (part, (start_s, stop_s)) in enumerate(zip(parts, pairwise(times), strict=True)):
            ends = end if index == len(parts) - 1 else End.SHORT_WORD
            yield _Token(part, "" if index else joint, _columns_of(part), ends, start_s, stop_s)

    def phrase(self, start: int, end: int) -> Phrase:
        """Return the phrase of the tokens from `start` up to, not including, `end`, in its lines."""
        lines = divide(end - start, lambda first: self._lines_from(start + first, start, end))
        text, words = "", []
        for first, last in lines:
            text += ("\n" if first else "") + self._mark(start + first, start + last)
            for index in range(start + first, start + last):
                token = self._tokens[index]
                text += token.joint if index > start + first else ""
                words.append(PhraseWord(len(text), len(text) + len(token.text), token.start_s, token.end_s))
                text += token.text
        return Phrase(text, tuple(words), self._tokens[start].start_s, self._leave_s[end - 1])

    def _mark(self, start: int, end: int) -> str:
        """Return what gives a line the direction of its text, where it would have another by itself."""
        line = "".join(token.text for token in self._tokens[start:end])
        if Directions(line).right_to_left == self._right_to_left:
            return ""
        return _RIGHT_TO_LEFT_MARK if self._right_to_left else _LEFT_TO_RIGHT_MARK

    def _lines_from(self, start: int, first: int, last: int) -> Iterator[tuple[int, float]]:
        """Yield where a line may end that begins with token `start` of a phrase, counted from its `first`; its cost."""
        columns = 0
        for index in range(start, last):
            token = self._tokens[index]
            columns += token.columns + (len(token.joint) if index > start else 0)
            if columns > self._columns and index > start:
                return
            cost = _ANOTHER_LINE + _FULL * (columns / self._columns) ** 2
            if index < last - 1:
                cost += _LINE_END[token.ends]
            if index == start and last - first > 1:
                cost += _LAST_ALONE if index == last - 1 else _FIRST_ALONE
            yield index + 1 - first, cost

    def phrases_from(self, start: int) -> Iterator[tuple[int, float]]:
        """Yield where a phrase may end that begins with token `start`, and what it costs."""
        line, columns, letters, inner = 1, 0, 0, 0.0
        for index in range(start, len(self._tokens)):
            token = self._tokens[index]
            needed = token.columns + (len(token.joint) if columns else 0)
            if columns and columns + needed > self._columns:
                line, columns, needed = line + 1, 0, token.columns
            if line > self._limits.lines and index > start:
                return
            columns, letters = columns + needed, letters + token.columns
            yield index + 1, inner + self._cost(start, index, letters)
            if token.ends is End.SENTENCE:
                inner += _INNER_SENTENCE + _INNER_SECOND * self._silence_s(index)

    def _cost(self, start: int, last: int, letters: int) -> float:
        """Return what a phrase of so many letters costs, but for what ends within it."""
        cost = _ANOTHER_PHRASE + _EMPTY * (1 - min(1, letters / (self._limits.lines * self._columns))) ** 2
        if last < len(self._tokens) - 1:
            cost += _PHRASE_END[self._tokens[last].ends]
        if start == last and len(self._tokens) > 1:
            cost += _ALONE
        shown_s = self._leave[last] - self._starts[start]
        if shown_s * self._fps < 1:
            return cost + _UNSEEN
        return cost + _UNREADABLE * max(0, letters / shown_s / self._readable - 1)

    def _silence_s(self, index: int) -> float:
        """Return the seconds between a token and the next one."""
        return self._starts[index + 1] - float(self._tokens[index].end_s) if index + 1 < len(self._tokens) else 0.0


def _leaving(tokens: Sequence[_Token], length_s: Fraction) -> Iterator[Fraction]:
    """Yield when a phrase leaves the screen that ends with each token."""
    for token, following in pairwise([*tokens, None]):
        assert token is not None
        if following and following.start_s <= token.end_s + _LONGEST_GAP_S:
            yield following.start_s
        else:
            yield min(token.end_s + _LINGER_S, length_s)


def _cut(text: str, columns: int, language: str | None) -> list[str]:
    """Return a word in parts that each fit into a line, cut where lines may end, else between any letters."""
    if _columns_of(text) <= columns:
        return [text]
    parts = [""]
    for part in _pieces(text, columns, language):
        if _columns_of(parts[-1] + part) > columns:
            parts.append("")
        parts[-1] += part
    return [part for part in parts if part]


def _pieces(text: str, columns: int, language: str | None) -> Iterator[str]:
    for start, end in pairwise([0, *line_breaks(text, language)]):
        piece = text[start:end]
        yield from [piece] if _columns_of(piece) <= columns else split_letters(piece)


def _columns_of(text: str) -> int:
    return sum(map(count_columns, split_letters(text)))


def _count_letters(text: str) -> int:
    return _columns_of("".join(text.split()))
