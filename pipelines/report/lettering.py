"""Letters on the contact sheet: one font, lines measured and cut to a width."""

import functools
import unicodedata

from PIL import ImageFont

from pipelines.common.fonts import Face, font_file

_ELLIPSIS = "\u2026"
# More letters than a caption's lines can hold; a prompt may be much longer.
_MAX_LETTERS = 500


@functools.cache
def font(face: Face, size: int) -> ImageFont.FreeTypeFont:
    """Return a face of our font at a size in pixels."""
    # The basic layout sets letters from left to right, whatever the text, and draws the same on all machines.
    return ImageFont.truetype(font_file(face), size, layout_engine=ImageFont.Layout.BASIC)


def cut_line(text: str, letters: ImageFont.FreeTypeFont, width: float) -> str:
    """Return as much of a text as fits into one line; an ellipsis stands for the rest."""
    return next(iter(cut_lines(text, letters, width, most=1)), "")


def cut_lines(text: str, letters: ImageFont.FreeTypeFont, width: float, *, most: int) -> list[str]:
    """Break a text at spaces into `most` lines or fewer; an ellipsis stands for what does not fit.

    Line breaks in the text count as spaces; invisible characters, such as control characters, are left out.

    Args:
        text: what to break.
        letters: the font that it will be drawn in.
        width: of a line, in pixels.
        most: lines at most.
    """
    rest = _visible(text)
    lines: list[str] = []
    while rest and len(lines) < most:
        fits = _count_fitting(rest, letters, width)
        if fits == len(rest):
            return [*lines, rest]
        if len(lines) == most - 1:
            fits = _count_fitting(rest, letters, width - letters.getlength(_ELLIPSIS))
            return [*lines, rest[:fits].rstrip(" ,.;:") + _ELLIPSIS]
        # A word that is wider than a line breaks anywhere; at least one letter is taken, so that the loop ends.
        end = max(rest.rfind(" ", 1, fits + 1), 0) or max(fits, 1)
        lines.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return lines


def _visible(text: str) -> str:
    printable = "".join(letter for letter in " ".join(text.split())[:_MAX_LETTERS] if letter.isprintable())
    # Composed, because the basic layout does not place a separate accent above its letter.
    return unicodedata.normalize("NFC", " ".join(printable.split()))


def _count_fitting(text: str, letters: ImageFont.FreeTypeFont, width: float) -> int:
    """Return how many of a text's letters fit into a width."""
    end = 0.0
    for count, letter in enumerate(text):
        end += _advance(letters, letter)
        if end > width:
            return count
    return len(text)


@functools.cache
def _advance(letters: ImageFont.FreeTypeFont, letter: str) -> float:
    return letters.getlength(letter)
