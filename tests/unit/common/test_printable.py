"""Foreign text is printed and stored so that nothing in it acts on a terminal, and every letter stays."""

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.common.errors import Problem, StoryreelError
from pipelines.common.printable import one_line, printable, printable_json, printable_name

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=[]))
REAL = [
    "ปลากระป๋อง 🐟",
    "מלכת הים!",
    "\u200fמלכת\u200f",
    "👩‍🚀 👨‍👩‍👧‍👦 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "हिन्दी क्‍ष",
    "日本　語",
    "é e\u0301",
    "a\tb\nc",
]


@pytest.mark.parametrize("text", REAL)
def test_real_text_passes_untouched(text: str) -> None:
    """Marks, joiners and wide spaces are letters' own."""
    assert printable(text) == text
    assert printable_name(text.replace("\t", " ").replace("\n", " ")) == text.replace("\t", " ").replace("\n", " ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\x9b2J \x7f \r\n", "\\x9b2J \\x7f \\x0d\n"),
        ("safe\u202egnp.exe", r"safe\u202egnp.exe"),
        ("\u2066a\u2069\u2028b", r"\u2066a\u2069\u2028b"),
        ("half \ud83d of it", r"half \ud83d of it"),
        (os.fsdecode(b"odd\xff.yaml"), r"odd\xff.yaml"),
    ],
)
def test_what_a_terminal_would_obey_goes_by_its_code(text: str, expected: str) -> None:
    """Escapes, overrides, halves of characters, and bytes of file names that are no text."""
    assert printable(text) == expected


@given(ANY_TEXT)
@settings(max_examples=500)
def test_nothing_that_acts_gets_through(text: str) -> None:
    """Whatever it holds, it can be encoded, and holds no control but newline and tab."""
    shown = [printable(text), printable_name(text), one_line(text)]

    assert all(word.encode().decode() == word for word in shown)
    assert set("".join(shown)) & {chr(code) for code in [*range(32), *range(127, 160)]} <= {"\t", "\n"}
    assert not set("\t\n") & set(shown[1] + shown[2])


@given(st.dictionaries(ANY_TEXT, ANY_TEXT))
@settings(max_examples=300)
def test_json_says_the_same(values: dict[str, str]) -> None:
    """A program reads every character back, though none of them acts on the terminal that shows the JSON."""
    text = printable_json(json.dumps(values, indent=2, ensure_ascii=False))

    # A pair of halves is one character in JSON, whichever way it is written.
    assert json.loads(text) == json.loads(json.dumps(values))
    assert printable(text) == text


def test_an_error_is_printable_wherever_it_goes() -> None:
    """What prints, logs or stores it need not think of that."""
    error = StoryreelError("the endpoint says \x1b[2J")
    problem = Problem("a\x1b\n.yaml", 1, 2, "scenes.\u202ex", "unknown key '\x9b'")

    assert str(error) == r"the endpoint says \x1b[2J"
    assert str(problem) == r"a\x1b\x0a.yaml:1:2: scenes.\u202ex: unknown key '\x9b'"
