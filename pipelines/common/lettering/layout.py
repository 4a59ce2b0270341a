"""Text -> lines of glyphs: shaped by HarfBuzz, broken where its script allows, each line in the order that it is read.

All lengths are in ems: a layout is the same at every size.
"""

import bisect
import functools
import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import uharfbuzz as hb

from pipelines.common.lettering.segmentation import (
    DirectedRun,
    Directions,
    count_columns,
    is_emoji,
    line_breaks,
    split_letters,
    split_scripts,
)
from pipelines.common.lettering.typefaces import UNITS, FontStack, Typeface

_ELLIPSIS = "\u2026"
# What an ellipsis does not stand behind.
_BEFORE_ELLIPSIS = " ,.;:"
# More letters than fit into an em, marks included.
_MOST_TO_THE_EM = 16
# The ends of paragraphs (UAX #14, class BK and its kin).
_PARAGRAPH_ENDS = re.compile("\r\n|[\n\r\v\f\x85\u2028\u2029]")
# So close, widths are the same: sums of fractions differ in their last digits.
_HAIR = 1e-6


@dataclass(frozen=True, slots=True)
class Glyph:
    """A glyph on a line.

    Attributes:
        font: draws it, in `UNITS` to the em.
        id: its number in the font.
        x, y: its origin, in units, from the left end of the line's baseline, upwards.
    """

    font: hb.Font
    id: int
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text, laid out.

    Attributes:
        text: the part of the text that it shows, in the order in which it is written.
        glyphs: from the left to the right.
        width: in ems.
        above, below: how far its ink reaches above the baseline and below it, in ems.
        right_to_left: whether its paragraph begins at the right.
    """

    text: str
    glyphs: tuple[Glyph, ...]
    width: float
    above: float
    below: float
    right_to_left: bool


@dataclass(frozen=True, slots=True)
class LineLimits:
    """The room that a line has.

    Attributes:
        width: in ems.
        columns: letters at most, those that are as wide as high counted twice; None for any number.
    """

    width: float
    columns: int | None = None


@dataclass(frozen=True, slots=True)
class _Run:
    """Letters that one font draws, in one script and one direction: from place `start` to `end` of a paragraph."""

    start: int
    end: int
    face: Typeface
    script: str
    right_to_left: bool


class Paragraph:
    """A paragraph of text, measured: it can be broken into lines of any width."""

    def __init__(self, text: str, stack: FontStack) -> None:
        """Measure a paragraph.

        Args:
            text: without line breaks; what no font has is shown by its code.
            stack: the fonts.
        """
        letters = [_drawable(letter, stack, text) for letter in split_letters(text)]
        self.text = "".join(letters)
        self._stack = stack
        # Once more: what stands in for a letter has several.
        self._letters = letters = split_letters(self.text)
        # Where each letter begins, and where the last one ends.
        self._starts = list(itertools.accumulate(map(len, letters), initial=0))
        self._faces = _faces_of(letters, stack, self.text)
        self._scripts = split_scripts(letters)
        self._directions = Directions(self.text)
        # How far it is to each letter.
        self._reach = list(itertools.accumulate(self._advances(), initial=0.0))
        self._columns = list(itertools.accumulate(map(count_columns, letters), initial=0))
        breaks = line_breaks(self.text, stack.language) if self.text else []
        self._breaks = [bisect.bisect_left(self._starts, place) for place in breaks]

    @property
    def width(self) -> float:
        """The width of all of it in one line, in ems."""
        return self._width(0, len(self._letters))

    def lines(self, limits: LineLimits, *, even: bool = False) -> list[Line]:
        """Return the paragraph in as few lines as it needs; with `even`, in lines of about one width."""
        ends = self._line_ends(limits)
        if even and len(ends) > 1:
            ends = self._even_ends(limits, len(ends))
        return self._lines(ends)

    def count_lines(self, width: float) -> int:
        """Return how many lines of a width, in ems, the paragraph needs."""
        return len(self._line_ends(LineLimits(width)))

    def cut(self, width: float, *, most: int) -> list[Line]:
        """Return as much of the paragraph as fits into `most` lines; an ellipsis at their end stands for the rest."""
        ends = self._line_ends(LineLimits(width))
        if len(ends) <= most:
            return self._lines(ends)
        whole = ends[: most - 1]
        return [*self._lines(whole), self._cut_line(whole[-1] if whole else 0, width)]

    def _lines(self, ends: Sequence[int]) -> list[Line]:
        """Return the lines that end before these letters."""
        pairs = itertools.pairwise([0, *ends])
        return [self._line(start, self._without_space(start, end)) for start, end in pairs]

    def _cut_line(self, start: int, width: float) -> Line:
        """Return what fits into a line from letter `start`, and an ellipsis."""
        end = self._fitting(start, LineLimits(width - _ellipsis_width(self._stack)))
        before = self.text[: self._starts[start]]
        kept = self.text[self._starts[start] : self._starts[end]].rstrip(_BEFORE_ELLIPSIS)
        # With what is before it: the direction of its letters may come from there.
        shortened = Paragraph(before + kept + _ELLIPSIS, self._stack)
        return shortened._line(start, len(shortened._letters))

    def _line_ends(self, limits: LineLimits) -> list[int]:
        """Return the letter that follows each line, with as much in every line as fits."""
        ends: list[int] = []
        start = 0
        while start < len(self._letters):
            start = self._line_end(start, limits)
            ends.append(start)
        return ends or [0]

    def _line_end(self, start: int, limits: LineLimits) -> int:
        fitting = self._fitting(start, limits)
        if fitting >= len(self._letters):
            return len(self._letters)
        # Spaces at a line's end take no room: a break behind them counts though they do not fit.
        reach = fitting
        while reach < len(self._letters) and self._letters[reach].isspace():
            reach += 1
        last = self._breaks[bisect.bisect_right(self._breaks, reach) - 1] if self._breaks[0] <= reach else 0
        # A word that is wider than a line breaks anywhere; at least one letter is taken, so that the loop ends.
        return last if last > start else max(fitting, start + 1)

    def _fitting(self, start: int, limits: LineLimits) -> int:
        """Return the first letter that does not fit into a line from letter `start`."""
        fitting = bisect.bisect_right(self._reach, self._reach[start] + limits.width + _HAIR) - 1
        if limits.columns is not None:
            columns = bisect.bisect_right(self._columns, self._columns[start] + limits.columns) - 1
            fitting = min(fitting, columns)
        return fitting

    def _even_ends(self, limits: LineLimits, count: int) -> list[int]:
        """Return the ends of `count` lines, the widest of which is as narrow as it can be."""
        narrow, wide = 0.0, limits.width
        # To a thousandth of the width: closer than eyes see.
        for _ in range(10):
            middle = (narrow + wide) / 2
            if len(self._line_ends(LineLimits(middle, limits.columns))) <= count:
                wide = middle
            else:
                narrow = middle
        return self._line_ends(LineLimits(wide, limits.columns))

    def _without_space(self, start: int, end: int) -> int:
        while end > start and self._letters[end - 1].isspace():
            end -= 1
        return end

    def _width(self, start: int, end: int) -> float:
        return self._reach[end] - self._reach[start]

    def _advances(self) -> list[float]:
        """Return how far each letter moves the pen."""
        advances = [0.0] * len(self._letters)
        for directed in self._directions.visual_runs(0, len(self.text)):
            for run in self._runs(directed):
                infos, positions = _shape(self.text, run, self._stack)
                for info, position in zip(infos, positions, strict=True):
                    # A ligature's glyph moves the pen for all its letters, and is the first one's.
                    letter = bisect.bisect_right(self._starts, info.cluster) - 1
                    advances[letter] += position.x_advance / UNITS
        return advances

    def _runs(self, directed: DirectedRun) -> Iterator[_Run]:
        """Yield the parts of a run in one direction that can be shaped, in the order in which they are shown."""
        first = bisect.bisect_right(self._starts, directed.start) - 1
        last = bisect.bisect_left(self._starts, directed.end)
        groups = itertools.groupby(range(first, last), lambda index: (self._faces[index], self._scripts[index]))
        runs = []
        for (face, script), group in groups:
            indices = list(group)
            start = max(self._starts[indices[0]], directed.start)
            end = min(self._starts[indices[-1] + 1], directed.end)
            runs.append(_Run(start, end, face, script, directed.right_to_left))
        return reversed(runs) if directed.right_to_left else iter(runs)

    def _line(self, first: int, last: int) -> Line:
        """Return the line of the letters from `first` up to, not including, `last`."""
        start, end = self._starts[first], self._starts[last]
        glyphs: list[Glyph] = []
        pen = 0
        for directed in self._directions.visual_runs(start, end):
            for run in self._runs(directed):
                font = run.face.font(self._stack.weight)
                for info, position in zip(*_shape(self.text, run, self._stack), strict=True):
                    x, y = pen + position.x_offset, position.y_offset
                    glyphs.append(Glyph(font, info.codepoint, x, y))
                    pen += position.x_advance
        above, below = _ink(glyphs)
        return Line(self.text[start:end], tuple(glyphs), pen / UNITS, above, below, self._directions.right_to_left)


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text, without the line breaks between them; a tab is a space."""
    return [paragraph.replace("\t", " ") for paragraph in _PARAGRAPH_ENDS.split(text)]


def break_lines(text: str, stack: FontStack, limits: LineLimits, *, even: bool = False) -> list[Line]:
    """Return the lines of a text, broken also where it has line breaks itself.

    Args:
        text: of any script, or of several.
        stack: the fonts.
        limits: the room of a line.
        even: break a paragraph into lines of about one width.
    """
    return [line for part in paragraphs(text) for line in Paragraph(part, stack).lines(limits, even=even)]


def cut_lines(text: str, stack: FontStack, width: float, *, most: int) -> list[Line]:
    """Return a text in `most` lines or fewer; an ellipsis stands for what does not fit.

    Line breaks in the text count as spaces; control characters are left out.

    Args:
        text: of any script.
        stack: the fonts.
        width: of a line, in ems.
        most: lines at most.
    """
    flat = flatten(text)
    bound = int(width * most * _MOST_TO_THE_EM) + 1
    # What is cut off in any case need not be measured.
    flat = flat[:bound] + _ELLIPSIS if len(flat) > bound else flat
    return Paragraph(flat, stack).cut(width, most=most) if flat else []


def flatten(text: str) -> str:
    """Return a text as one paragraph: its line breaks are spaces, control characters are left out."""
    return " ".join("".join(filter(_shows, " ".join(text.split()))).split())


def find_undrawable(text: str, stack: FontStack) -> list[str]:
    """Return the letters of a text that no font here can draw, each once."""
    letters = dict.fromkeys(letter for part in paragraphs(text) for letter in split_letters(part))
    return [letter for letter in letters if stack.face_for(letter, of=text) is None]


@functools.cache
def _ellipsis_width(stack: FontStack) -> float:
    return Paragraph(_ELLIPSIS, stack).width


def _shows(character: str) -> bool:
    # Joiners and marks of direction are not printable by themselves, and change how others are drawn.
    return character.isprintable() or unicodedata.category(character) == "Cf"


def _drawable(letter: str, stack: FontStack, text: str) -> str:
    """Return a letter that a font has, or its code: two texts never look the same for the lack of a font."""
    if stack.face_for(letter, of=text) is not None:
        return letter
    return "".join(f"[U+{ord(character):04X}]" for character in letter)


def _faces_of(letters: Sequence[str], stack: FontStack, text: str) -> list[Typeface]:
    """Return the typeface of each letter; a space is drawn in that of the word before it, as wide as it fits there."""
    faces: list[Typeface] = []
    word: Typeface | None = None
    for letter in letters:
        face = word if letter.isspace() and word and word.has(letter) else stack.face_for(letter, of=text)
        assert face is not None
        faces.append(face)
        # The spaces of emoji are as wide as these are.
        word = None if is_emoji(letter) else face
    return faces


def _shape(text: str, run: _Run, stack: FontStack) -> tuple[list[hb.GlyphInfo], list[hb.GlyphPosition]]:
    """Return the glyphs of a run, from the left to the right; their clusters are places in the text."""
    buffer = hb.Buffer()
    buffer.add_str(text, run.start, run.end - run.start)
    buffer.direction = "rtl" if run.right_to_left else "ltr"
    buffer.script = run.script
    buffer.language = stack.language or "und"
    hb.shape(run.face.font(stack.weight), buffer)
    return buffer.glyph_infos, buffer.glyph_positions


def _ink(glyphs: Iterable[Glyph]) -> tuple[float, float]:
    """Return how far glyphs reach above the baseline and below it, in ems."""
    above = below = 0
    for glyph in glyphs:
        top, bottom = _extents(glyph.font, glyph.id)
        above, below = max(above, glyph.y + top), max(below, -glyph.y - bottom)
    return above / UNITS, below / UNITS


@functools.lru_cache(maxsize=10_000)
def _extents(font: hb.Font, glyph: int) -> tuple[int, int]:
    extents = font.get_glyph_extents(glyph)
    return (extents.y_bearing, extents.y_bearing + extents.height) if extents else (0, 0)
