"""Text -> lines of glyphs: shaped by HarfBuzz, broken where its script allows, each line in the order that it is read.

All lengths are in ems: a layout is the same at every size.
"""

import bisect
import functools
import itertools
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import uharfbuzz as hb

from pipelines.common.lettering.segmentation import (
    DirectedRun,
    Directions,
    is_emoji,
    split_letters,
    split_scripts,
)
from pipelines.common.lettering.typefaces import UNITS, FontStack, Typeface
from pipelines.common.lettering.wrapping import LineLimits, Wrapping, paragraphs, placed_paragraphs

_ELLIPSIS = "\u2026"
# What an ellipsis does not stand behind.
_BEFORE_ELLIPSIS = " ,.;:"
# More letters than fit into an em, marks included.
_MOST_TO_THE_EM = 16


@dataclass(frozen=True, slots=True)
class Glyph:
    """A glyph on a line.

    Attributes:
        font: draws it, in `UNITS` to the em.
        id: its number in the font.
        x, y: its origin, in units, from the left end of the line's baseline, upwards.
        at: where the letters that it shows begin in the text that was laid out.
    """

    font: hb.Font
    id: int
    x: int
    y: int
    at: int


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

    def only(self, letters: Callable[[int], bool]) -> "Line":
        """Return the line with some of its letters alone, each where it stands; `letters` is asked by their places."""
        return replace(self, glyphs=tuple(glyph for glyph in self.glyphs if letters(glyph.at)))


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """A line on a picture.

    Attributes:
        line: what it says.
        left: of its first glyph's origin, in pixels.
        baseline: in pixels from the top.
    """

    line: Line
    left: float
    baseline: float

    def only(self, letters: Callable[[int], bool]) -> "PlacedLine":
        """Return some of its letters alone; see `Line.only`."""
        return replace(self, line=self.line.only(letters))


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

    def __init__(self, text: str, stack: FontStack, *, at: int = 0) -> None:
        """Measure a paragraph.

        Args:
            text: without line breaks; what no font has is shown by its code.
            stack: the fonts.
            at: where the paragraph begins in a longer text.
        """
        self._stack = stack = stack.for_text(text)
        self._letters = letters = _drawable_letters(text, stack)
        self.text = "".join(letters)
        self._places = _places(text, stack, at) if self.text != text else range(at, at + len(text))
        # Where each letter begins, and where the last one ends.
        self._starts = list(itertools.accumulate(map(len, letters), initial=0))
        self._faces = _faces_of(letters, stack)
        self._scripts = split_scripts(letters)
        self._directions = Directions(self.text)
        self._wrapping = Wrapping(letters, self._advances(), language=stack.language)

    @property
    def width(self) -> float:
        """The width of all of it in one line, in ems."""
        return self._wrapping.width

    def lines(self, limits: LineLimits, *, even: bool = False) -> list[Line]:
        """Return the paragraph in as few lines as it needs; with `even`, in lines of about one width."""
        return [self._line(start, end) for start, end in self._wrapping.lines(limits, even=even)]

    def count_lines(self, width: float) -> int:
        """Return how many lines of a width, in ems, the paragraph needs."""
        return len(self._wrapping.lines(LineLimits(width)))

    def cut(self, width: float, *, most: int) -> list[Line]:
        """Return as much of the paragraph as fits into `most` lines; an ellipsis at their end stands for the rest."""
        spans = self._wrapping.lines(LineLimits(width))
        if len(spans) <= most:
            return [self._line(start, end) for start, end in spans]
        start_of_last = spans[most - 1][0]
        return [*(self._line(start, end) for start, end in spans[: most - 1]), self._cut_line(start_of_last, width)]

    def _cut_line(self, start: int, width: float) -> Line:
        """Return what fits into a line from letter `start`, and an ellipsis."""
        end = self._wrapping.count_fitting(start, LineLimits(width - _ellipsis_width(self._stack)))
        before = self.text[: self._starts[start]]
        kept = self.text[self._starts[start] : self._starts[end]].rstrip(_BEFORE_ELLIPSIS)
        # With what is before it: the direction of its letters may come from there.
        shortened = Paragraph(before + kept + _ELLIPSIS, self._stack)
        return shortened._line(start, len(shortened._letters))

    def _advances(self) -> list[float]:
        """Return how far each letter moves the pen."""
        advances = [0.0] * len(self._letters)
        for _, info, position in self._shaped(0, len(self.text)):
            # A ligature's glyph moves the pen for all its letters, and is the first one's.
            letter = bisect.bisect_right(self._starts, info.cluster) - 1
            advances[letter] += position.x_advance / UNITS
        return advances

    def _shaped(self, start: int, end: int) -> Iterator[tuple[hb.Font, hb.GlyphInfo, hb.GlyphPosition]]:
        """Yield the glyphs of a line of the text, from the left to the right, each with the font that draws it."""
        for directed in self._directions.visual_runs(start, end):
            for run in self._runs(directed):
                font = run.face.font(self._stack.weight)
                for info, position in zip(*_shape(self.text, run, font, self._stack.language), strict=True):
                    yield font, info, position

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
        for font, info, position in self._shaped(start, end):
            x, y = pen + position.x_offset, position.y_offset
            glyphs.append(Glyph(font, info.codepoint, x, y, self._places[info.cluster]))
            pen += position.x_advance
        above, below = _ink(glyphs)
        return Line(self.text[start:end], tuple(glyphs), pen / UNITS, above, below, self._directions.right_to_left)


def break_lines(text: str, stack: FontStack, limits: LineLimits, *, even: bool = False) -> list[Line]:
    """Return the lines of a text, broken also where it has line breaks itself.

    Args:
        text: of any script, or of several.
        stack: the fonts.
        limits: the room of a line.
        even: break a paragraph into lines of about one width.
    """
    parts = (Paragraph(part, stack, at=at) for at, part in placed_paragraphs(text))
    return [line for part in parts for line in part.lines(limits, even=even)]


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


@functools.cache
def _ellipsis_width(stack: FontStack) -> float:
    return Paragraph(_ELLIPSIS, stack).width


def _shows(character: str) -> bool:
    # Joiners and marks of direction are not printable by themselves, and change how others are drawn.
    return character.isprintable() or unicodedata.category(character) == "Cf"


@functools.lru_cache(maxsize=10_000)
def typefaces_of(text: str, stack: FontStack) -> frozenset[Typeface]:
    """Return the typefaces that draw a text; far quicker than laying it out."""
    stacks = ((part, stack.for_text(part)) for part in paragraphs(text))
    return frozenset(face for part, fonts in stacks for face in _faces_of(_drawable_letters(part, fonts), fonts))


def _drawable_letters(text: str, stack: FontStack) -> list[str]:
    # Split twice: what stands in for a letter that no font has is several letters.
    return split_letters("".join(_drawable(letter, stack) for letter in split_letters(text)))


def _places(text: str, stack: FontStack, at: int) -> list[int]:
    """Return where each character that is drawn stands in a text that begins at `at`; codes stand for one letter."""
    letters = split_letters(text)
    starts = itertools.accumulate(map(len, letters), initial=at)
    places: list[int] = []
    for letter, start in zip(letters, starts, strict=False):
        drawn = _drawable(letter, stack)
        places += range(start, start + len(letter)) if drawn == letter else [start] * len(drawn)
    return places


def _drawable(letter: str, stack: FontStack) -> str:
    """Return a letter that a font has, or its code: two texts never look the same for the lack of a font."""
    if stack.face_for(letter) is not None:
        return letter
    return "".join(f"[U+{ord(character):04X}]" for character in letter)


def _faces_of(letters: Sequence[str], stack: FontStack) -> list[Typeface]:
    """Return the typeface of each letter; a space is drawn in that of the word before it, as wide as it fits there."""
    faces: list[Typeface] = []
    word: Typeface | None = None
    for letter in letters:
        face = word if letter.isspace() and word and word.has(letter) else stack.face_for(letter)
        assert face is not None
        faces.append(face)
        # The spaces of emoji are as wide as these are.
        word = None if is_emoji(letter) else face
    return faces


def _shape(
    text: str, run: _Run, font: hb.Font, language: str | None
) -> tuple[list[hb.GlyphInfo], list[hb.GlyphPosition]]:
    """Return the glyphs of a run, from the left to the right; their clusters are places in the text."""
    buffer = hb.Buffer()
    buffer.add_str(text, run.start, run.end - run.start)
    buffer.direction = "rtl" if run.right_to_left else "ltr"
    buffer.script = run.script
    buffer.language = language or "und"
    hb.shape(font, buffer)
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
