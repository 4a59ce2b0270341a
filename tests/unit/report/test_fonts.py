"""The page's fonts: each letter that a browser may lack is in one, and little else; nothing else is passed on."""

import re
from dataclasses import replace

import pytest
import uharfbuzz as hb
from hypothesis import given

from pipelines.common.lettering.typefaces import embeddable
from pipelines.report.fonts import PageFont, all_fonts, fonts_of_page, style_sheet
from pipelines.report.page import render_report
from tests.support.letters import ALPHABETS, GREETINGS, words
from tests.support.report_samples import attempt, frame, page, take


def fonts_of(text: str) -> list[PageFont]:
    """Return the fonts of a page that says a text."""
    return fonts_of_page(page(frame(0, prompt=text)))


def shaped(font: hb.Face, text: str) -> list[int]:
    """Return how wide the glyphs of a text are; a glyph that a font lacks counts as -1."""
    buffer = hb.Buffer()
    buffer.add_str(text)
    buffer.guess_segment_properties()
    hb.shape(hb.Font(font), buffer)
    pairs = zip(buffer.glyph_infos, buffer.glyph_positions, strict=True)
    return [position.x_advance if info.codepoint else -1 for info, position in pairs]


def whole(font: PageFont) -> hb.Face:
    """Return what a font is a part of."""
    return hb.Face(hb.Blob.from_file_path(font.face.file), font.face.index)


def test_a_page_in_english_needs_no_font() -> None:
    """Nor does one with the letters of the west of Europe."""
    english = "".join(render_report(page(title="Caf\u00e9 \u00fcber \u00a1Se\u00f1or!")))

    assert "@font-face" not in english


@pytest.mark.parametrize("alphabet", ALPHABETS.values(), ids=ALPHABETS.keys())
def test_the_letters_that_a_page_shows_are_in_a_font(alphabet: str) -> None:
    """And no other ones."""
    uncommon = {ord(letter) for letter in alphabet if letter > "\u00ff"}

    [font] = fonts_of(f"a {alphabet} b")

    assert font.characters == uncommon
    assert set(hb.Face(font.build()).unicodes) >= uncommon


@pytest.mark.parametrize("text", [*GREETINGS.values(), "\u0e25\u0e33", "\u0ea5\u0eb3", "\u0ba4\u0bcb", "\u092b\u093c"])
def test_a_browser_that_takes_letters_apart_finds_their_parts(text: str) -> None:
    """Shaped as browsers do it, no letter of any script is a box: Thai's vowel AM is two for the font."""
    for font in fonts_of(text):
        part = hb.Face(font.build())
        runs = re.findall(f"[{''.join(map(chr, sorted(font.characters)))}]+", text)
        assert runs
        assert all(-1 not in shaped(part, run) for run in runs)


@given(word=words())
def test_a_part_of_a_font_shapes_as_the_whole(word: str) -> None:
    """In every script."""
    for font in fonts_of(word):
        shown = "".join(letter for letter in word if ord(letter) in font.characters)

        assert shaped(hb.Face(font.build()), shown) == shaped(whole(font), shown)


@pytest.mark.parametrize("text", ["क्षत्रिय", "កម្ពុជា", "ကြိုဆို", "مرحبا"])
def test_joined_letters_are_joined_in_a_part(text: str) -> None:
    """As in the whole font, with a glyph for each."""
    [font] = fonts_of(text)

    part = shaped(hb.Face(font.build()), text)
    assert part == shaped(whole(font), text)
    assert -1 not in part


def test_a_letter_and_its_marks_are_in_one_font() -> None:
    """A browser draws them together, or composes them first."""
    sans, emoji = fonts_of("e\u0301 1\ufe0f\u20e3")

    assert sans.characters == {ord("e"), 0x301, 0xE9}
    assert emoji.characters == {ord("1"), 0xFE0F, 0x20E3}


def test_every_text_of_a_page_counts() -> None:
    """Titles, captions, takes, errors, remarks and notes."""
    view = page(
        frame(0, prompt="ก", caption="ข", shot="ค", takes=0, attempts=(attempt(status="failed", error="ง"),)),
        replace(frame(1), takes=(take(prompt="จ", remarks=("ฉ",)),)),
        title="ช",
        storyboard="ซ",
        remarks=("ฌ",),
        notes=("ญ",),
    )

    assert [font.characters for font in fonts_of_page(view)] == [frozenset(map(ord, "กขคงจฉชซฌญ"))]


def test_kana_decides_how_han_is_drawn() -> None:
    """As Japanese, also where it stands by itself elsewhere on the page; hangul, as Korean."""
    families = [
        fonts_of_page(page(frame(0, prompt=text), frame(1, prompt="港")))[-1].face.family
        for text in ("港の朝", "항구", "港口")
    ]

    assert families == ["Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans CJK SC"]


def test_fonts_are_small() -> None:
    """Those of one script some KB; those of Chinese less than a KB for each character."""
    [thai], [han] = fonts_of("สวัสดีชาวโลก ท่าเรือยามเช้า"), fonts_of("".join(map(chr, range(0x4E00, 0x4E00 + 500))))

    assert len(thai.build()) < 10_000
    assert len(han.build()) < 500 * 1000


def test_nothing_is_passed_on_but_noto() -> None:
    """No font of this machine, and none whose name parts of it may not bear; each names its license."""
    fonts = fonts_of("ž \U00010348 \ue000")

    assert [font.face.family for font in fonts] == ["Noto Sans"]
    assert "Open Font License" in hb.Face(fonts[0].build()).get_name(hb.OTNameIdPredefined.LICENSE)


def test_all_fonts_together_have_all_letters() -> None:
    """Each under a name of its own; none that is larger than its script needs."""
    fonts = all_fonts("ja")

    names = [font.name for font in fonts]
    assert len(set(names)) == len(names)
    assert {"NotoSansThai-0.ttf", "NotoSansCJKJP-4e00.ttf"} <= set(names)
    wanted = {character for face in embeddable("ja") for character in face.characters}
    assert set().union(*(font.characters for font in fonts)) == wanted
    assert max(len(font.characters) for font in fonts) < 5000


def test_the_style_sheet_names_characters_by_ranges() -> None:
    """The font that comes first counts, so its rule is the last."""
    sheet = style_sheet(fonts_of("αβγ ζ ก"), lambda font: font.name)

    assert re.findall(r"src:url\((.*?)\);unicode-range:(.*?)}", sheet) == [
        ("NotoSansThai-e01.ttf", "U+e01"),
        ("NotoSans-3b1.ttf", "U+3b1-3b3,U+3b6"),
    ]
