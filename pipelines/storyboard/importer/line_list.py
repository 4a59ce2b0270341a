"""A list with a line for each shot, as people type it or paste it from a chat -> its rows.

A line is a prompt to the letter, but for what is never meant as one. Nothing is guessed: what only looks as if it were
no prompt stays one, and is named.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipelines.common.visible_text import says_nothing, strip_idle
from pipelines.storyboard.importer.list_notes import NoteLog, Remark
from pipelines.storyboard.importer.rows import PROMPT, Row
from pipelines.storyboard.importer.text_file import LINE_END

# Markdown's headings, fences and list marks (CommonMark 0.31, sections 4.2, 4.5, 5.2), however far they are indented.
_HEADING = re.compile(r"#{1,6}\s")
# With its info string, `yaml`. A line that holds such marks at both ends is text.
_FENCE = re.compile(r"`{3,}[^`]*|~{3,}[^~]*")
_MARK = re.compile(r"(?:\d{1,9}[.)]|[-*\u2022])(?:\s+|$)")
_COLONS = (":", "\uff1a")
# A whole line in one pair of quotes or of Markdown's emphasis.
_WRAPPED = re.compile(
    r'"[^"]+"|\u201c[^\u201d]+\u201d|\u201e[^\u201c\u201d]+[\u201c\u201d]|\u00ab[^\u00bb]+\u00bb|`[^`]+`'
    r"|\*[^*]+\*|\*\*[^*]+\*\*|__[^_]+__"
)
_TABLE_ROW = re.compile(r"\|.*\||[^\t]*\t.*")

_LEFT_OUT_HEADING = Remark("{lines} left out as a heading", "to ask for one, remove its #")
_LEFT_OUT_FENCE = Remark("{lines} left out as a code fence", "what stands between them are prompts")
_LEFT_OUT_SIGNS = Remark("{lines} left out, without a letter or digit", "to ask for one, say it in words")
_STRIPPED_MARK = Remark("the numbering or list mark of {lines} was stripped", "to keep one, give the prompts as a .csv")
_STRIPPED_EDGE = Remark("invisible characters at the ends of {lines} were stripped", "remove them")
_COLON = Remark("a colon at the end of {lines}", "is that a prompt? remove it if not")
_UNMARKED = Remark("{lines} without a number or list mark, which others have", "is that a prompt? remove it if not")
_IN_QUOTES = Remark("{lines} in quotes or emphasis", "the marks are asked for too, remove them if that is not meant")
_OF_A_TABLE = Remark("{lines} like rows of a table", "they are asked for as they are; save a table as .csv or .tsv")


@dataclass(frozen=True, slots=True)
class _Prompt:
    """A line that is a prompt: its place, its text, and whether it had a number or a list mark."""

    line: int
    column: int
    text: str
    marked: bool


def rows_of_lines(text: str, log: NoteLog) -> list[Row]:
    """Return a row for each line that is a prompt; tell what was stripped or left out, and what may be no prompt."""
    # Not splitlines, to which a form feed ends a line: the numbers must be those of an editor.
    numbered = enumerate(LINE_END.split(text), start=1)
    prompts = [prompt for number, line in numbered if (prompt := _read_line(line, number, log))]
    _question(prompts, log)
    return [Row(prompt.line, {PROMPT: prompt.text}) for prompt in prompts]


def _read_line(line: str, number: int, log: NoteLog) -> _Prompt | None:
    # An empty line parts others, and is no loss.
    if not line.strip():
        return None
    column = len(line) - len(line.lstrip()) + 1
    text = strip_idle(line)
    mark = _MARK.match(text)
    marked = text[mark.end() :] if mark else text
    prompt = strip_idle(marked)
    if remark := _left_out(text, prompt):
        log.add(remark, number, column)
        return None
    if mark:
        log.add(_STRIPPED_MARK, number, column)
    if (text, prompt) != (line.strip(), marked):
        log.add(_STRIPPED_EDGE, number, column)
    return _Prompt(number, column, prompt, marked=mark is not None)


def _left_out(text: str, prompt: str) -> Remark | None:
    """Return why a line is no prompt; None if it is one.

    Args:
        text: the line, without what is invisible at its ends.
        prompt: the same without its list mark.
    """
    if _HEADING.match(text):
        return _LEFT_OUT_HEADING
    if _FENCE.fullmatch(text):
        return _LEFT_OUT_FENCE
    return _LEFT_OUT_SIGNS if says_nothing(prompt) else None


def _question(prompts: Sequence[_Prompt], log: NoteLog) -> None:
    """Tell which prompts look as if they were none, or no more than a part of one."""
    has_marks = any(prompt.marked for prompt in prompts)
    for prompt in prompts:
        for remark in _doubts(prompt, has_marks=has_marks):
            log.add(remark, prompt.line, prompt.column)


def _doubts(prompt: _Prompt, *, has_marks: bool) -> Iterable[Remark]:
    if prompt.text.rstrip("*_").endswith(_COLONS):
        yield _COLON
    elif has_marks and not prompt.marked:
        # The talk of a chat around its list.
        yield _UNMARKED
    if _WRAPPED.fullmatch(prompt.text):
        yield _IN_QUOTES
    if _TABLE_ROW.fullmatch(prompt.text):
        yield _OF_A_TABLE
