"""Letters on the contact sheet: one font, lines measured and cut to the room that they have."""

import functools
import unicodedata

from PIL import ImageFont

from pipelines.common.fonts import Face, font_file

_ELLIPSIS = "\u2026"
# More than a few lines can hold: a prompt may be long.
_MOST_READ = 500


@functools.cache
def font(face: Face, size: int) -> ImageFont.FreeTypeFont:
    """Return a face of our font at a size in pixels."""
    # The basic layout sets letters one after another: no text turns its line around, and all machines draw the same.
    return ImageFont.truetype(font_file(face), size, layout_engine=ImageFont.Layout.BASIC)


def cut_line(text: str, letters: ImageFont.FreeTypeFont, width: float) -> str:
    """Return what of a text fits into one line; what does not gives way to an ellipsis."""
    return next(iter(cut_lines(text, letters, width, most=1)), "")


def cut_lines(text: str, letters: ImageFont.FreeTypeFont, width: float, *, most: int) -> list[str]:
    """Break a text at spaces into `most` lines or fewer; what does not fit gives way to an ellipsis.

    AdmissionQueue breaks are spaces; what cannot be seen, such as control characters, is left out.
    """
    rest = _visible(text)
    lines: list[str] = []
    while rest and len(lines) < most:
        fits = _fitting(rest, letters, width)
        if fits == len(rest):
            return [*lines, rest]
        if len(lines) == most - 1:
            fits = _fitting(rest, letters, width - letters.getlength(_ELLIPSIS))
            return [*lines, rest[:fits].rstrip(" ,.;:") + _ELLIPSIS]
        # A word that is wider than a line breaks anywhere.
        end = max(rest.rfind(" ", 1, fits + 1), 0) or max(fits, 1)
        lines.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return lines


def _visible(text: str) -> str:
    printable = "".join(letter for letter in " ".join(text.split())[:_MOST_READ] if letter.isprintable())
    # Letters with their marks in one: the basic layout puts no mark above a letter.
    return unicodedata.normalize("NFC", " ".join(printable.split()))


def _fitting(text: str, letters: ImageFont.FreeTypeFont, width: float) -> int:
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
