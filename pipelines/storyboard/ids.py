"""Ids: those made of names in any script, and those that would name files of storyreel's own.

A storyboard's id names its folder and its films, so it may hold letters of every script; ids of scenes and shots are
typed on command lines, so they are lower-case ASCII words.
"""

import hashlib
import itertools
import re
import unicodedata
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.common.visible_text import shows_nothing
from pipelines.storyboard.format.parsers import is_id

if TYPE_CHECKING:
    from icu import Transliterator

# Ends the name of the animatic's file, `<id>-animatic.mp4`, as an output's name ends that of its film.
ANIMATIC_NAME = "animatic"
# What file systems allow, in bytes of UTF-8.
MAX_FILE_NAME_BYTES = 255
# The longest name of a storyboard that every file system holds beside it.
_MAX_FOLDER_ID_BYTES = MAX_FILE_NAME_BYTES - len(f"-{ANIMATIC_NAME}.mp4")
_MAX_WORD_ID_CHARS = 80
_DIGEST_CHARS = 8
_NAMELESS = "storyboard"

# Files in the output folder: the ledger with what SQLite puts beside it, and the folder's place.
_OWN_FILES = frozenset(
    {*(f"storyreel.db{suffix}" for suffix in ("", "-wal", "-shm", "-journal")), ".storyreel-place", ".", ".."}
)
# https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file: with any extension, too.
_DEVICE = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])(\..*)?")

# Marks that show nothing: a joiner, inherent vowels, selectors of variants (Unicode's Default_Ignorable_Code_Point).
_INVISIBLE_MARKS = re.compile("[\u034f\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_TO_ASCII = "Any-Latin; Latin-ASCII; Lower"
# What `surrogateescape` makes of a byte in a file's name that is not UTF-8.
_BYTES = range(0xDC80, 0xDD00)


def complaint_about(storyboard_id: str) -> str | None:
    """Return what stands against an id of a storyboard, and the cure; None where nothing does."""
    # Many file systems take capitals and small letters for the same.
    folded = storyboard_id.casefold()
    if folded in _OWN_FILES:
        reason = "is the name of a file of storyreel's own in the output folder"
    elif _DEVICE.fullmatch(folded):
        reason = "is the name of a device on Windows, where no folder can have it"
    else:
        return None
    return f"{storyboard_id!r} {reason}; write another `id:` into the storyboard"


def folder_id(path: Path) -> str:
    """Return the id of a storyboard that sets none: its file's stem, as the name of a folder.

    Letters, marks and digits of every script stay as they are; symbols and emoji go by their names; what stands between
    them becomes a dash. Long ones are cut, with a digest of the whole.
    """
    stem = unicodedata.normalize("NFC", _with_symbols_named(path.stem))
    spaced = "".join(char if _is_kept(char) else " " for char in stem)
    words = "-".join(map(_without_leading_marks, re.sub(" +", " ", spaced).split(" ")))
    return _shortened(words.strip("-.") or _NAMELESS)


def word_id(name: str) -> str:
    """Return the id of a scene or shot of this name: an id as it is, else its words in ASCII; empty without any."""
    if is_id(name):
        return name
    letters = name if name.isascii() else _NOT_ASCII.sub(lambda match: _as_ascii(match[0]), _composed(name))
    return re.sub(r"[^a-z0-9]+", "-", letters.lower())[:_MAX_WORD_ID_CHARS].strip("-")


def numbered(plain: str, taken: Collection[str]) -> str:
    """Return an id, with the first number behind it that makes it none of those `taken`, if it is one of them."""
    candidates = itertools.chain([plain], (f"{plain}-{number}" for number in itertools.count(2)))
    return next(candidate for candidate in candidates if candidate not in taken)


def _composed(name: str) -> str:
    # Compatibility forms are letters, too: full-width ones, those in circles.
    return _with_symbols_named(unicodedata.normalize("NFKC", name))


def _with_symbols_named(text: str) -> str:
    visible = _INVISIBLE_MARKS.sub("", text)
    return "".join(f" {_name_of(char)} " if _is_symbol(char) else char for char in visible)


def _is_symbol(char: str) -> bool:
    """Return whether a character is seen, and neither letter nor punctuation; all of ASCII's count as the latter."""
    category = unicodedata.category(char)
    return not char.isascii() and (category[0] == "S" or category in ("Co", "Cn", "Cs"))


def _name_of(char: str) -> str:
    """Return a symbol's name in Unicode in small letters; the code of one that has none."""
    code = ord(char)
    return unicodedata.name(char, f"x{code - 0xDC00:x}" if code in _BYTES else f"u{code:x}").lower()


def _is_kept(char: str) -> bool:
    return (char.isalnum() and not shows_nothing(char)) or char in "_.-" or _is_mark(char)


def _is_mark(char: str) -> bool:
    return unicodedata.category(char)[0] == "M"


def _without_leading_marks(word: str) -> str:
    # Without a base they would be drawn over whatever stands before the name.
    return "".join(itertools.dropwhile(_is_mark, word))


def _shortened(words: str) -> str:
    data = words.encode()
    if len(data) <= _MAX_FOLDER_ID_BYTES:
        return words
    digest = hashlib.sha256(data).hexdigest()[:_DIGEST_CHARS]
    # A letter whose bytes are cut in two is left out.
    start = data[: _MAX_FOLDER_ID_BYTES - _DIGEST_CHARS - 1].decode(errors="ignore")
    return f"{start.rstrip('-.')}-{digest}"


def _as_ascii(text: str) -> str:
    """Return text of any script as ASCII: transliterated where ICU can, else letter by letter by their names."""
    # Soft signs and glottal stops come as quotation marks, and are no bounds of words.
    latin = re.sub("[\"'`]", "", _transliterator().transliterate(text))
    spelled = "".join(char if char.isascii() else _last_word(char) for char in latin)
    # A name of nothing but such signs is a name, too.
    return spelled if spelled.strip() else "".join(map(_last_word, text))


@cache
def _transliterator() -> "Transliterator":
    # Here and not above: most storyboards do without it.
    import icu

    return icu.Transliterator.createInstance(_TO_ASCII)


def _last_word(char: str) -> str:
    """Return what tells a letter from others of its script: `LAO LETTER THO TAM` is tam; a space for all else."""
    name = unicodedata.name(char, "")
    is_letter = char.isalnum() and unicodedata.category(char) != "Lm"
    if is_letter or (_is_mark(char) and not name.startswith("COMBINING")):
        return name.rpartition(" ")[2].lower()
    return "" if _is_mark(char) or char.isalpha() else " "
