"""Problems and notes as they are printed: on a terminal each with its line and a caret under its column."""

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from pipelines.cli.options import is_terminal, print_error, print_message
from pipelines.common.errors import Note, Problem


def print_problems(problems: Iterable[Problem]) -> None:
    """Print problems on stderr."""
    sources = _Sources()
    for problem in problems:
        print_error(sources.text_of(problem))


def print_notes(notes: Iterable[Note]) -> None:
    """Print notes on stderr; not with `--quiet`."""
    sources = _Sources()
    for note in notes:
        print_message(sources.text_of(note))


class _Sources:
    """The lines of the files that problems are in, each file read once, and only for a terminal."""

    def __init__(self) -> None:
        self._on_terminal = is_terminal(sys.stderr)
        self._lines: dict[str, list[str]] = {}

    def text_of(self, problem: Problem) -> str:
        """Return what is printed of a problem: its line, and on a terminal the place that it is about."""
        shown = self._excerpt(problem) if self._on_terminal and problem.line else ""
        return f"{problem}\n{shown}" if shown else str(problem)

    def _excerpt(self, problem: Problem) -> str:
        # Here and not above: a command without problems does without the letters' widths and the reader of storyboards.
        from pipelines.cli.excerpts import excerpt, read_lines

        if problem.path not in self._lines:
            self._lines[problem.path] = read_lines(Path(problem.path))
        # The file may have changed since, or be gone.
        lines = self._lines[problem.path][problem.line - 1 : problem.line]
        return excerpt(lines[0], problem.column, shutil.get_terminal_size().columns) if lines else ""
