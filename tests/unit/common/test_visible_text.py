"""Text that shows nothing is told from text that shows something."""

import pytest

from pipelines.common.visible_text import says_nothing, shows_nothing, strip_idle


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "\t\n\r", "\u00a0", "\u2003\u3000", "\u2028\u2029", "\u200b", "\u200d\u200c", "\ufeff", "\u2060\u00ad",
        "\u034f", "\u0301", "\u20e3", "\ufe0f", "\U000e0100", "\U000e0041", "\u180b\u180e", "\u115f\u1160", "\u3164",
        "\uffa0", "\u2800\u2800", "\U0001d159", "\u17b4\u17b5", "\u202e\u2069", "\u200e \u200f", "\x07", "\u2065",
        "\U00013441",
    ],
)  # fmt: skip
def test_text_without_anything_to_see_shows_nothing(text: str) -> None:
    """Separators, format characters, marks without a base, fillers: each alone, and some together."""
    assert shows_nothing(text)
    assert says_nothing(text)


@pytest.mark.parametrize(
    "text",
    ["a", "0", "ก", "ก็", "港", "한", "ש\u200f", "\u200ba", "é", "e\u0301", "½", "٣", "\u3164x", "\U00011f04"],
)
def test_a_letter_or_a_digit_of_any_script_says_something(text: str) -> None:
    """Among what shows nothing, too; and those of a Unicode newer than Python's."""
    assert not shows_nothing(text)
    assert not says_nothing(text)


@pytest.mark.parametrize(
    "text",
    ["-", "---", "***", "\u2026", ".", "=====", "\u2014\u2014", "\u00b7", "❤\ufe0f", "🌊🌊", "€", "\u25cc\u0301"],
)
def test_signs_show_but_say_nothing(text: str) -> None:
    """Rulers, ellipses, bullets, pictures."""
    assert not shows_nothing(text)
    assert says_nothing(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\u200ba harbor\u200b", "a harbor"),
        (" \ufeff\u00a0\u200b a\u200bb \u2060\u3000", "a\u200bb"),
        ("❤\ufe0f", "❤\ufe0f"),
        ("می\u200c", "می\u200c"),
        ("\u200bשלם.\u200f", "שלם.\u200f"),
        ("\u200b \ufeff", ""),
    ],
)
def test_only_what_does_nothing_is_stripped(text: str, expected: str) -> None:
    """Within a text it may part words; what acts on a letter stays at the ends, too."""
    assert strip_idle(text) == expected
