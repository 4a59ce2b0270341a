"""Typefaces: those that are installed with the program, for the scripts of the world, and those of this machine.

Source Sans Pro, Noto Sans, Noto Sans CJK and Noto Emoji (all SIL Open Font License 1.1) come from packages.
"""

import functools
import importlib.util
import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path

import uharfbuzz as hb

from pipelines.common.lettering.segmentation import is_emoji, is_ignorable

# Glyphs are measured in this many units to the em: fine enough for any size, and whole numbers as HarfBuzz has them.
UNITS = 1 << 16
_SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
# Name 16 joins what name 1 must split into families of four styles (OpenType, "name").
_FAMILY_NAMES = (hb.OTNameIdPredefined.FONT_FAMILY, hb.OTNameIdPredefined.TYPOGRAPHIC_FAMILY)
# Fonts under the Open Font License name it wherever they go.
_LICENSE_NAMES = (hb.OTNameIdPredefined.LICENSE, hb.OTNameIdPredefined.LICENSE_URL)
_FULL_NAME = hb.OTNameIdPredefined.FULL_NAME
# The faces of Noto Sans CJK, in the order of its file, by language and script.
_CJK_FACES = {"ja": 0, "ko": 1, "zh-Hans": 2, "zh-Hant": 3, "zh-Hant-HK": 4}
_DEFAULT_CJK = "zh-Hans"


class Weight(IntEnum):
    """The weight of letters (OpenType, "usWeightClass")."""

    REGULAR = 400
    SEMIBOLD = 600


class Typeface:
    """One face of a font's file."""

    def __init__(self, file: Path, index: int = 0) -> None:
        """Open a face; a file that is no font has no letters.

        Args:
            file: an OpenType font, or a collection of them.
            index: the face's place in a collection.
        """
        self.file = file
        self.index = index
        self._face = hb.Face(hb.Blob.from_file_path(os.fsencode(file)), index)

    @functools.cached_property
    def characters(self) -> hb.Set:
        """The code points that it has glyphs for."""
        return self._face.unicodes

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """Its family's names and its own, in small letters."""
        found = (self._face.get_name(kind) for kind in (*_FAMILY_NAMES, _FULL_NAME))
        return frozenset(name.casefold() for name in found if name)

    @property
    def family(self) -> str:
        """Its family's name, as it is written."""
        return self._face.get_name(_FAMILY_NAMES[1]) or self._face.get_name(_FAMILY_NAMES[0]) or self.file.stem

    @functools.cached_property
    def style(self) -> tuple[float, bool]:
        """Its weight, and whether it is slanted."""
        font = hb.Font(self._face)
        slanted = font.get_style_value(hb.StyleTag.ITALIC) > 0 or font.get_style_value(hb.StyleTag.SLANT_ANGLE) != 0
        return font.get_style_value(hb.StyleTag.WEIGHT), slanted

    def subset(self, characters: Iterable[int]) -> bytes:
        """Return a font of these code points alone, as the bytes of a file; they are joined and placed as before."""
        wanted = hb.SubsetInput()
        wanted.unicode_set.update(characters)
        wanted.name_id_set.update(_LICENSE_NAMES)
        return bytes(hb.subset(self._face, wanted).blob.data)

    def has(self, letter: str) -> bool:
        """Return whether it can draw a letter with all its marks."""
        return self._has_all(letter) or self._has_all(unicodedata.normalize("NFC", letter))

    def _has_all(self, letter: str) -> bool:
        return all(ord(character) in self.characters or is_ignorable(character) for character in letter)

    @functools.cache  # noqa: B019 - faces live as long as the program
    def font(self, weight: Weight) -> hb.Font:
        """Return the font that shapes and draws its letters, of `UNITS` to the em; as heavy as it can be had."""
        font = hb.Font(self._face)
        font.scale = (UNITS, UNITS)
        font.set_variations({"wght": float(weight)})
        return font


@dataclass(frozen=True, slots=True)
class FontStack:
    """Typefaces in the order in which they are asked for a letter.

    Attributes:
        weight: of the letters.
        family: the name of a family of this machine that is asked first; None for none.
        language: of the text, as a BCP 47 tag: Chinese, Japanese and Korean share letters, and draw them differently.
    """

    weight: Weight = Weight.REGULAR
    family: str | None = None
    language: str | None = None

    def for_text(self, text: str) -> "FontStack":
        """Return the stack for a text; where no language is stated, its letters may tell Japanese from Chinese."""
        return self if self.language else replace(self, language=_language_of(text))

    def face_for(self, letter: str) -> Typeface | None:
        """Return the typeface that draws a letter with all its marks; None where there is none, on this machine too."""
        return _face_for(self, letter)

    @property
    def faces(self) -> Sequence[Typeface]:
        """Its typefaces but for those of this machine that are not named, in their order."""
        named = find_installed(self.family, self.weight) if self.family else None
        return [*([named] if named else []), _source_sans(self.weight), *_noto(), _cjk(cjk_style(self.language))]


@functools.lru_cache(maxsize=100_000)
def _face_for(stack: FontStack, letter: str) -> Typeface | None:
    return first_with(letter, stack.faces) or next((face for face in installed() if face.has(letter)), None)


def first_with(letter: str, faces: Sequence[Typeface]) -> Typeface | None:
    """Return the first typeface that has a letter, that of emoji before all for one; None where none has it."""
    if is_emoji(letter):
        faces = [_emoji(), *faces]
    return next((face for face in faces if face.has(letter)), None)


def find_installed(family: str, weight: Weight) -> Typeface | None:
    """Return the typeface of this machine that has a name, the upright one nearest to a weight; None for none."""
    wanted = " ".join(family.split()).casefold()
    named = [face for face in (*installed(), *packaged()) if wanted in face.names]
    return min(named, key=lambda face: (face.style[1], abs(face.style[0] - weight)), default=None)


def installed_families() -> list[str]:
    """Return the families of this machine, the program's own included, in the order of the alphabet."""
    return sorted({face.family for face in (*installed(), *packaged())}, key=str.casefold)


def packaged() -> tuple[Typeface, ...]:
    """Return the typefaces that are installed with the program."""
    return (*map(_source_sans, Weight), *_noto(), _cjk(cjk_style(None)))


def embeddable(language: str | None) -> tuple[Typeface, ...]:
    """Return the packaged typefaces of which parts may be passed on, in their order.

    Source Sans Pro is not one: nothing that is made of it may bear its name (SIL Open Font License, 3).
    """
    return (*_noto(), _cjk(cjk_style(language)))


@functools.cache
def installed() -> tuple[Typeface, ...]:
    """Return the typefaces in this machine's folders of fonts, in the order of their paths."""
    return tuple(face for folder in _font_folders() for face in _faces_in(folder))


def _faces_in(folder: Path) -> Iterator[Typeface]:
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() in _SUFFIXES and file.is_file():
            count = hb.Face(hb.Blob.from_file_path(os.fsencode(file))).count
            yield from (Typeface(file, index) for index in range(count))


def _font_folders() -> list[Path]:
    """Return the folders where fonts are looked for (XDG Base Directory Specification; Apple, "Font locations")."""
    home = Path.home()
    if sys.platform == "darwin":
        return [home / "Library/Fonts", Path("/Library/Fonts"), Path("/System/Library/Fonts")]
    own = os.environ.get("XDG_DATA_HOME") or home / ".local/share"
    shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    return [home / ".fonts", *(Path(folder) / "fonts" for folder in (own, *shared.split(":")))]


@functools.cache
def _source_sans(weight: Weight) -> Typeface:
    face = "SourceSansPro-Semibold.ttf" if weight >= Weight.SEMIBOLD else "SourceSansPro-Regular.ttf"
    return Typeface(_package("font_source_sans_pro") / "files" / face)


@functools.cache
def _noto() -> tuple[Typeface, ...]:
    """Return Noto Sans, then that of each script, then symbols and emoji; none of them is italic."""
    files = [file for file in sorted(_package("manimgx_fonts").glob("Noto*.ttf")) if "Italic" not in file.name]

    def last(file: Path) -> tuple[bool, bool, bool]:
        return "Emoji" in file.name, "Symbols" in file.name, not file.name.startswith("NotoSans[")

    return tuple(map(Typeface, sorted(files, key=last)))


def _emoji() -> Typeface:
    return _noto()[-1]


@functools.cache
def _cjk(style: str) -> Typeface:
    [file] = _package("manimgx_fonts_cjk").glob("*.ttc")
    return Typeface(file, _CJK_FACES[style])


@functools.cache
def cjk_style(language: str | None) -> str:
    """Return how a language draws the letters that Chinese, Japanese and Korean share: `ja`, `ko`, `zh-Hant` ..."""
    import icu

    likely = icu.Locale.forLanguageTag(language or _DEFAULT_CJK)
    likely.addLikelySubtags()
    tag = likely.getLanguage()
    if tag == "zh":
        tag = f"zh-{likely.getScript()}" + ("-HK" if likely.getCountry() == "HK" else "")
    return tag if tag in _CJK_FACES else _DEFAULT_CJK


def _language_of(text: str) -> str | None:
    """Return the language that the letters of a text are of alone: kana is Japanese, hangul Korean; else None."""
    for character in text:
        if "\u3041" <= character <= "\u30ff":
            return "ja"
        if "\uac00" <= character <= "\ud7a3":
            return "ko"
    return None


def _package(name: str) -> Path:
    # Found without importing the package, which would list all of its files.
    package = importlib.util.find_spec(name)
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent
