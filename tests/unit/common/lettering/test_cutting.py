"""Text that is cut to some lines: as much as fits, whole words where they are words, and an ellipsis for the rest."""

import pytest

from pipelines.common.lettering.layout import Paragraph, cut_lines, flatten
from pipelines.common.lettering.typefaces import FontStack
from tests.support.letters import HOSTILE

STACK = FontStack()
ELLIPSIS = "\u2026"


def width_of(text: str) -> float:
    """Return the width of a text in one line."""
    return Paragraph(text, STACK).width


def cut(text: str, width: float, most: int = 2) -> list[str]:
    """Return the texts of the lines."""
    return [line.text for line in cut_lines(text, STACK, width, most=most)]


@pytest.mark.parametrize("width", [2, 6, 14])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_lines_fit_their_width(text: str, width: int) -> None:
    """Two at most, each measured; an ellipsis stands for what was left out."""
    lines = cut_lines(text, STACK, width, most=2)

    assert len(lines) <= 2
    # Two letters of one line are closer to each other than at its ends.
    assert all(line.width <= width + 0.05 for line in lines)
    shown = "".join(line.text for line in lines).replace(" ", "")
    assert shown == Paragraph(flatten(text), STACK).text.replace(" ", "") or shown.endswith(ELLIPSIS)


def test_a_text_breaks_at_words() -> None:
    """Line breaks of its own are spaces; the cut is told, without the comma before it."""
    width = width_of("a quiet harbor, ev")

    assert cut("a quiet\nharbor", width) == ["a quiet harbor"]
    assert cut("a quiet harbor in mist", width) == ["a quiet harbor in", "mist"]
    assert cut("a quiet harbor in mist a quiet harbor", width) == ["a quiet harbor in", f"mist a quiet ha{ELLIPSIS}"]
    assert cut("a quiet harbor, evening", width_of(f"a quiet harbor,{ELLIPSIS}"), 1) == [f"a quiet harbor{ELLIPSIS}"]


def test_a_word_wider_than_a_line_breaks_anywhere() -> None:
    """Between any two letters."""
    assert cut("w" * 6, width_of("wwww")) == ["wwww", "ww"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [("日本の港、夜明け", ["日本の港、", "夜明け"]), ("สวัสดีชาวโลก", ["สวัสดี", "ชาวโลก"])],
)
def test_a_script_without_spaces_breaks_where_its_words_do(text: str, lines: list[str]) -> None:
    """Nor does a comma begin a line."""
    assert cut(text, max(map(width_of, lines)) + 0.1) == lines


def test_letters_are_cut_with_their_marks() -> None:
    """Not between them."""
    assert cut("\u0e17\u0e35\u0e48" * 9, width_of("\u0e17\u0e35\u0e48" * 3 + ELLIPSIS), 1) == [
        "\u0e17\u0e35\u0e48" * 3 + ELLIPSIS
    ]


def test_a_cut_line_has_the_direction_of_its_paragraph() -> None:
    """Also where it begins with Hebrew; the ellipsis stands at the end of the paragraph's lines."""
    text = "harbors \u05e0\u05de\u05dc \u05e0\u05de\u05dc \u05e0\u05de\u05dc"

    first, last = cut_lines(text, STACK, width_of("harbors "), most=2)

    [ellipsis] = cut_lines(ELLIPSIS, STACK, 2, most=1)
    assert [first.right_to_left, last.right_to_left] == [False, False]
    assert last.text.endswith(ELLIPSIS)
    assert last.glyphs[-1].id == ellipsis.glyphs[0].id


def test_a_text_is_one_paragraph_without_controls() -> None:
    """Joiners and marks of direction stay: they change how letters are drawn."""
    assert flatten(" a\u2028b\x07\r\n c\ud800 \u200d\u202e ") == "a b c \u200d\u202e"
