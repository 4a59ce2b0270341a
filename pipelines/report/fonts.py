"""The page's fonts: letters that a browser may lack are embedded into the report, and served beside the review page."""

import itertools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from pipelines.common.lettering.segmentation import split_letters
from pipelines.common.lettering.typefaces import FontStack, Typeface, embeddable, first_with
from pipelines.report.models import PageView

# Every browser has letters up to U+00FF: of English, and of the west of Europe (Unicode, "Latin-1 Supplement").
_UNCOMMON = re.compile("[^\0-\xff]")
_UNCOMMON_WORD = re.compile(r"\S*[^\0-\xff\s]\S*")
# A face of more characters is served in parts. Those are of Chinese, Japanese and Korean: their letters are not joined.
_MOST_IN_ONE = 10_000
_PART_BITS = 8


@dataclass(frozen=True, slots=True)
class PageFont:
    """Some characters of a typeface, which a page can load as a font.

    Attributes:
        face: draws them.
        characters: their code points.
    """

    face: Typeface
    characters: frozenset[int]

    @property
    def name(self) -> str:
        """A name for its file, by which it differs from the other fonts of a page."""
        return f"{self.face.family.replace(' ', '')}-{min(self.characters):x}.ttf"

    def build(self) -> bytes:
        """Return the font, as a file."""
        return self.face.subset(self.characters)

    def rule(self, address: str) -> str:
        """Return the rule of a style sheet by which a browser loads it for its characters (CSS Fonts, level 4)."""
        return (
            f"@font-face{{font-family:storyreel;font-weight:100 900;font-display:swap;src:url({address});"
            f"unicode-range:{_unicode_range(self.characters)}}}\n"
        )


def style_sheet(fonts: Iterable[PageFont], address: Callable[[PageFont], str]) -> str:
    """Return the style sheet of fonts, the given ones being asked for a letter in their order.

    Args:
        fonts: of a page.
        address: returns where a font is.
    """
    # Of two rules with one character in their ranges, the later one counts.
    return "".join(font.rule(address(font)) for font in reversed([*fonts]))


def fonts_of_page(page: PageView) -> list[PageFont]:
    """Return fonts of just those letters that a page shows and that a browser may lack."""
    words = {word for text in set(_texts_of(page)) for word in _UNCOMMON_WORD.findall(text)}
    letters = set(itertools.chain.from_iterable(map(split_letters, words)))
    faces = embeddable(page_language(page))
    characters: defaultdict[Typeface, set[int]] = defaultdict(set)
    for letter in filter(_UNCOMMON.search, letters):
        face = first_with(letter, faces)
        if face is not None:
            characters[face] |= {ord(character) for form in _forms(letter) for character in form}
    return [PageFont(face, frozenset(characters[face])) for face in faces if face in characters]


def _forms(letter: str) -> Iterator[str]:
    """Yield a letter, and what a browser may make of it before it draws it."""
    yield letter
    yield unicodedata.normalize("NFC", letter)
    # Thai's and Lao's vowel AM is taken apart.
    compatible = (char for char in letter if unicodedata.decomposition(char).startswith("<compat>"))
    yield from (unicodedata.normalize("NFKD", char) for char in compatible)


def all_fonts(language: str | None) -> list[PageFont]:
    """Return fonts of all letters that there are; of Chinese, Japanese and Korean ones as a language draws them."""
    return [font for face in embeddable(language) for font in _parts(face)]


def page_language(page: PageView) -> str | None:
    """Return the language of a page's texts: the storyboard's, else that whose letters they hold, if it is known."""
    return FontStack(language=page.language).for_text("".join(_texts_of(page))).language


def _parts(face: Typeface) -> Iterator[PageFont]:
    if len(face.characters) <= _MOST_IN_ONE:
        yield PageFont(face, frozenset(face.characters))
        return
    for _, group in itertools.groupby(sorted(face.characters), lambda character: character >> _PART_BITS):
        yield PageFont(face, frozenset(group))


def _texts_of(page: PageView) -> Iterator[str]:
    """Yield the texts of a page that people wrote."""
    yield from (page.title, page.storyboard, *page.remarks, *page.notes)
    for scene in page.scenes:
        yield scene.title
        for frame in scene.frames:
            yield from (frame.shot, frame.scene, frame.prompt, frame.caption or "")
            if frame.narration:
                yield frame.narration.text
            for take in frame.takes:
                yield from (take.prompt, *take.remarks)
            yield from (attempt.error or "" for attempt in frame.attempts)


def _unicode_range(characters: Collection[int]) -> str:
    """Return code points as a list of ranges: `U+e01-e3a,U+e3f`."""
    groups = itertools.groupby(enumerate(sorted(characters)), lambda pair: pair[1] - pair[0])
    ranges = ([character for _, character in group] for _, group in groups)
    return ",".join(f"U+{run[0]:x}-{run[-1]:x}" if len(run) > 1 else f"U+{run[0]:x}" for run in ranges)
