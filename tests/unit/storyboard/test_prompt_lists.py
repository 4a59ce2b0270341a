"""Lists of prompts as people have them: what is asked for, and what is told of the rest."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.storyboard.importer.prompt_list import read_prompt_list

Read = Callable[[str, str | bytes], tuple[list[object], list[str]]]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Return a function that writes a list, and returns its prompts and the notes on it."""
    monkeypatch.chdir(tmp_path)

    def read(name: str, text: str | bytes) -> tuple[list[object], list[str]]:
        Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
        prompts = read_prompt_list(Path(name))
        return [row.cells.get("prompt") for row in prompts.rows], list(map(str, prompts.notes))

    return read


def test_what_a_chat_puts_around_its_prompts_is_stripped_and_told(read: Read) -> None:
    """Its numbers, list marks and headings; its talk is named, and stays."""
    prompts, notes = read(
        "gpt.txt",
        "Here are 3 prompts for your video:\n\n"
        '1. A keeper on the stairs\n2) **A ship\'s horn** in fog\n   - a gull on the railing\n* "the lamp", macro\n'
        "\u2022 salt on rope\n\n## Scene 2\n10. dawn\nEnjoy your film!\n",
    )

    assert prompts == [
        "Here are 3 prompts for your video:",
        "A keeper on the stairs",
        "**A ship's horn** in fog",
        "a gull on the railing",
        '"the lamp", macro',
        "salt on rope",
        "dawn",
        "Enjoy your film!",
    ]
    assert notes == [
        "gpt.txt:1:1: note: a colon at the end of line 1; is that a prompt? remove it if not",
        "gpt.txt:3:1: note: the numbering or list mark of 6 lines (3-7, 10) was stripped; to keep one, give the "
        "prompts as a .csv",
        "gpt.txt:9:1: note: line 9 left out as a heading; to ask for one, remove its #",
        "gpt.txt:11:1: note: line 11 without a number or list mark, which others have; is that a prompt? remove it if "
        "not",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "#1 a dog on a hill", "#cyberpunk city", "#FF8800 smoke", "####### seven", "1.a dog", "1.5 dogs", "(3) dogs",
        "3: dogs", "a) a dog", "-5 degrees", "--- a ruler", "*a* dog", "**a** dog", "\u2013 a dash", "> quoted",
        "[ ] a task", "1234567890. a number", "```a dog``` runs", "``a dog", "a # b", "\u0e2b\u0e21\u0e32", "42",
        "\u0663 dogs", "\u2764\ufe0f a heart", "a dog - 1. a cat", "NO. 1 a dog", "\u30fb a dog",
    ],
)  # fmt: skip
def test_a_line_is_a_prompt_to_the_letter(read: Read, line: str) -> None:
    """Whatever it begins with, but for what is listed."""
    assert read("p.txt", f"{line}\n") == ([line], [])


@pytest.mark.parametrize(
    ("line", "prompt"),
    [
        ("12. a dog", "a dog"),
        ("7)\ta dog", "a dog"),
        ("\t- a dog", "a dog"),
        ("\u2022\u00a0a dog", "a dog"),
        ("*   #1 a dog", "#1 a dog"),
        ("\u0e52. a dog", "a dog"),
        ("- 1. a dog", "1. a dog"),
        ("\u200b3. a dog", "a dog"),
    ],
)
def test_one_number_or_list_mark_is_stripped(read: Read, line: str, prompt: str) -> None:
    """Before a space of any kind, however far it is indented."""
    prompts, notes = read("p.txt", line)

    assert prompts == [prompt]
    assert "the numbering or list mark of line 1 was stripped" in notes[0]


@pytest.mark.parametrize(
    "line",
    [
        "---", "***", "=====", "\u2026", ".", "\u2014 \u2014", "\u200b", "\u3164", "\u2800", "\u00ad", "\U0001f30a",
        "-", "1.", "- ---", "2) \u200b",
        "|---|:--|", "# one", "###### six", "#\tone", " ## indented", "#", "```", "````", "~~~", "```yaml",
        "~~~ text", "  ```", "``` python title",
    ],
)  # fmt: skip
def test_what_is_no_prompt_is_left_out_and_told(read: Read, line: str) -> None:
    """Rulers, headings, fences, what shows nothing, empty items."""
    prompts, notes = read("p.md", f"a cat\n{line}\na dog\n")

    assert prompts == ["a cat", "a dog"]
    assert len(notes) == 1
    assert "line 2 left out" in notes[0]


def test_what_stands_in_a_code_fence_is_read_as_the_rest(read: Read) -> None:
    """A chat puts its list in one to be copied."""
    prompts, notes = read("p.md", "```text\n1. a cat\n# a heading\n```\na dog\n")

    assert prompts == ["a cat", "a dog"]
    assert notes == [
        "p.md:1:1: note: 2 lines (1, 4) left out as a code fence; what stands between them are prompts",
        "p.md:2:1: note: the numbering or list mark of line 2 was stripped; to keep one, give the prompts as a .csv",
        "p.md:3:1: note: line 3 left out as a heading; to ask for one, remove its #",
        "p.md:5:1: note: line 5 without a number or list mark, which others have; is that a prompt? remove it if not",
    ]


def test_what_is_invisible_at_the_ends_is_stripped_and_told(read: Read) -> None:
    """Within a prompt it stays."""
    prompts, notes = read("p.txt", "\u200ba har\u200bbor\u200b\n\u00a0\n\u200b\n  \ufeffa ship\n")

    assert prompts == ["a har\u200bbor", "a ship"]
    assert notes == [
        "p.txt:1:1: note: invisible characters at the ends of 2 lines (1, 4) were stripped; remove them",
        "p.txt:3:1: note: line 3 left out, without a letter or digit; to ask for one, say it in words",
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("Scene one:", "a colon at the end of line 2;"),
        ("**Scene one:**", "a colon at the end of line 2;"),
        ("\u573a\u666f\uff1a", "a colon at the end of line 2;"),
        ('"a dog"', "line 2 in quotes or emphasis;"),
        ("\u201ca dog\u201d", "line 2 in quotes or emphasis;"),
        ("**a dog**", "line 2 in quotes or emphasis;"),
        ("`a dog`", "line 2 in quotes or emphasis;"),
        ("| 1 | a dog |", "line 2 like rows of a table;"),
        ("a dog\tdawn", "line 2 like rows of a table;"),
    ],
)
def test_a_line_that_may_be_no_prompt_is_named_and_stays(read: Read, line: str, told: str) -> None:
    """Nothing is guessed."""
    prompts, notes = read("p.txt", f"a cat\n{line}\n")

    assert prompts == ["a cat", line]
    assert told in "\n".join(notes)


def test_a_note_on_very_many_lines_is_short(read: Read) -> None:
    """It names the first of them, and counts the others."""
    _, notes = read("p.txt", "".join(f"- prompt {number}\n\n" for number in range(5000)))

    assert notes == [
        "p.txt:1:1: note: the numbering or list mark of 5,000 lines (1, 3, 5, 7, 9, 11, 13, 15 and 4,992 more) was "
        "stripped; to keep one, give the prompts as a .csv"
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"sep=;\r\nprompt;caption\r\na harbor, calm;dawn\r\n",
        b"SEP=;\nprompt;caption\na harbor, calm;dawn\n",
        b'"sep=;"\rprompt;caption\ra harbor, calm;dawn\r',
        b"sep=\t\nprompt\tcaption\na harbor, calm\tdawn\n",
        b"sep=^\nprompt^caption\na harbor, calm^dawn\n",
        b"\xef\xbb\xbfsep=|\nprompt|caption\na harbor, calm|dawn\n",
        b"\xef\xbb\xbfprompt;caption\r\na harbor, calm;dawn\r\n",
        b"prompt|caption\na harbor, calm|dawn\n",
        b"\xef\xbb\xbf\xef\xbb\xbfsep=;\nprompt;caption\na harbor, calm;dawn\n",
        b'prompt,caption\r\n"a harbor, calm",dawn\r\n',
        b'"Prompt","Caption"\n"a harbor, calm","dawn"\n',
        b"\r\n\r\n Prompt ; CAPTION \r\na harbor, calm;dawn\r\n",
        b";;;\n;prompt;;caption;\n;;;;\n;a harbor, calm;;dawn;\n",
        "sep=;\r\nprompt;caption\r\na harbor, calm;dawn\r\n".encode("utf-16"),
        "prompt\tcaption\r\na harbor, calm\tdawn\r\n".encode("utf-16"),
        "prompt\tcaption\r\na harbor, calm\tdawn\r\n".encode("utf-16-le"),
        "prompt\tcaption\r\na harbor, calm\tdawn\r\n".encode("utf-16-be"),
        "\ufeffprompt\tcaption\r\na harbor, calm\tdawn\r\n".encode("utf-16-be"),
        '\ufeff\u200bprompt\u200b,caption\n"a harbor, calm",dawn\n'.encode(),
        'prompt,caption\n"a harbor, calm",dawn\n\u200b,\u3164\n'.encode(),
    ],
)  # fmt: skip
def test_a_table_is_read_however_it_was_saved(tmp_path: Path, data: bytes) -> None:
    """Its separator, its encoding, its line ends, its empty columns and rows."""
    (tmp_path / "p.csv").write_bytes(data)

    prompts = read_prompt_list(tmp_path / "p.csv")

    assert [dict(row.cells) for row in prompts.rows] == [{"prompt": "a harbor, calm", "caption": "dawn"}]
    assert prompts.notes == ()


def test_a_tsv_is_parted_by_tabs(read: Read) -> None:
    """Whatever else its first row holds."""
    prompts, notes = read("p.tsv", "prompt\na harbor, at dawn; calm\n")

    assert (prompts, notes) == (["a harbor, at dawn; calm"], [])


def test_the_lines_of_a_table_are_those_of_an_editor(tmp_path: Path) -> None:
    """Below a hint on the separator and cells of several lines, too."""
    (tmp_path / "p.csv").write_text('sep=;\nprompt;steps\n"a\n\nb";4\n\nc;4\n')

    assert [row.line for row in read_prompt_list(tmp_path / "p.csv").rows] == [3, 7]


@pytest.mark.parametrize("name", ["Prompts", "Description", "text", "Image_Prompt", " image  prompt: ", "VISUAL"])
def test_prompts_by_another_name_are_taken_and_told(read: Read, name: str) -> None:
    """The name is to be made sure."""
    prompts, notes = read("p.csv", f"{name};steps\na harbor;4\n")

    assert prompts == ["a harbor"]
    assert notes == [f"p.csv:1:1: note: the column {name.strip()!r} is taken for the prompts; name it prompt if it is"]


@pytest.mark.parametrize("name", ["#", "No", "nr", "No.", "Nr.", "\u2116", "Number"])
def test_a_column_that_numbers_the_rows_is_left_out_and_told(read: Read, name: str) -> None:
    """And a row with nothing but its number is none."""
    prompts, notes = read("p.csv", f"{name},prompt\n1,a harbor\n2,\n3,a storm\n")

    assert prompts == ["a harbor", "a storm"]
    assert notes == [
        f"p.csv:1:1: note: the column {name!r} is left out: it numbers the rows; name it `shot` if it names the shots",
        "p.csv:3:1: note: line 3 left out, with nothing but a number; to ask for one, give it a prompt",
    ]


def test_numbers_without_a_name_are_left_out_and_told(read: Read) -> None:
    """As programs write them that count the rows."""
    prompts, notes = read("p.csv", ",prompt\n0,a harbor\n1,a storm\n")

    assert prompts == ["a harbor", "a storm"]
    assert notes == [
        "p.csv:1:1: note: column 1, which has no name, is left out: it numbers the rows; name it `shot` if it names "
        "the shots"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a harbor\na storm\n", ["a harbor", "a storm"]),
        ('"a harbor, calm"\r\n\r\na storm\r\n', ["a harbor, calm", "a storm"]),
        (";a harbor;\n;a storm;\n", ["a harbor", "a storm"]),
        ("scenery\nstorm\n", ["scenery", "storm"]),
    ],
)
def test_a_column_without_a_name_is_of_prompts_and_told(read: Read, text: str, expected: list[str]) -> None:
    """Its first row is one of them."""
    prompts, notes = read("p.csv", text)

    assert prompts == expected
    assert notes == [
        f"p.csv:1:1: note: the first row, {expected[0]!r}, is taken for a prompt, as the rows below it; if it is a "
        "heading, write prompt in its place"
    ]


def test_a_cell_is_taken_to_the_letter(read: Read) -> None:
    """Marks, signs and what is invisible at its ends are meant there."""
    cells = ["1. a dog", "- a cat", "# a heading", "---", "\u200ba fish\u200b", "a colon:", "1."]

    assert read("p.csv", "\n".join(["prompt", *cells])) == (cells, [])
