"""What YAML takes for something else than text, although it was surely meant as text, is noted with its place."""

import pytest
import yaml

from pipelines.common.errors import Note
from pipelines.storyboard.format import yaml_tree
from pipelines.storyboard.issues import MAX_ISSUES
from pipelines.storyboard.loader import load_storyboard
from tests.unit.storyboard.problems import Write, problems


def notes(write: Write, text: str) -> list[str]:
    """Return the notes on a storyboard, as the user reads them, without the folder."""
    path = write(text)
    return [str(note).replace(f"{path.parent}/", "") for note in load_storyboard(path).notes]


def cut(comment: str) -> str:
    return f"note: ends before {comment!r}, which YAML takes for a comment; put the text in quotes"


def sign(word: str) -> str:
    return f"note: begins behind {word!r}, which YAML takes for a sign of its own; put the text in quotes"


ENTRY = (
    "note: goes on with this line, which is indented further; line it up with the entry above if it is one of its own, "
    "else put the text in quotes"
)
SHOT = "scenes:\n  - id: s\n    shots:\n      - id: t\n        prompt: x\n        "


@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "prompts:\n  - a cat #1 on a hill\n  - b\n  - c #FF00FF\n",
            [f"2:11: prompts[0]: {cut(' #1 on a hill')}", f"4:7: prompts[2]: {cut(' #FF00FF')}"],
        ),
        ("title: The #1 film\r\nprompts: [x]\r\n", [f"1:12: title: {cut(' #1 film')}"]),
        ("title: 日本 😀 #1\nprompts: [x]", [f"1:13: title: {cut(' #1')}"]),
        ("prompts:\n  - a cat\n    on a hill #1\n", [f"3:15: prompts[0]: {cut(' #1')}"]),
        ("prompts: [\n  a dog,\n  a cat #1\n]", [f"3:9: prompts[1]: {cut(' #1')}"]),
        ("vars:\n  hour: six #1\n  n: 6 #am\nprompts: [x]", [f"2:13: vars.hour: {cut(' #1')}", f"3:8: vars.n: {cut(' #am')}"]),
        ("styles:\n  film: still #1\nprompts: [x]", [f"2:15: styles.film: {cut(' #1')}"]),
        ("defaults:\n  caption: no #1\nprompts: [x]", [f"2:15: defaults.caption: {cut(' #1')}"]),
        (SHOT + "caption: shop #5", [f"6:23: scenes.s.shots.t.caption: {cut(' #5')}"]),
        (SHOT + "caption: #5 in town", [f"6:18: scenes.s.shots.t.caption: {cut(' #5 in town')}"]),
        (SHOT + "fallback_prompts:\n          - y #1", [f"7:15: scenes.s.shots.t.fallback_prompts[0]: {cut(' #1')}"]),
        (SHOT + "matrix:\n          a:\n            - y #1", [f"8:17: scenes.s.shots.t.matrix.a[0]: {cut(' #1')}"]),
        ("scenes:\n  - title: no #1\n    shots:\n      - prompts:\n          0: y #2", [f"2:15: scenes[0].title: {cut(' #1')}", f"5:16: scenes[0].shots[0].prompts[0]: {cut(' #2')}"]),
        # One text that stands in two places.
        ("prompts:\n  - &cat a cat #1\n  - *cat", [f"2:16: prompts[0]: {cut(' #1')}"]),
        (f"title: x #{'y' * 100}\nprompts: [x]", [f"1:10: title: {cut(' #' + 'y' * 55 + '...')}"]),
        # Signs at the beginning, and an entry that is none.
        ("prompts:\n  - &cat and dog", [f"2:5: prompts[0]: {sign('&cat')}"]),
        ("prompts:\n  - ! a cat", [f"2:5: prompts[0]: {sign('!')}"]),
        ("prompts:\n  - a\n   - b\n", [f"3:4: prompts[0]: {ENTRY}"]),
    ],
)  # fmt: skip
def test_a_text_of_which_yaml_takes_a_part_for_something_else_is_noted(
    write: Write, monkeypatch: pytest.MonkeyPatch, loader: str, text: str, expected: list[str]
) -> None:
    """At the place of that part, in file order, each once, by both of PyYAML's parsers."""
    monkeypatch.setattr(yaml_tree, "_Loader", getattr(yaml, loader))

    assert notes(write, text) == [f"board.yaml:{note}" for note in expected]


@pytest.mark.parametrize(
    "text",
    [
        # Lined up, as comments are that are meant.
        "prompts:\n  - a cat  # the black one\n  - a dog\t# the brown one\n",
        "title: x   # y\nprompts: [x]",
        # No comments.
        "prompts:\n  - a cat#1\n  - 'a cat #1'\n  - \"a cat #1\"\n  - |\n    a cat #1\n  - >\n    a cat #1\n",
        # Behind what ends by itself.
        "prompts:\n  - 'a cat' # one\n  - \"a cat\" # one\n  - |  # one\n    a cat\n",
        "prompts: [a cat, a dog] # two\nvars: {a: b} # one",
        "prompts: # two\n  - a cat\n  # a comment\n  - a dog\n",
        # Words, names and numbers: one that is cut short is another, or none.
        "version: 1 # the first\nid: x # y\ndefaults:\n  hold: 2s # long\n  aspect: 1:1 # square\nprompts: [x]",
        "styles:\n  film: x\ndefaults:\n  style: film # as ever\ncaptions:\n  font: Noto Sans # any\nprompts: [x]",
        "output: {preset: youtube} # wide\nbudget:\n  usd: 1 # enough\nprompts: [x]",
        "prompts:\n  - !!str 12\n",
        # An anchor that is used, and nothing that is meant.
        "prompts:\n  - &cat a cat\n  - *cat\n",
        "defaults:\n  caption: ~ # none\nprompts: [x]",
    ],
)
def test_what_is_meant_as_it_is_read_is_not_noted(write: Write, text: str) -> None:
    """Comments that are lined up, or stand where no text can be cut short."""
    assert notes(write, text) == []


def test_a_note_is_a_value_of_the_storyboard(write: Write) -> None:
    """With its place apart from its words."""
    path = write("prompts:\n  - a cat #1\n")

    assert load_storyboard(path).notes == (Note(str(path), 2, 11, "prompts[0]", cut(" #1").removeprefix("note: ")),)


def test_notes_come_with_the_problems_of_a_storyboard_that_is_wrong(write: Write) -> None:
    """A prompt that is all comment explains why its shot has none."""
    path = write("scenes:\n  - shots:\n      - prompt: #1 a cat\n")

    assert problems(path) == [
        "board.yaml:3:9: scenes[0].shots[0]: has neither prompt nor prompts; add what it is to show",
        f"board.yaml:3:17: scenes[0].shots[0].prompt: {cut(' #1 a cat')}",
    ]


def test_of_very_many_notes_the_first_thousand_are_told(write: Write) -> None:
    """No reader gets through more."""
    path = write("prompts:\n" + "  - a cat #1\n" * (MAX_ISSUES + 5))

    found = load_storyboard(path).notes

    assert [note.line for note in found] == list(range(2, MAX_ISSUES + 2))
