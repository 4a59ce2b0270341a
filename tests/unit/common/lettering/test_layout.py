"""Text laid out: which font, where lines break, in which order, and that nothing is lost."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.common.lettering import typefaces
from pipelines.common.lettering.drawing import cover, outline
from pipelines.common.lettering.layout import Line, Paragraph, PlacedLine, break_lines, cut_lines
from pipelines.common.lettering.typefaces import FontStack, Weight, find_installed, installed_families
from pipelines.common.lettering.undrawable import find_undrawable
from pipelines.common.lettering.wrapping import LineLimits, break_text
from tests.support.letters import GREETINGS

STACK = FontStack(Weight.SEMIBOLD)
# As it is where the tests hide no fonts.
FONT_FOLDERS = typefaces._font_folders
WIDE = LineLimits(math.inf)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=80)


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


@pytest.mark.parametrize("text", GREETINGS.values(), ids=GREETINGS)
def test_the_letters_of_every_script_are_there(text: str) -> None:
    """From the packages, on any machine; no glyph is the one that fonts show in place of a letter."""
    [line] = break_lines(text, STACK, WIDE)

    assert find_undrawable(text, STACK) == []
    assert line.text == text
    assert all(glyph.id != 0 for glyph in line.glyphs)
    assert line.width > 0
    assert line.above > 0


def test_a_letter_that_no_font_has_is_shown_by_its_code() -> None:
    """So two texts never look alike for the lack of a font."""
    [line] = break_lines("a བ", STACK, WIDE)

    assert find_undrawable("a བོ ད a བོ", STACK) == ["བོ", "ད"]
    assert line.text == "a [U+0F56]"


def test_chinese_and_japanese_are_drawn_each_in_its_own_way() -> None:
    """By the language that is stated, else by the letters around them."""
    names = {
        language: FontStack(language=language).face_for("骨").family  # type: ignore[union-attr]
        for language in ("ja", "zh", "zh-TW", "zh-HK", "ko", "en")
    }

    assert names == {
        "ja": "Noto Sans CJK JP",
        "zh": "Noto Sans CJK SC",
        "zh-TW": "Noto Sans CJK TC",
        "zh-HK": "Noto Sans CJK HK",
        "ko": "Noto Sans CJK KR",
        "en": "Noto Sans CJK SC",
    }
    assert STACK.for_text("骨の話").face_for("骨").family == "Noto Sans CJK JP"  # type: ignore[union-attr]


def test_a_named_font_is_asked_first() -> None:
    """By any of its names, in whatever letters; what it lacks comes from the others."""
    stack = FontStack(Weight.SEMIBOLD, "noto  sans KHMER")

    assert find_installed("Noto Sans Khmer", Weight.SEMIBOLD) is stack.face_for("ជ")
    assert stack.face_for("ก").family == "Noto Sans Thai"  # type: ignore[union-attr]
    assert find_installed("Comic Sans MS", Weight.REGULAR) is None
    assert "Noto Sans Khmer" in installed_families()


def test_a_font_of_the_machine_draws_what_packages_lack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the folders of the desktop's standard; a file that is no font is none."""
    own, shared = tmp_path / "own/fonts/deep", tmp_path / "shared/fonts"
    for folder in (own, shared):
        folder.mkdir(parents=True)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "shared"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(typefaces, "_font_folders", FONT_FOLDERS)
    (shared / "broken.ttf").write_bytes(b"no font")
    face = STACK.face_for("ก")
    assert face is not None
    shutil.copy(face.file, own / "Copy.TTF")
    typefaces.installed.cache_clear()

    [copy] = typefaces.installed()

    typefaces.installed.cache_clear()
    assert (copy.file, copy.has("ก"), copy.has("a")) == (own / "Copy.TTF", True, False)
    assert copy.family == "Noto Sans Thai"


def test_joined_letters_are_shaped_by_their_neighbours() -> None:
    """Arabic letters in a word are other glyphs than alone."""
    [word] = break_lines("ببب", STACK, WIDE)
    [alone] = break_lines("ب", STACK, WIDE)

    assert len({glyph.id for glyph in word.glyphs}) >= 3
    assert {glyph.id for glyph in alone.glyphs} - {glyph.id for glyph in word.glyphs}


def test_a_combining_mark_is_drawn_as_its_letter_is() -> None:
    """A letter with its mark beside it looks as the one that Unicode has composed."""
    [composed], [apart] = (break_lines(text, STACK, WIDE) for text in ("é", "e\u0301"))

    assert [glyph.id for glyph in composed.glyphs] == [glyph.id for glyph in apart.glyphs]


def test_lines_keep_to_their_room() -> None:
    """To the width, and to the number of letters; words that are wider than a line are broken."""
    lines = break_lines("one two three " + "w" * 30, STACK, LineLimits(100, 8))

    assert texts(lines) == ["one two", "three", "wwwwwwww", "wwwwwwww", "wwwwwwww", "wwwwww"]
    assert all(line.width <= 6 for line in break_lines("word " * 50, STACK, LineLimits(6)))


def test_even_lines_are_no_more_than_there_must_be() -> None:
    """And the widest of them is as narrow as can be."""
    text = "It was six in the morning and nobody was up but the keeper"
    full = break_lines(text, STACK, LineLimits(100, 42))
    even = break_lines(text, STACK, LineLimits(100, 42), even=True)

    assert texts(full) == ["It was six in the morning and nobody was", "up but the keeper"]
    assert texts(even) == ["It was six in the morning and", "nobody was up but the keeper"]


def test_a_text_breaks_where_it_has_line_breaks() -> None:
    """Of every kind; an empty line stays."""
    lines = break_lines("one\r\ntwo\n\nfour\u2028five\tsix", STACK, WIDE)

    assert texts(lines) == ["one", "two", "", "four", "five six"]


def test_what_does_not_fit_ends_in_an_ellipsis() -> None:
    """In the last line, without the comma before it."""
    lines = cut_lines("A gull, on the railing,  of a\nship", STACK, 5.3, most=2)

    assert texts(lines) == ["A gull, on", "the railin…"]
    assert texts(cut_lines("short", STACK, 5.3, most=2)) == ["short"]
    assert all(line.width <= 5.3 for line in lines)
    assert cut_lines("  \n ", STACK, 5.3, most=2) == []


@settings(max_examples=200, deadline=None)
@given(ANY_TEXT, st.integers(1, 50))
def test_no_word_is_lost_where_lines_break(text: str, columns: int) -> None:
    """But for the spaces between lines."""
    lines = break_text(text, columns)

    assert "".join("".join(lines).split()) == "".join(text.split())


@settings(max_examples=200, deadline=None)
@given(ANY_TEXT)
def test_any_text_can_be_laid_out_and_drawn(text: str) -> None:
    """Whatever is in it."""
    lines = break_lines(text, STACK, LineLimits(10, 20), even=True)

    placed = [PlacedLine(line, 5, 20) for line in lines]
    assert cover(placed, (60, 30), 12).shape == (30, 60)


def test_ink_is_where_it_is_placed_and_nowhere_else() -> None:
    """And what is outside of the picture is cut off."""
    [line] = break_lines("H", STACK, WIDE)
    alone = cover([PlacedLine(line, 10, 30)], (60, 40), 20)
    moved = cover([PlacedLine(line, 40, 35)], (60, 40), 20)

    assert alone.max() == 255
    assert (alone[10:35, 5:25] == moved[15:40, 35:55]).all()
    assert alone[:10].max() == alone[31:].max() == alone[:, 26:].max() == 0
    assert cover([PlacedLine(line, 100, 30), PlacedLine(line, -50, -50)], (60, 40), 20).max() == 0


def test_an_outline_reaches_as_far_as_it_is_told() -> None:
    """On every side."""
    [line] = break_lines("I", STACK, WIDE)
    placed = [PlacedLine(line, 20, 40)]
    inked = cover(placed, (60, 60), 30) > 127
    edged = outline(placed, (60, 60), 30, reach=3) > 127

    rows, columns = (np.flatnonzero(inked.any(axis=axis)) for axis in (1, 0))
    outer_rows, outer_columns = (np.flatnonzero(edged.any(axis=axis)) for axis in (1, 0))
    assert abs(int(rows[0] - outer_rows[0]) - 3) <= 1
    assert abs(int(outer_rows[-1] - rows[-1]) - 3) <= 1
    assert abs(int(columns[0] - outer_columns[0]) - 3) <= 1
    assert abs(int(outer_columns[-1] - columns[-1]) - 3) <= 1


def test_a_paragraph_is_as_wide_as_its_line() -> None:
    """Measured letter by letter, or drawn in one line."""
    for text in GREETINGS.values():
        paragraph = Paragraph(text, STACK)
        [line] = paragraph.lines(WIDE)
        assert paragraph.width == pytest.approx(line.width, abs=0.02)
