"""A line of a file with a caret below one of its characters, as a terminal shows it."""

from pathlib import Path

from rich.cells import cell_len

from pipelines.common.errors import StoryboardError
from pipelines.common.printable import printable
from pipelines.storyboard.format.yaml_errors import BREAK
from pipelines.storyboard.reading import read_text

_INDENT = "  "
_TAB = "    "
_CUT = "…"


def read_lines(path: Path) -> list[str]:
    """Return the lines of a storyboard; none where it cannot be read."""
    try:
        # A pipe has nothing more to give, and a second reader of a named one would wait forever.
        return BREAK.split(read_text(path)) if path.is_file() else []
    except StoryboardError:
        return []


def excerpt(line: str, column: int, width: int) -> str:
    """Return a line with a caret below one of its characters, cut to what a terminal shows around that.

    Args:
        line: the line; empty, or of spaces only, it is not shown.
        column: the character, counted from 1; may be behind the last.
        width: how many cells the terminal has in a line: most letters take one, Chinese ones and emoji two.
    """
    if not line.strip():
        return ""
    room = max(width - len(_INDENT), 2 * len(_TAB))
    # Nearly every character takes a cell: of a line of megabytes, only those around the column can be seen.
    before, after = line[max(0, column - 2 - room) : column - 1], line[column - 1 : column + room]
    left = _last_cells(_shown(before), room // 2)
    right = _first_cells(_shown(after), room - cell_len(left))
    return f"{_INDENT}{left}{right}\n{_INDENT}{' ' * cell_len(left)}^"


def _shown(text: str) -> str:
    # How far a tab reaches depends on the terminal, and on what stands before it.
    return printable(text.replace("\t", _TAB))


def _last_cells(text: str, cells: int) -> str:
    if cell_len(text) <= cells:
        return text
    while cell_len(text) > cells - len(_CUT):
        text = text[1:]
    return f"{_CUT}{text}"


def _first_cells(text: str, cells: int) -> str:
    if cell_len(text) <= cells:
        return text
    while cell_len(text) > cells - len(_CUT):
        text = text[:-1]
    return f"{text}{_CUT}"
