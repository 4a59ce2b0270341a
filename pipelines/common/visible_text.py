"""What of a text can be seen: Unicode has many characters that show nothing, and a text of these alone is no text."""

import unicodedata

# Spaces and line ends, controls and format characters (zero width space, joiners, tags), and marks, which show only on
# a base: of these alone a text shows nothing. Not Cn: it holds the letters of a Unicode newer than Python's.
_BLANK = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Mn", "Mc", "Me"})
# By their category letters, symbols, or not assigned; but made to fill a place, or to be ignored by all that draws
# (Default_Ignorable_Code_Point in the Unicode Character Database's DerivedCoreProperties).
_FILLERS = frozenset(
    "\u115f\u1160\u3164\uffa0"  # Hangul's fillers
    "\u2800"  # the blank pattern of Braille
    "\U0001d159"  # the null notehead of musical notation
    "\U00013441\U00013442"  # the full and the half blank of Egyptian hieroglyphs
    "\u2065\ufff0\ufff1\ufff2\ufff3\ufff4\ufff5\ufff6\ufff7\ufff8"  # kept for format characters to come
) | frozenset(map(chr, range(0xE0000, 0xE1000)))
# None of them joins a letter or turns a direction, so at the ends of a text they do nothing: zero width space, word
# joiner, byte order mark.
_IDLE = "\u200b\u2060\ufeff"
_SPACES = "".join(char for char in map(chr, range(0x3001)) if char.isspace())


def shows_nothing(text: str) -> bool:
    """Return whether a text is empty, or of nothing but characters that show nothing."""
    return not any(map(_shows, text))


def says_nothing(text: str) -> bool:
    """Return whether a text has neither a letter nor a digit, of any script: rulers, ellipses, what shows nothing."""
    return not any(_shows(char) and unicodedata.category(char)[0] not in "PS" for char in text)


def strip_idle(text: str) -> str:
    """Return a text without the spaces at its ends, nor what is as good as none: zero width spaces, byte order marks.

    Joiners, marks of direction and variation selectors stay: they act on the letter beside them.
    """
    return text.strip(_SPACES + _IDLE)


def _shows(char: str) -> bool:
    return unicodedata.category(char) not in _BLANK and char not in _FILLERS
