"""What YAML cannot read is told in plain words, with its cure and its place, and by both of PyYAML's parsers alike."""

import re

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.common.errors import StoryboardError
from pipelines.storyboard.format import yaml_tree
from pipelines.storyboard.format.yaml_errors import YamlError, yaml_error
from pipelines.storyboard.format.yaml_tree import parse_yaml
from pipelines.storyboard.loader import load_text
from tests.unit.storyboard.problems import Write, problems

LOADERS = ["CSafeLoader", "SafeLoader"]
# Words of YAML's grammar, and of its parsers' insides.
JARGON = re.compile(
    r"context|token|scalar|block (end|mapping|collection)|flow (mapping|sequence)|simple key|indicator|<|stream|node|"
    r"did not find|document start"
)
QUOTES = "put the text in quotes: it"
NO_KEY = "is no key with a colon and a space after it; write `key: value`, or put a text of several lines in quotes"
TAB = "is a tab, where YAML takes spaces only; indent with spaces"
NO_INDENT = "is indented like no line above; line it up with the entries or keys that it belongs to"
CONTINUES = "is indented further than the line above, whose text it continues; line the two up"
COMMA = "stands after an entry that has ended; put a comma before it, or the whole text in quotes"
INSTRUCTION = "a line that begins with % is an instruction to YAML, which no storyboard needs; remove it"


def after_quote(within: str) -> str:
    return f"stands after the text's closing quote; put all of the text in quotes, with {within} for a quote in it"


def unclosed(quote: str) -> str:
    return f"is a quote ({quote}) that is never closed; add {quote} at the end of the text, or put it in other quotes"


def cut(comment: str) -> str:
    return f"{comment!r} is a comment, which ends the text; put the text in quotes"


@pytest.fixture(params=LOADERS)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Read with one of the two parsers."""
    monkeypatch.setattr(yaml_tree, "_Loader", getattr(yaml, request.param))
    return str(request.param)


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Colons.
        ("title: T\ncaption: no. 1: noodles\n", f"2:15: {QUOTES} holds a colon and a space"),
        ("title: T\r\ncaption: 😀 no. 1: noodles\r\n", f"2:17: {QUOTES} holds a colon and a space"),
        ("prompts:\n  - wide: close: x\n", f"2:16: {QUOTES} holds a colon and a space"),
        ("a: {caption: no. 1: noodles}\n", f"1:19: {QUOTES} holds a colon and a space"),
        ("a: [no: 1: noodles]\n", f"1:10: {QUOTES} holds a colon and a space"),
        ("a: [\n  x: y: z,\n  b\n]\n", f"2:7: {QUOTES} holds a colon and a space"),
        ("title: x:\n", f"1:9: {QUOTES} ends with a colon"),
        (f"- {'a' * 1100}: b\n", f"1:1103: {QUOTES} holds a colon and a space"),
        # Characters that YAML keeps for itself.
        ("prompts:\n  - @cat\n", f"2:5: {QUOTES} begins with '@'"),
        ("prompts:\n  - `cat`\n", f"2:5: {QUOTES} begins with '`'"),
        ("prompts:\n  - %cat\n", f"2:5: {QUOTES} begins with '%'"),
        ("prompts: [a, @b]\n", f"1:14: {QUOTES} begins with '@'"),
        ("prompts:\n  - *cat* walks\n", f"2:5: {QUOTES} begins with '*'"),
        ("prompts:\n  - **bold** cat\n", f"2:5: {QUOTES} begins with '*'"),
        ("prompts:\n  - *cat walks\n", "2:5: *cat names no anchor before it; write &cat there, or put a text that begins with * in quotes"),
        ("prompts:\n  - & cat\n", f"2:5: {QUOTES} begins with '&'"),
        ("a: &x &y b\n", f"1:4: {QUOTES} begins with '&'"),
        ("prompts:\n  - !{} a\n", f"2:5: {QUOTES} begins with '!'"),
        ("prompts:\n  - !a!b c\n", f"2:5: {QUOTES} begins with '!'"),
        ("prompts:\n  - !wow a cat\n", f"2:5: {QUOTES} begins with '!'"),
        ("prompts:\n  - | a cat\n", f"2:5: {QUOTES} begins with '|'"),
        ("prompts:\n  - |0\n    cat\n", f"2:5: {QUOTES} begins with '|'"),
        ("prompts:\n  - >>> cat\n", f"2:5: {QUOTES} begins with '>'"),
        ("prompts: ? a\n", f"1:10: {QUOTES} begins with '?'"),
        ("prompts:\n  - , a\n", f"2:5: {QUOTES} begins with ','"),
        ("prompts:\n  - ] a\n", f"2:5: {QUOTES} begins with ']'"),
        ("prompts:\n  - [wide] a cat\n", f"2:5: {QUOTES} begins with '['"),
        ("prompts:\n  - {{ mood }} cat\n", f"2:5: {QUOTES} begins with '{{{{'"),
        ("prompts:\n  - {{ mood }}\n", f"2:5: {QUOTES} begins with '{{{{'"),
        ("prompt: {% if x %}a{% endif %}\n", f"1:9: {QUOTES} begins with '{{%'"),
        ("prompts: - a\n", "1:10: begin the list on the next line; or, if it is a text that begins with -, put it in quotes"),
        # Quotes.
        ('prompts:\n  - "wide\n  - b\n', f"2:5: {unclosed(chr(34))}"),
        ("prompts:\n  - 'wide\n  - b\n", f"2:5: {unclosed(chr(39))}"),
        ('prompts: ["a\n---\nb"]\n', f"1:11: {unclosed(chr(34))}"),
        ("prompts:\n  - 'it's a cat'\n  - b\n", f"2:9: {after_quote(chr(39) * 2)}"),
        ('prompts:\n  - "wide" a cat\n', rf"2:12: {after_quote(chr(92) + chr(34))}"),
        ('prompt: "wide" a cat\nb: c\n', rf"1:16: {after_quote(chr(92) + chr(34))}"),
        ('prompts: ["C:\\path"]\n', r"1:14: \p means nothing in double quotes; write \\p, or use single quotes"),
        ('prompts: ["\\xzz"]\n', r"1:12: \x takes 2 hexadecimal digits; write them, or \\x, or use single quotes"),
        ('prompts: ["\\u12"]\n', r"1:12: \u takes 4 hexadecimal digits; write them, or \\u, or use single quotes"),
        ('a: "b \\UFFFFFFFF"\n', r"1:7: \UFFFFFFFF is no character: the last is \U0010ffff; write another"),
        # Brackets and braces.
        ("prompts: [a, b\ntitle: x\n", "1:10: is never closed; add ] at its end"),
        ("prompts: [a, b\n", "1:10: is never closed; add ] at its end"),
        ("prompts: [a,\n", "1:10: is never closed; add ] at its end"),
        ("output: {fps: 12\ntitle: x\n", "1:9: is never closed; add } at its end"),
        ("output: {fps:", "1:9: is never closed; add } at its end"),
        ("a:\n  - {b: c\n  - {d: e}\n", "2:5: is never closed; add } at its end"),
        ("output: {fps: 12]\n", "1:17: is ], but { was opened last; write }"),
        ("prompts: [a]]\n", "1:13: is ], which closes nothing; remove it, or put the text in quotes"),
        ("{a: b}}\n", "1:7: is }, which closes nothing; remove it, or put the text in quotes"),
        ('a: ["b" "c"]\n', f"1:9: {COMMA}"),
        ("a: {b: c\n d: e}\n", f"2:3: {COMMA}"),
        ("a: [b, , c]\n", "1:8: is a comma without an entry before it; remove it"),
        # Comments that end a text which goes on.
        ("prompts: [a cat #1, a dog]\n", f"1:17: {cut(' #1, a dog]')}"),
        ("prompts: [\n a cat #1,\n a dog]\n", f"2:8: {cut(' #1,')}"),
        ("prompts:\n  - a cat #1\n    on a hill\n", f"2:11: {cut(' #1')}"),
        ("prompt: a cat #1\n  on a hill\nb: c\n", f"1:15: {cut(' #1')}"),
        # Indentation.
        ("scenes:\n\t- a: b\n", f"2:1: {TAB}"),
        ("scenes:\n  - a: b\n\tc: d\n", f"3:1: {TAB}"),
        ("a: |\n  x\n\ty\n", f"3:1: {TAB}"),
        ("prompts:\n  -\ta\n", f"2:4: {TAB}"),
        ("scenes:\n  - id: a\n   title: b\n", f"3:4: {NO_INDENT}"),
        ("prompts:\n  - a\n - b\n", f"3:2: {NO_INDENT}"),
        ('- id: "a"\n    title: b\n', f"2:5: {NO_INDENT}"),
        ("scenes:\n  - id: a\n      title: b\n", f"3:7: {CONTINUES}"),
        ("title: x\n\n  prompts: [a]\n", f"3:3: {CONTINUES}"),
        ("title: x\r\n  prompts: [a]\r\n", f"2:3: {CONTINUES}"),
        ("  title: x\nprompts: [a]\n", "2:1: is indented less than the first line; line the two up"),
        ("title: x\n- a\n", "2:1: is an entry of a list among keys; indent it under the key that it belongs to"),
        ("- a\ntitle: x\n", "2:1: is a key among the entries of a list; line it up with the key that it belongs beside"),
        # Keys.
        ("title: x\nprompts\n", f"2:1: {NO_KEY}"),
        ("title x\nprompts: [a]\n", f"1:1: {NO_KEY}"),
        ("a: >\n  x\n y\nb: c", f"3:2: {NO_KEY}"),
        ("title:x\nprompts: [a]\n", "1:1: put a space after the colon: `title: ...`"),
        ("title: x\nprompts:[a]\n", "2:1: put a space after the colon: `prompts: ...`"),
        ("a: b\n: c\n", "2:1: is a colon without a key before it; write the key"),
        ("<<: {a: 1}", "1:1: merge keys (<<) are not supported; use `defaults`, which scenes and shots inherit"),
        # Documents.
        ("title: x\n...\nprompts: [a]\n", "3:1: stands after the storyboard's end (...); remove the line with the dots"),
        ("a: 1\n---\nb: 2", "2:1: a second document starts here; a storyboard is one document, drop the ---"),
        ("%cat\ntitle: x\n", f"1:1: {INSTRUCTION}"),
        ("%YAML 3.0\n---\ntitle: x\n", f"1:1: {INSTRUCTION}"),
        ("```yaml\ntitle: x\n```\n", "1:1: is a code fence (```), which is no part of a storyboard; remove the line"),
    ],
)  # fmt: skip
def test_every_mistake_has_its_place_and_its_cure(text: str, expected: str) -> None:
    """The same words and the same place, whichever parser reads it."""
    with pytest.raises(YamlError) as caught:
        parse_yaml(text)

    assert f"{caught.value.mark.line}:{caught.value.mark.column}: {caught.value}" == expected


def test_an_error_of_no_known_kind_is_told_in_plain_words() -> None:
    """A later version of PyYAML may have other kinds."""
    error = yaml_error(yaml.YAMLError("expected <novelty>"), "a: b")

    assert (error.mark, str(error)) == (
        (1, 1),
        "is not valid YAML here; check the indentation, the quotes and the brackets of this line",
    )


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("wide shot: a harbor", "must be text, got a mapping; put the text in quotes: it holds a colon and a space"),
        ("a harbor:", "must be text, got a mapping; put the text in quotes: YAML takes it for a key"),
        ("? a harbor", "must be text, got a mapping; put the text in quotes: YAML takes it for a key"),
        ("{wide} a harbor", None),
        ("[a harbor]", "must be text, got a list; put a text that begins with [ or - in quotes"),
        ("- a harbor", "must be text, got a list; put a text that begins with [ or - in quotes"),
        ("~", "must be text, got nothing; write it, in quotes where it begins with #"),
        (
            "prompt: a harbor",
            "must be text, got a mapping; write the text alone, or shots with their keys under `scenes`",
        ),
        ("{scene: a, hold: 2}", "must be text, got a mapping"),
        ("true", 'must be text, got true; put it in quotes: "true"'),
    ],
)
def test_what_yaml_takes_for_something_else_than_text_is_told_with_quotes(
    write: Write, prompt: str, expected: str | None
) -> None:
    """It is legal YAML, and no text."""
    found = problems(write(f"prompts:\n  - {prompt}\n"))

    if expected is None:
        assert found == ["board.yaml:2:5: put the text in quotes: it begins with '{'"]
    else:
        assert found[0] == f"board.yaml:2:5: prompts[0]: {expected}"


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("scalar", "text"),
    [
        (r'"a \ud83c\udf0a b"', "a 🌊 b"),
        (r'"\uD83C\uDF0A\ud83d\ude00"', "🌊😀"),
        (r'"\U0000d83c\U0000df0a"', "🌊"),
        (r'"a\/b \ud83c\udf0a"', "a/b 🌊"),
        ('"\\ud83c\\udf0a \\x41\n  b"', "🌊 A b"),
        ('&x "\\ud83c\\udf0a"', "🌊"),
        (r'"\\ud83c"', r"\ud83c"),
        (r'"\\ud83c \ud83c\udf0a \ue000"', "\\ud83c 🌊 \ue000"),
        (r"a \ud83c\udf0a \ue000 \Uffffffff", r"a \ud83c\udf0a \ue000 \Uffffffff"),
        (r"'a \ud83c'", r"a \ud83c"),
        ("|\n  a \\ud83c\n  \\ue000", "a \\ud83c\n\\ue000"),
        (r'"\ud83c \udf0a"', "\ud83c \udf0a"),
    ],
)
def test_characters_in_two_halves_are_read_as_json_writes_them(scalar: str, text: str) -> None:
    """In double quotes only; elsewhere a backslash is a backslash."""
    assert parse_yaml(f"a: {scalar}").data == {"a": text}


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("key", ["title", "caption", "prompt", "id", "style"])
def test_half_a_character_is_refused_wherever_it_stands(write: Write, key: str) -> None:
    """Neither a request nor a file can hold it."""
    values = {"prompt": "x", key: '"a\\udf0a"'}
    title = f"title: {values.pop('title')}\n" if key == "title" else ""
    shot = ", ".join(f"{name}: {value}" for name, value in values.items())

    found = problems(write(f"{title}scenes: [{{shots: [{{{shot}}}]}}]\n"))

    assert len(found) == 1
    assert re.search(r"holds half of a surrogate pair, which is no character|must be lower-case words", found[0])


@settings(max_examples=400, deadline=None)
@given(text=st.text(alphabet=" \t\n#-:?,[]{}&*!|>'\"%@`\\abcu019\r\x85\u2028~", max_size=40))
@example("a: {b: c]")
@example('"')
def test_no_word_of_a_parser_reaches_the_user(text: str) -> None:
    """Whatever is wrong."""
    errors = [str(error) for error in map(_error, [text] * 2, LOADERS) if error]

    assert [error for error in errors if JARGON.search(error)] == []


def _error(text: str, loader: str) -> YamlError | None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml_tree, "_Loader", getattr(yaml, loader))
        try:
            parse_yaml(text)
        except YamlError as exc:
            return exc
    return None


PRINTABLE = st.text(alphabet=st.characters(codec="utf-8").filter(str.isprintable), min_size=1, max_size=60)
TRICKY = st.text(alphabet=" #-:?,[]{}&*!|>'\"%@`\\abc01~=<.", min_size=1, max_size=30)
STYLES = {
    "plain": lambda text: text,
    "single": lambda text: "'" + text.replace("'", "''") + "'",
    "double": lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"',
}


@pytest.mark.parametrize("style", STYLES)
@settings(max_examples=300, deadline=None)
@given(text=PRINTABLE | TRICKY)
@example("&cat and dog")
@example("! a cat")
@example("a cat #1")
@example("a: b")
def test_a_prompt_comes_out_as_it_went_in_or_something_is_said(
    tmp_path_factory: pytest.TempPathFactory, style: str, text: str
) -> None:
    """Nothing of a text is lost in silence: it is the prompt, or there is an error or a note."""
    path = tmp_path_factory.getbasetemp() / "board.yaml"
    # A text that has quotes already is no plain one.
    text = text.lstrip("'\"") if style == "plain" else text
    # Templates have their own rules.
    text = re.sub(r"\{[{%#]", "{", text)
    # A prompt has no spaces around it, and what two of them announce is a comment that was meant.
    text = re.sub(" {2,}#", " #", text.strip()) or "x"

    try:
        board = load_text(f"prompts:\n  - {STYLES[style](text)}\n", path)
    except StoryboardError as exc:
        assert exc.problems
        return

    assert [frame.prompt for frame in board.frames] == [text] or board.notes
