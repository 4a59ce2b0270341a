"""Pieces of Markdown that several pages are made of."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, with a line break at its end; a cell's own line breaks become spaces."""
    lines = [head, ["---"] * len(head), *([_cell(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def code(text: str) -> str:
    """Return text as code."""
    return f"`{text}`"


def fence(text: str, language: str) -> str:
    """Return lines as a block of code."""
    return f"```{language}\n{text}\n```\n"


def _cell(text: str) -> str:
    # A bar ends a cell, also within code.
    return " ".join(text.split()).replace("|", "\\|")
