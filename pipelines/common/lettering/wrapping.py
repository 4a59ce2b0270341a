"""Lines of a text: broken where its script allows, no wider than they may be, and of about one width if asked."""

import bisect
import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.common.lettering.segmentation import count_columns, line_breaks, split_letters

# The ends of paragraphs (UAX #14, class BK and its kin).
_PARAGRAPH_ENDS = re.compile("\r\n|[\n\r\v\f\x85\u2028\u2029]")
# So close, widths are the same: sums of fractions differ in their last digits.
_HAIR = 1e-6
# Halvings of a width: to a thousandth of it, closer than eyes see.
_HALVINGS = 10


@dataclass(frozen=True, slots=True)
class LineLimits:
    """The room that a line has.

    Attributes:
        width: in the unit in which letters are measured.
        columns: letters at most, those that are as wide as high counted twice.
    """

    width: float
    columns: float = math.inf


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text, without the line breaks between them; a tab is a space."""
    return [paragraph for _, paragraph in placed_paragraphs(text)]


def placed_paragraphs(text: str) -> list[tuple[int, str]]:
    """Return the paragraphs of a text, each with the place in the text at which it begins; see `paragraphs`."""
    ends = [match.span() for match in _PARAGRAPH_ENDS.finditer(text)]
    starts = [0, *(end for _, end in ends)]
    stops = [*(start for start, _ in ends), len(text)]
    return [(start, text[start:stop].replace("\t", " ")) for start, stop in zip(starts, stops, strict=True)]


def break_text(text: str, columns: int, *, language: str | None = None) -> list[str]:
    """Return a text in lines of at most so many letters, those that are as wide as high counted twice.

    The lines of a paragraph are of about one length.
    """
    lines: list[str] = []
    for paragraph in paragraphs(text):
        letters = split_letters(paragraph)
        wrapping = Wrapping(letters, list(map(count_columns, letters)), language=language)
        spans = wrapping.lines(LineLimits(columns), even=True)
        lines += ["".join(letters[start:end]) for start, end in spans]
    return lines


class Wrapping:
    """A paragraph whose letters are measured: where its lines begin and end, for any width."""

    def __init__(self, letters: Sequence[str], advances: Sequence[float], *, language: str | None) -> None:
        """Look for the places where lines may end.

        Args:
            letters: of the paragraph.
            advances: how wide each is.
            language: of the text, as a BCP 47 tag; None where it is not known.
        """
        self._letters = letters
        self._reach = list(itertools.accumulate(advances, initial=0.0))
        self._columns = list(itertools.accumulate(map(count_columns, letters), initial=0))
        places = itertools.accumulate(map(len, letters), initial=0)
        letter_at = {place: number for number, place in enumerate(places)}
        # A break in the middle of a letter is none.
        breaks = line_breaks("".join(letters), language)
        self._breaks = [letter_at[place] for place in breaks if place in letter_at]

    @property
    def width(self) -> float:
        """The width of the whole paragraph in one line."""
        return self._reach[-1]

    def lines(self, limits: LineLimits, *, even: bool = False) -> list[tuple[int, int]]:
        """Return the lines, as few as there must be: the first letter of each, and the one that follows its last.

        Spaces at their ends are left out.

        Args:
            limits: the room of a line.
            even: lines are of about one width.
        """
        ends = self._ends(limits)
        if even and len(ends) > 1:
            ends = self._even_ends(limits, len(ends))
        return [(start, self._without_space(start, end)) for start, end in itertools.pairwise([0, *ends])]

    def count_fitting(self, start: int, limits: LineLimits) -> int:
        """Return the first letter that does not fit into a line that begins with letter `start`, wherever it breaks."""
        by_width = bisect.bisect_right(self._reach, self._reach[start] + limits.width + _HAIR) - 1
        by_columns = bisect.bisect_right(self._columns, self._columns[start] + limits.columns) - 1
        return min(by_width, by_columns)

    def _ends(self, limits: LineLimits) -> list[int]:
        """Return the letter that follows each line, with as much in every line as fits."""
        ends: list[int] = []
        while not ends or ends[-1] < len(self._letters):
            ends.append(self._end(ends[-1] if ends else 0, limits))
        return ends

    def _end(self, start: int, limits: LineLimits) -> int:
        fitting = self.count_fitting(start, limits)
        # Spaces at a line's end take no room: a break behind them counts though they do not fit.
        reach = fitting
        while reach < len(self._letters) and self._letters[reach].isspace():
            reach += 1
        if reach >= len(self._letters):
            return len(self._letters)
        last = bisect.bisect_right(self._breaks, reach) - 1
        if last >= 0 and self._breaks[last] > start:
            return self._breaks[last]
        # A word that is wider than a line breaks anywhere; at least one letter is taken, so that the loop ends.
        return max(fitting, start + 1)

    def _even_ends(self, limits: LineLimits, count: int) -> list[int]:
        """Return the ends of `count` lines, the widest of which is as narrow as it can be."""
        narrow, wide = 0.0, min(limits.width, self.width)
        for _ in range(_HALVINGS):
            middle = (narrow + wide) / 2
            if len(self._ends(LineLimits(middle, limits.columns))) <= count:
                wide = middle
            else:
                narrow = middle
        return self._ends(LineLimits(wide, limits.columns))

    def _without_space(self, start: int, end: int) -> int:
        while end > start and self._letters[end - 1].isspace():
            end -= 1
        return end
