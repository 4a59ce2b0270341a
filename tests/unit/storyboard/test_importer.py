"""A list of prompts becomes a storyboard that asks for exactly these."""

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from pipelines.common.errors import UsageError
from pipelines.common.visible_text import shows_nothing
from pipelines.storyboard.format.parsers import MAX_PROMPT_CHARS
from pipelines.storyboard.format.schema import json_schema
from pipelines.storyboard.format.yaml_tree import parse_yaml
from pipelines.storyboard.importer.prompt_list import read_prompt_list
from pipelines.storyboard.importer.rows import PromptList
from pipelines.storyboard.importer.storyboard_text import storyboard_text
from pipelines.storyboard.loader import load_storyboard, load_text

HOSTILE = [
    "no", "~", "null", "true", "16:9", "12:30:45", "007", "0o17", "0x1F", "1e3", "1_000", ".5", "=", "<<", "-", "---",
    "...", "- a dash", "? asked", "key: value", "a #hash", "&anchor", "*alias", "!tag", "%YAML 1.2", "@at", "`tick`",
    "[a, b]", "{a: b}", "{", "}}", "{{", "{{ prompt }}", "{{{{{", "{%", "{% raw %}", "{# note #}", "{{-x-}}", "{%{{{#{",
    "'single'", '"double"', "it's \"both\"", "back\\slash \\n", "trailing:", "a\ttab", "ทะเล", "🌊" * 9, "a\u2028b",
    "a\ufeffb", "x" * 2048, "word " * 400 + "end", "{%" * 1024, "{{x" * 682, "{" * 2048, "\u00e9" * 2048,
]  # fmt: skip
LETTERS = st.characters(exclude_categories=["Cs", "Cc"])
BRACES = st.text(st.sampled_from(list("{}%#- '\\x")), max_size=30)
LINE = st.text(LETTERS, max_size=60) | BRACES | st.sampled_from(HOSTILE)
# Lines as people paste them: marks, signs and what is invisible around their words.
PASTED = (
    st.tuples(
        st.sampled_from(["", " ", "\t", "\u200b", "\ufeff"]),
        st.sampled_from(
            ["", "- ", "* ", "\u2022 ", "1. ", "12) ", "# ", "###### ", "#", "####### ", "```", "~~~", "---", "1."]
        ),
        LINE,
        st.sampled_from(["", "\u200b", " \ufeff", ":", "```"]),
    )
    .map("".join)
    .filter(lambda line: len(line) <= MAX_PROMPT_CHARS)
)
# Of a few lines, and short enough together to be one prompt.
CELL = st.lists(LINE.filter(lambda line: len(line) <= 100), min_size=1, max_size=3).map("\n".join)
BYTES = (
    st.binary(max_size=200)
    | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.text(max_size=100).map(lambda text: text.encode("utf-16-le", "surrogatepass"))
    | st.lists(
        st.sampled_from(["sep=", "prompt", "steps", "#", ",", ";", "\t", '"', "\n", "\r", "a b", "1", "", "\0"])
    ).map(lambda parts: "".join(parts).encode())
)


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that writes a list, and returns the storyboard that comes of it."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, text: str | bytes) -> str:
        Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
        return storyboard_text(read_prompt_list(Path(name)), path=Path("my-film.yaml"))

    return write


def lines_told(prompts: PromptList) -> set[int]:
    """Return the numbers of the lines that the notes on a short list name."""
    places = re.findall(r"lines? \(?([0-9, -]+)", "\n".join(note.message for note in prompts.notes))
    ranges = [place.strip().partition("-") for named in places for place in named.split(",") if place.strip()]
    return {number for first, _, last in ranges for number in range(int(first), int(last or first) + 1)}


def body(text: str) -> str:
    """Return a storyboard's text without the comments above it."""
    return re.sub(r"(?m)\A(#.*\n)+", "", text)


@pytest.mark.slow
@settings(max_examples=120, deadline=None)
@given(
    lines=st.lists(PASTED | LINE, min_size=1, max_size=8),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    suffix=st.sampled_from([".txt", ".md"]),
)
@example(lines=HOSTILE[:8], end="\n", encoding="utf-8", suffix=".txt")
def test_a_storyboard_asks_for_what_each_line_says(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], end: str, encoding: str, suffix: str
) -> None:
    """To the letter, whatever YAML and Jinja would make of it, or it is told; and an editor underlines nothing."""
    folder = tmp_path_factory.mktemp("list")
    source, board = folder / f"prompts{suffix}", folder / "board.yaml"
    source.write_bytes(end.join(["first", *lines]).encode(encoding))
    prompts = read_prompt_list(source)

    board.write_text(storyboard_text(prompts, path=board), encoding="utf-8", newline="")

    asked = {row.line: row.cells["prompt"] for row in prompts.rows}
    for number, line in enumerate(lines, start=2):
        assert asked.get(number, "") == line.strip() or number in lines_told(prompts)
        assert str(asked.get(number, "")) in line
    assert [frame.prompt for frame in load_storyboard(board).frames] == list(asked.values())
    assert Draft7Validator(json_schema()).is_valid(parse_yaml(board.read_text(encoding="utf-8")).data)


@pytest.mark.slow
@settings(max_examples=120, deadline=None)
@given(
    rows=st.lists(st.tuples(CELL, CELL, st.sampled_from(["", "A", "b", "ท"])), min_size=1, max_size=8),
    delimiter=st.sampled_from([",", ";", "\t", "|", "^"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]),
)
def test_a_storyboard_asks_for_what_each_row_says(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, str]],
    delimiter: str,
    end: str,
    encoding: str,
) -> None:
    """Prompts and captions of several lines, too; a cell that shows nothing is empty."""
    folder = tmp_path_factory.mktemp("table")
    table = io.StringIO(newline="")
    hint = f"sep={delimiter}{end}" if delimiter == "^" else ""
    visible = [*(row for row in rows if not shows_nothing(row[0])), ("a harbor", "", "")]
    # All of it, for the writer by itself quotes no line end but its own.
    writer = csv.writer(table, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([("prompt", "caption", "scene"), *visible])
    (folder / "prompts.csv").write_bytes((hint + table.getvalue()).encode(encoding))

    text = storyboard_text(read_prompt_list(folder / "prompts.csv"), path=folder / "board.yaml")

    frames = load_text(text, folder / "board.yaml").frames
    assert [(frame.prompt, frame.caption) for frame in frames] == [
        (prompt.strip(), None if shows_nothing(caption) else caption.strip()) for prompt, caption, _ in visible
    ]


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(data=BYTES, suffix=st.sampled_from([".txt", ".md", ".csv", ".tsv"]))
def test_any_bytes_are_a_list_or_a_mistake(tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str) -> None:
    """Never an error that is not ours."""
    source = tmp_path_factory.mktemp("bytes") / f"list{suffix}"
    source.write_bytes(data)

    try:
        text = storyboard_text(read_prompt_list(source), path=Path("board.yaml"))
    except UsageError as exc:
        assert str(exc).startswith(f"{source}:")
    else:
        assert load_text(text, Path("board.yaml")).frames


def test_lines_become_the_short_form(written: Callable[..., str]) -> None:
    """Blank lines and comments are left out; the title is that of the film's file; the head says how to go on."""
    text = written("prompts.txt", "\ufeff# The harbor\r\n\r\n  a quiet harbor  \r\n\t# later\r\na storm, 16:9\r\n")

    assert text == (
        "# yaml-language-server: $schema=storyboard.schema.json\n"
        "# Next: `storyreel plan` prices it, `storyreel render` makes it; give it `defaults`, captions, motion as you "
        "like.\n"
        "# For an editor that completes and checks it: `storyreel schema > storyboard.schema.json`\n"
        "title: My film\n"
        "prompts:\n"
        "  - a quiet harbor\n"
        "  - a storm, 16:9\n"
    )


def test_rows_become_scenes_and_shots(written: Callable[..., str]) -> None:
    """Rows of one scene that follow each other are one; what is left empty is not given."""
    text = written(
        "prompts.csv",
        "Scene;Shot;Prompt;caption;hold;steps;aspect;transition;motion;takes;\n"
        "The old Harbor!;wide;a harbor;7;4;8;16:9;dissolve;push_in;2;\n"
        ";Close up;boats, close;;1.5s;;;;;;\n"
        "\n"
        'storm;;"a storm; dark";{{ hm }};;;1:1;cut;none;;\n'
        "The old Harbor!;;calm;;;;;;;;\n",
    )

    assert body(text) == (
        "title: My film\n"
        "scenes:\n"
        "  - id: the-old-harbor\n"
        "    title: The old Harbor!\n"
        "    shots:\n"
        "      - id: wide\n"
        "        prompt: a harbor\n"
        "        caption: '7'\n"
        "        hold: 4\n"
        "        steps: 8\n"
        "        aspect: '16:9'\n"
        "        transition: dissolve\n"
        "        motion: push_in\n"
        "        takes: 2\n"
        "      - id: close-up\n"
        "        prompt: boats, close\n"
        "        hold: 1.5s\n"
        "  - id: storm\n"
        "    shots:\n"
        "      - prompt: a storm; dark\n"
        "        caption: '{{ ''{{'' }} hm }}'\n"
        "        aspect: '1:1'\n"
        "        transition: cut\n"
        "        motion: none\n"
        "  - id: the-old-harbor-2\n"
        "    title: The old Harbor!\n"
        "    shots:\n"
        "      - prompt: calm\n"
    )


def test_styles_are_there_to_be_filled_in(written: Callable[..., str]) -> None:
    """Each that a row names is a template that adds nothing yet, and the head says so."""
    text = written("prompts.csv", "prompt,style\na harbor,film\na storm,ink\ncalm,film\n")

    assert "# What each style adds is yours to say in `styles`: templates around `{{ prompt }}`.\n" in text
    assert body(text).startswith("title: My film\nstyles:\n  film: '{{ prompt }}'\n  ink: '{{ prompt }}'\nscenes:\n")


def test_scenes_of_any_script_have_ids(written: Callable[..., str]) -> None:
    """Of their own names, as ASCII spells them; names that come out alike have numbers, what is no word is a scene."""
    text = written(
        "prompts.csv",
        "scene,prompt\n,first\nทะเล,sea\nสวน,garden\nÉté à Nice,summer\n港,harbor\n钢,steel\n🌊,wave\n…,end\n",
    )

    scenes = load_text(text, Path("my-film.yaml")).scenes
    assert [(scene.id, scene.title) for scene in scenes] == [
        ("main", "main"),
        ("thale", "ทะเล"),
        ("swn", "สวน"),
        ("ete-a-nice", "Été à Nice"),
        ("gang", "港"),
        ("gang-2", "钢"),
        ("water-wave", "🌊"),
        ("scene", "…"),
    ]


def test_shots_of_any_script_have_ids(written: Callable[..., str]) -> None:
    """As scenes have, in each scene anew; a shot whose name is no word has the id of one that names none."""
    text = written("prompts.csv", "scene,shot,prompt\na,港,harbor\n,钢,steel\n,ทะเล,sea\n,…,end\nb,港,harbor again\n")

    frames = load_text(text, Path("my-film.yaml")).frames
    assert [(frame.scene, frame.shot) for frame in frames] == [
        ("a", "gang"),
        ("a", "gang-2"),
        ("a", "thale"),
        ("a", "shot-4"),
        ("b", "gang"),
    ]


def test_a_title_is_made_of_any_name(tmp_path: Path) -> None:
    """Of a name that is no text, too."""
    (tmp_path / "prompts.txt").write_text("a harbor\n")

    titles = [
        load_text(storyboard_text(read_prompt_list(tmp_path / "prompts.txt"), path=path), path).title
        for path in map(Path, ["my_first--film.yaml", "---.yaml", "16:9.yaml", "\udcff.yaml"])
    ]

    assert titles == ["My first film", "My film", "16:9", "?"]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("p.log", "a", "p.log: is no list of prompts; give a .txt with a line a shot, or a .csv with a row a shot"),
        ("p", "a", "p: is no list of prompts; give a .txt with a line a shot, or a .csv with a row a shot"),
        ("p.XLSX", b"PK", 'p.XLSX: is a spreadsheet; save its sheet as .csv (in Excel as "CSV UTF-8") and give that'),
        ("p.ods", b"PK", "p.ods: is a spreadsheet; save its sheet as .csv"),
        (
            "p.docx",
            b"PK",
            "p.docx: is a document; save it as plain text, a .txt with a line a shot, or its table as .csv",
        ),
        ("p.json", "[]", "p.json: is data of its own form; export its prompts as .csv and give that"),
        ("p.yaml", "[]", "p.yaml: is data of its own form; export its prompts as .csv and give that. A storyboard is"),
        ("p.txt", "# nothing\n \n", "p.txt: has no prompt in it; write a line for each shot"),
        ("p.csv", "", "p.csv: has no prompt in it; write a line for each shot"),
        ("p.csv", "prompt\n", "p.csv: has no prompt in it; write a line for each shot"),
        (
            "p.csv",
            b"prompt;caption\r\na harbor;caf\xe9\r\n",
            "p.csv:2:13: is no UTF-8 text (byte 0xe9); save it as UTF-8: in Excel as CSV UTF-8, in an editor with the "
            "encoding UTF-8",
        ),
        ("p.txt", b"\xff\xfea", "p.txt:1:1: is no UTF-8 text (byte 0x61); save it as UTF-8: in Excel as CSV UTF-8"),
        ("p.txt", b"a\nb c\0d\n", "p.txt:2:4: is no UTF-8 text (byte 0x00); save it as UTF-8: in Excel as CSV UTF-8"),
        ("p.txt", "a" * (8 << 20) + "b", "p.txt: is larger than 8 MiB; split it into several lists"),
        (
            "p.txt",
            f"a\n\n{'b' * 2049}\n{'{%c' * 3000}",
            "p.txt:3: is 2,049 characters; prompts have 1 to 2,048, shorten it\n"
            "p.txt:4: is 9,000 characters; prompts have 1 to 2,048, shorten it",
        ),
        ("p.txt", "a\nb\x0bc\n", "p.txt:2: holds the control character '\\x0b'; remove it"),
        ("p.txt", "a\n" * 10_001, "p.txt:10001: is one prompt more than 10,000; split it into several lists"),
        ("p.txt", "\U00020000" * 2048 + "\n", None),
        (
            "p.csv",
            "a harbor;dawn\na storm;\n",
            "p.csv:1: names no column; the first row has to name each, such as 'prompt;caption'. Text that holds a "
            "';' stands in double quotes. A list without columns is a .txt, with a line a shot",
        ),
        ("p.csv", "a harbor\na storm, dark\n", "p.csv:1: names no column; the first row has to name each, such as"),
        ("p.csv", "sep=\nprompt\na\n", "p.csv:1: sep= names no single character; write sep=; or the character that"),
        ("p.csv", "sep=;;\nprompt\na\n", "p.csv:1: sep= names no single character; write sep=; or the character that"),
        ("p.csv", "a," * 101 + "b\n", "p.csv:1: has 102 cells; a table has at most 100 columns"),
        ("p.csv", "promt\na\n", "p.csv:1: 'promt' is no column here; did you mean 'prompt'?"),
        ("p.csv", "prompt,matrix\na,b\n", "p.csv:1: 'matrix' is no column here; choose one of "),
        ("p.csv", "\n\nscene,steps\na,4\n", "p.csv:3: lacks the column 'prompt'; the first row names the columns"),
        ("p.csv", "shot,id,prompt\na,b,c\n", "p.csv:1: the column 'id' is there twice; remove one of them"),
        ("p.csv", "prompt,,steps\na,b,4\n", "p.csv:1: column 2 has no name; name it, or remove it"),
        (
            "p.csv",
            "promt,capton\na,b\n",
            "p.csv:1: 'promt' is no column here; did you mean 'prompt'?\np.csv:1: 'capton' is no",
        ),
        ("p.csv", "text,description\na,b\n", "p.csv:1: the column 'prompt' is there twice; remove one of them"),
        ("p.csv", "prompt,description\na,b\n", "p.csv:1: 'description' is no column here; choose one of scene, shot, "),
        ("p.csv", "caption\na\n", "p.csv:1: lacks the column 'prompt'; the first row names the columns, add it"),
        (
            "p.csv",
            "prompt,steps\na harbor, a boat, 4\nb,4\nc,4,,x\n",
            "p.csv:2: has 3 cells under 2 columns; put text that holds a ',' in double quotes\n"
            "p.csv:4: has 4 cells under 2 columns; put text that holds a ',' in double quotes",
        ),
        ("p.csv", 'prompt\na\n"b\nc\n', "p.csv:3: is not valid CSV: unexpected end of data; check the double quotes"),
        ("p.csv", "prompt,caption\n,hm\n", "p.csv:2: has neither prompt nor prompts; add what it is to show"),
        (
            "p.csv",
            'prompt,steps,hold,style\na,4,4,\n"b\nb",four,soon,35 mm\nc,9,,35 mm\n',
            "p.csv:3: style: must be a name of letters, digits and _, not starting with a digit, got '35 mm'\n"
            "p.csv:3: steps: must be a whole number from 1 to 8, got 'four'\n"
            "p.csv:3: hold: must be a time like 4, 4s, 500ms or 96f (video frames), got 'soon'\n"
            "p.csv:5: steps: must be between 1 and 8, got 9",
        ),
        (
            "p.csv",
            "scene,shot,prompt\na,x,1\na,X,2\n",
            "p.csv:3: id: 'x' is there twice among the shots of the scene 'a'; ids are unique",
        ),
        (
            "p.csv",
            "prompt,hold,transition\na,1f,dissolve\nb,1s,\n",
            "p.csv:2: transition: a dissolve of 0.5 s does not fit: main/shot-1 is held for",
        ),
        ("p.csv", "prompt,sound\na,bell.ogg\n", "p.csv:2: sound: there is no sound file 'bell.ogg'; names are from"),
        ("p.csv", "prompt,caption\na,b\x07c\n", "p.csv:2: caption: holds the control character '\\x07'; remove it"),
        (
            "p.csv",
            "prompt,hold,steps,aspect,fit,caption,transition,motion\n" + "a,4,4,1:1,cover,b,cut,none\n" * 9000,
            "p.csv: is more than a storyboard's 150,000 values; split it into several lists",
        ),
    ],
)
def test_a_mistake_in_a_list_is_reported_with_its_line(
    written: Callable[..., str], name: str, text: str | bytes, expected: str | None
) -> None:
    """All at once where they are of a kind."""
    if expected is None:
        assert written(name, text)
        return
    with pytest.raises(UsageError, match=re.escape(expected)):
        written(name, text)


def test_a_list_that_is_not_there_is_reported(tmp_path: Path) -> None:
    """With the system's reason and what to name instead."""
    with pytest.raises(
        UsageError, match=r"nope\.txt: cannot be read: No such file or directory; name a list of prompts"
    ):
        read_prompt_list(tmp_path / "nope.txt")
