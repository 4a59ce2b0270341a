"""Unicode's algorithms, by ICU: letters as readers count them, where lines may break, and which way text runs.

ICU counts in UTF-16, where a character beyond U+FFFF takes two places; here all places are those of Python's strings.
"""

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import icu

# What the property East_Asian_Width calls fullwidth and wide (UAX #11).
_WIDE = (3, 5)
# Characters that ask for the picture of an emoji: the joiner, its variation selector, the keycap.
_EMOJI_MARKS = ("\u200d", "\ufe0f", "\u20e3")
# ICU ends a paragraph at each of these (UAX #9, class B), and shows no line across two.
_SEPARATORS = str.maketrans(dict.fromkeys("\n\r\x1c\x1d\x1e\x85\u2029", " "))
_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"
_ANY_SCRIPT = ("Zyyy", "Zinh", "Zzzz")
# They are written without spaces between words.
_UNSPACED_SCRIPTS = frozenset({"Hani", "Hira", "Kana", "Khmr", "Laoo", "Mymr", "Thai"})


@dataclass(frozen=True, slots=True)
class DirectedRun:
    """A run of text in one direction, from place `start` up to, not including, `end`."""

    start: int
    end: int
    right_to_left: bool


class _Places:
    """Places in UTF-16 and in a Python string."""

    def __init__(self, text: str) -> None:
        self._beyond = any(character > "\uffff" for character in text)
        if self._beyond:
            widths = (2 if character > "\uffff" else 1 for character in text)
            self._in_utf16 = list(itertools.accumulate(widths, initial=0))
            self._in_text = {place: index for index, place in enumerate(self._in_utf16)}

    def to_utf16(self, place: int) -> int:
        return self._in_utf16[place] if self._beyond else place

    def to_text(self, place: int) -> int:
        return self._in_text[place] if self._beyond else place


def split_letters(text: str) -> list[str]:
    """Return the letters of a text as readers count them: each with its marks, an emoji with all that it is joined of.

    They are extended grapheme clusters (UAX #29).
    """
    if text.isascii() and "\r" not in text:
        return list(text)
    breaks = _breaks(icu.BreakIterator.createCharacterInstance(icu.Locale.getRoot()), text)
    return [text[start:end] for start, end in itertools.pairwise([0, *breaks])]


def line_breaks(text: str, language: str | None = None) -> list[int]:
    """Return the places at which a line of a text may end, the text's own end included (UAX #14).

    In Thai, Lao, Khmer and Burmese these are between words, by ICU's dictionaries.
    """
    return _breaks(icu.BreakIterator.createLineInstance(_locale(language)), text)


def sentence_breaks(text: str, language: str | None = None) -> list[int]:
    """Return the places at which a sentence of a text has ended, the spaces behind it included (UAX #29)."""
    return _breaks(icu.BreakIterator.createSentenceInstance(_locale(language)), text)


def _locale(language: str | None) -> icu.Locale:
    return icu.Locale.forLanguageTag(language) if language else icu.Locale.getRoot()


def split_unspaced(text: str) -> list[str]:
    """Return a text cut between words where no spaces stand between them, by ICU's dictionaries.

    Punctuation stays with the word that it clings to. What is written with spaces is not cut.
    """
    scripts = split_scripts(text)
    if _UNSPACED_SCRIPTS.isdisjoint(scripts):
        return [text]
    words = set(_breaks(icu.BreakIterator.createWordInstance(icu.Locale.getRoot()), text))
    cuts = [
        place
        for place in line_breaks(text)[:-1]
        if place in words and not _UNSPACED_SCRIPTS.isdisjoint(scripts[place - 1 : place + 1])
    ]
    return [text[start:end] for start, end in itertools.pairwise([0, *cuts, len(text)])]


def _breaks(iterator: icu.BreakIterator, text: str) -> list[int]:
    iterator.setText(icu.UnicodeString(text))
    places = _Places(text)
    return [places.to_text(place) for place in iterator]


class Directions:
    """The directions of a paragraph's text (UAX #9). Its own direction is that of its first strong letter."""

    def __init__(self, text: str) -> None:
        self._bidi = icu.Bidi()
        # Kept: ICU goes on reading it.
        self._text = icu.UnicodeString(text.translate(_SEPARATORS))
        self._bidi.setPara(self._text, icu.Bidi.DEFAULT_LTR)
        self._places = _Places(text)

    @property
    def right_to_left(self) -> bool:
        """Whether the paragraph begins at the right."""
        return bool(self._bidi.getParaLevel() % 2)

    def visual_runs(self, start: int, end: int) -> list[DirectedRun]:
        """Return the runs of a line of the paragraph, from the left to the right, as they are to be shown."""
        if start >= end:
            return []
        places = self._places
        line = self._bidi.setLine(places.to_utf16(start), places.to_utf16(end))
        runs = (line.getVisualRun(number) for number in range(line.countRuns()))
        offset = places.to_utf16(start)
        return [
            DirectedRun(places.to_text(offset + at), places.to_text(offset + at + length), bool(direction))
            for at, length, direction in runs
        ]


def isolate(text: str) -> str:
    """Return a text to stand among others in a line: it has its own direction, as in HTML within <bdi> (UAX #9)."""
    return f"{_FIRST_STRONG_ISOLATE}{text}{_POP_ISOLATE}"


def split_scripts(letters: Sequence[str]) -> list[str]:
    """Return the script of each of a run's letters, by its code in ISO 15924.

    Letters of no script of their own, such as digits and spaces, are of that of the letter before, else after them.
    """
    scripts = [_script_of(letter[0]) for letter in letters]
    before = next((script for script in scripts if script not in _ANY_SCRIPT), "Zyyy")
    for index, script in enumerate(scripts):
        before = scripts[index] = before if script in _ANY_SCRIPT else script
    return scripts


def script_name(letter: str) -> str:
    """Return the name of a letter's script, in English."""
    return str(icu.Script.getScript(letter[0]).getName()).replace("_", " ")


@functools.cache
def _script_of(character: str) -> str:
    return str(icu.Script.getScript(character).getShortName())


def count_columns(letter: str) -> int:
    """Return how many columns a letter takes where lines are counted in letters: 2 for one as wide as it is high."""
    return 2 if not letter.isascii() and _is_wide(letter[0]) else 1


@functools.cache
def _is_wide(character: str) -> bool:
    return icu.Char.getIntPropertyValue(character, icu.UProperty.EAST_ASIAN_WIDTH) in _WIDE


def is_emoji(letter: str) -> bool:
    """Return whether a letter is to be shown as an emoji, and not as a sign among text (UTS #51)."""
    if letter.isascii():
        return False
    return any(mark in letter[1:] for mark in _EMOJI_MARKS) or _is_emoji_by_itself(letter[0])


@functools.cache
def _is_emoji_by_itself(character: str) -> bool:
    properties = (icu.UProperty.EMOJI_PRESENTATION, icu.UProperty.REGIONAL_INDICATOR)
    return any(icu.Char.hasBinaryProperty(character, kind) for kind in properties)


@functools.cache
def is_ignorable(character: str) -> bool:
    """Return whether a character shows nothing by itself, so that no font need have it: a joiner, a selector."""
    return bool(icu.Char.hasBinaryProperty(character, icu.UProperty.DEFAULT_IGNORABLE_CODE_POINT))
