"""Captions: what is said when, laid out in lines that fit into the film's safe area."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise
from math import ceil, floor, inf, sqrt

from pipelines.common.geometry import Size
from pipelines.common.lettering.layout import Line, PlacedLine, break_lines
from pipelines.common.lettering.wrapping import LineLimits
from pipelines.storyboard.model import CaptionStyle, Position

# The height of a line, in ems, and the least room between the ink of two: some scripts reach far up and down.
_LINE_HEIGHT = 1.25
_LEAST_GAP = 0.1
_LEAST_LINE_PX = 6
# Of text as it usually is; letters that are as wide as high are counted twice.
_LETTERS_TO_THE_EM = 1.8
# The widest letter, and the height of a line with the marks above and below, in ems: of ASCII in the font that comes
# first (its widest has 0.88), and of nearly all that other fonts have.
_ASCII_BOUNDS = (0.9, _LINE_HEIGHT)
_OTHER_BOUNDS = (3.0, 2.5)
# In ems. Outline and half-transparent shadow keep letters legible on any picture.
OUTLINE = 0.08
SHADOW = 0.04


@dataclass(frozen=True, slots=True)
class Caption:
    """A text on screen from picture `start` up to, not including, `end`."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Highlighted:
    """A text of which some letters have a colour of their own: those from place `start` up to, not including, `end`."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Revealed:
    """A text of which only the letters before place `end` can be seen, each where it stands in the whole text."""

    text: str
    end: int


# What stands in a picture.
ScreenText = str | Highlighted | Revealed


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a picture, in pixels: from the left and the top up to, not including, the right and the bottom."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> Size:
        """Its width and height."""
        return Size(self.right - self.left, self.bottom - self.top)

    def around(self, other: "Box") -> "Box":
        """Return the box around both."""
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )


@dataclass(frozen=True, slots=True)
class CaptionLayout:
    """A caption on a film's picture.

    Attributes:
        lines: placed on the picture.
        em: the size of the letters, in pixels to the em.
        shrunk_to: their size as a share of the one that was asked for; below 1 where the text is too long for that.
        is_whole: whether all of it is in the safe area; letters have a least size.
        box: all that is drawn, with even edges: the colours of four pixels are one.
    """

    lines: tuple[PlacedLine, ...]
    em: float
    shrunk_to: Fraction
    is_whole: bool
    box: Box


def captions_of(texts: Sequence[tuple[int, str | None]]) -> list[Caption]:
    """Return the captions of a run of pictures; where a text repeats, its caption goes on.

    `texts` says for how many pictures each text is shown, in order; None where there is none.
    """
    captions: list[Caption] = []
    start = 0
    for length, text in texts:
        last = captions[-1] if captions else None
        if last and last.end == start and last.text == text:
            captions[-1] = Caption(last.start, start + length, last.text)
        elif text:
            captions.append(Caption(start, start + length, text))
        start += length
    return captions


def surely_fits(text: str, style: CaptionStyle, size: Size) -> bool:
    """Return whether a caption certainly fits at its size, as most do, by its number of letters alone.

    To lay out ten thousand captions takes several seconds, and `plan` and `check` need not wait for it.
    """
    area, em = _safe_area(style, size).size, _height(style, size) / _LINE_HEIGHT
    widest, highest = _ASCII_BOUNDS if text.isascii() and style.font is None else _OTHER_BOUNDS
    in_a_line = min(area.width / em / widest, style.line_length / 2)
    # Words that don't fit any more leave at most half of a line free, or break.
    lines = text.count("\n") + 1 + 2 * ceil(len(text) / max(1, in_a_line))
    return lines * highest * em <= area.height


def lay_out_caption(text: str, style: CaptionStyle, size: Size) -> CaptionLayout:
    """Lay a caption out on a picture: as large as its style says, or as large as it fits into the safe area.

    Args:
        text: perhaps of several lines.
        style: its looks.
        size: of the picture.
    """
    area = _safe_area(style, size)
    height = wanted = _height(style, size)
    while True:
        em = height / _LINE_HEIGHT
        # Where a text does not fit in lines of the usual length, longer ones keep its letters larger.
        limits = LineLimits(area.size.width / em, style.line_length if height == wanted else inf)
        lines = break_lines(text, style.font_stack, limits, even=True)
        baselines = _baselines(lines)
        needed = (baselines[-1] + max(lines[-1].below, _LINE_HEIGHT - 1)) * em
        if needed <= area.size.height or height <= _LEAST_LINE_PX:
            break
        # The area that a text takes grows with the square of its letters' height: the root is a good next guess.
        height = max(_LEAST_LINE_PX, min(height - 1, int(height * sqrt(area.size.height / needed))))
    top = _top(style.position, area, needed)
    placed = tuple(
        PlacedLine(line, _left(line.width * em, area, size), top + baseline * em)
        for line, baseline in zip(lines, baselines, strict=True)
    )
    return CaptionLayout(placed, em, Fraction(height, wanted), needed <= area.size.height, _box_of(placed, em, size))


def text_of(shown: ScreenText) -> str:
    """Return the whole text."""
    return shown if isinstance(shown, str) else shown.text


def letters_in_line(style: CaptionStyle, size: Size) -> int:
    """Return how many letters nearly always fit into a line, as many as its style allows at most."""
    em = _height(style, size) / _LINE_HEIGHT
    return max(1, min(style.line_length, int(_safe_area(style, size).size.width / em * _LETTERS_TO_THE_EM)))


def _height(style: CaptionStyle, size: Size) -> int:
    """Return the height of a line in pixels, as it is asked for."""
    return max(_LEAST_LINE_PX, round(min(size.width, size.height) * style.size))


def _safe_area(style: CaptionStyle, size: Size) -> Box:
    free = style.safe_area
    return Box(
        round(size.width * free.left),
        round(size.height * free.top),
        size.width - round(size.width * free.right),
        size.height - round(size.height * free.bottom),
    )


def _baselines(lines: Sequence[Line]) -> list[float]:
    """Return the baseline of each line, in ems from the top of the first."""
    steps = [max(_LINE_HEIGHT, above.below + _LEAST_GAP + below.above) for above, below in pairwise(lines)]
    return list(accumulate(steps, initial=max(1.0, lines[0].above)))


def _left(width: float, area: Box, size: Size) -> float:
    """Return where a line begins that stands in the middle of the picture, or as near to it as its area allows."""
    return max(area.left, min((size.width - width) / 2, area.right - width))


def _top(position: Position, area: Box, height: float) -> float:
    match position:
        case Position.TOP:
            return area.top
        case Position.MIDDLE:
            return max(area.top, (area.top + area.bottom - height) / 2)
        case Position.BOTTOM:
            return max(area.top, area.bottom - height)


def _box_of(lines: Sequence[PlacedLine], em: float, size: Size) -> Box:
    """Return the box, with even edges, around the ink, the outline and the shadow of lines, within their picture."""
    # Some letters reach a little beyond where the pen is.
    around = em * (OUTLINE + SHADOW + 0.5)
    left = min(line.left for line in lines) - around
    right = max(line.left + line.line.width * em for line in lines) + around
    top = min(line.baseline - line.line.above * em for line in lines) - around
    bottom = max(line.baseline + line.line.below * em for line in lines) + around
    return Box(
        max(0, floor(left / 2) * 2),
        max(0, floor(top / 2) * 2),
        min(size.width, ceil(right / 2) * 2),
        min(size.height, ceil(bottom / 2) * 2),
    )
