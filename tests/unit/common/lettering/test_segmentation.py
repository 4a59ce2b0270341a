"""Letters, line breaks and directions, by Unicode's rules."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.common.lettering.segmentation import (
    DirectedRun,
    Directions,
    count_columns,
    is_emoji,
    line_breaks,
    split_letters,
    split_scripts,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("cat", ["c", "a", "t"]),
        ("e\u0301a", ["e\u0301", "a"]),
        ("👩\u200d👩\u200d👧 x", ["👩\u200d👩\u200d👧", " ", "x"]),
        ("🇩🇪🇫🇷", ["🇩🇪", "🇫🇷"]),
        ("नमस्ते", ["न", "म", "स्ते"]),
        ("ที่", ["ที่"]),
        ("a\r\nb", ["a", "\r\n", "b"]),
        ("", []),
    ],
)
def test_letters_are_those_that_readers_count(text: str, letters: list[str]) -> None:
    """With all their marks, also beyond U+FFFF."""
    assert split_letters(text) == letters


@settings(deadline=None)
@given(TEXT)
def test_no_letter_is_lost(text: str) -> None:
    """Joined again, they are the text."""
    assert "".join(split_letters(text)) == text


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a red cat", ["a ", "red ", "cat"]),
        ("สวัสดีชาวโลก", ["สวัสดี", "ชาว", "โลก"]),
        ("夜明け。", ["夜", "明", "け。"]),
        ("🌅 ok 🌅x", ["🌅 ", "ok ", "🌅", "x"]),
        ("", []),
    ],
)
def test_lines_break_where_a_script_allows(text: str, parts: list[str]) -> None:
    """Between the words of Thai, anywhere in Japanese but before its full stop."""
    places = [0, *line_breaks(text)]

    assert [text[start:end] for start, end in itertools.pairwise(places)] == parts


def test_a_line_of_hebrew_begins_at_the_right() -> None:
    """Its full stop is at its left end; numbers and English within it run to the right."""
    text = "שלום abc 12."
    directions = Directions(text)

    runs = directions.visual_runs(0, len(text))

    assert directions.right_to_left
    assert [(text[run.start : run.end], run.right_to_left) for run in runs] == [
        (".", True),
        ("abc 12", False),
        ("שלום ", True),
    ]


def test_a_paragraph_keeps_its_direction_on_every_line() -> None:
    """Its second line is one of a right-to-left paragraph, though it holds English only."""
    text = "שלום 🌅 english."

    assert Directions(text).visual_runs(7, len(text)) == [DirectedRun(14, 15, True), DirectedRun(7, 14, False)]


@settings(deadline=None)
@given(TEXT)
def test_every_character_is_in_one_run(text: str) -> None:
    """Whatever the directions, a line shows all of its text once."""
    runs = Directions(text).visual_runs(0, len(text))

    assert sorted(place for run in runs for place in range(run.start, run.end)) == list(range(len(text)))


def test_digits_belong_to_the_script_beside_them() -> None:
    """So a word is shaped in one piece."""
    assert split_scripts(list("1ก2 aя")) == ["Thai", "Thai", "Thai", "Thai", "Latn", "Cyrl"]


def test_wide_letters_take_two_columns() -> None:
    """As East Asian typography counts them."""
    assert [count_columns(letter) for letter in ("a", "é", "中", "한", "🌅", "ｶ")] == [1, 1, 2, 2, 2, 1]


@pytest.mark.parametrize(("letter", "emoji"), [("🌅", True), ("❤\ufe0f", True), ("❤", False), ("1\ufe0f\u20e3", True)])
def test_an_emoji_is_told_from_a_sign(letter: str, emoji: bool) -> None:
    """A heart is a sign among text, unless it asks to be an emoji."""
    assert is_emoji(letter) is emoji
