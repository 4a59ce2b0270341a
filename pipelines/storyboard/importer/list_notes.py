"""The notes on a list: of what befell many lines in the same way there is one, of bounded length."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.common.errors import Note

_MOST_RANGES = 8


@dataclass(frozen=True, slots=True)
class Remark:
    """What can be said of several lines.

    Attributes:
        what: what befell them, or what they look like, with `{lines}` where they are named.
        cure: what to do.
    """

    what: str
    cure: str


class NoteLog:
    """Collects what is to be told of a list."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._notes: list[Note] = []
        # The places of each remark, in the list's order: line and column.
        self._places: dict[Remark, list[tuple[int, int]]] = {}

    def add(self, remark: Remark, line: int, column: int = 1) -> None:
        """Add a line of which something is to be said, after those above it."""
        self._places.setdefault(remark, []).append((line, column))

    def tell(self, message: str, line: int) -> None:
        """Add a note of its own on a line."""
        self._notes.append(Note(str(self._source), line, 1, "", message))

    def notes(self) -> tuple[Note, ...]:
        """Return all notes, in the order of their first lines."""
        summed_up = [
            Note(str(self._source), *places[0], "", _message(remark, [line for line, _ in places]))
            for remark, places in self._places.items()
        ]
        return tuple(sorted([*self._notes, *summed_up], key=lambda note: (note.line, note.column)))


def _message(remark: Remark, lines: Sequence[int]) -> str:
    named = f"line {lines[0]}" if len(lines) == 1 else f"{len(lines):,} lines ({_ranges(lines)})"
    return f"{remark.what.format(lines=named)}; {remark.cure}"


def _ranges(lines: Sequence[int]) -> str:
    """Return ascending numbers as people write them, `3-8, 10`; of very many the first."""
    # Neighbours have the same distance from their place in the list.
    runs = [
        [line for _, line in run]
        for _, run in itertools.groupby(enumerate(lines), key=lambda numbered: numbered[1] - numbered[0])
    ]
    written = [f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs[:_MOST_RANGES]]
    left = sum(map(len, runs[_MOST_RANGES:]))
    return ", ".join(written) + (f" and {left:,} more" if left else "")
