"""What a list of prompts holds, of whichever kind it is: a row for each shot, and the notes on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.common.errors import Note

PROMPT = "prompt"
SCENE = "scene"


@dataclass(frozen=True, slots=True)
class Row:
    """The row of one shot.

    Attributes:
        line: its first line in the list, counted from 1.
        cells: its values by the storyboard's own keys, and by `scene`; without the empty ones.
    """

    line: int
    cells: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class PromptList:
    """A list of prompts as it was read.

    Attributes:
        source: its file, as the user named it.
        rows: one for each shot, at least one.
        notes: what was stripped or left out, and what looks as if it were not meant.
    """

    source: Path
    rows: tuple[Row, ...]
    notes: tuple[Note, ...]

    @property
    def has_prompts_only(self) -> bool:
        """Whether its rows say nothing but what to show."""
        return all(row.cells.keys() == {PROMPT} for row in self.rows)
