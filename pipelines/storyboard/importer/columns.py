"""The columns of a table: which key of a shot each of them holds, by its name in the first record."""

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.common.suggestions import suggest
from pipelines.common.visible_text import strip_idle
from pipelines.storyboard.format.parsers import describe
from pipelines.storyboard.format.schema import ShotModel
from pipelines.storyboard.format.words import suggest_word
from pipelines.storyboard.importer.rows import PROMPT, SCENE

# The storyboard's own key is `id`; beside a column `scene`, people write `shot`.
_ALIASES = {"shot": "id"}
# What the prompts are called in tables that were made for something else.
_WORDS_FOR_PROMPTS = frozenset({
    "prompts", "prompt text", "image prompt", "image prompts", "description", "descriptions", "image description",
    "visual", "visuals", "visual description", "text", "texts",
})  # fmt: skip
_WORDS_FOR_NUMBERS = frozenset({"#", "no", "nr", "n\u00b0", "n\u00ba", "\u2116", "num", "number", "index", "row"})
_NUMBER = re.compile(r"#?\d{1,9}[.)]?")
_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")
# A cell could hold it, but it is about a matrix, which no cell can.
_NOT_COLUMNS = frozenset({"match"})


@dataclass(frozen=True, slots=True)
class Column:
    """A column and its name.

    Attributes:
        index: its place among the cells of a record, from 0.
        name: as the first record has it; may be empty.
        cells: those below it that are not empty.
    """

    index: int
    name: str
    cells: tuple[str, ...]

    @property
    def key(self) -> str | None:
        """The storyboard's key, or `scene`, that it is named after; None if it is none."""
        name = _ALIASES.get(self._plain_name, self._plain_name)
        return name if name in (SCENE, *_column_types()) else None

    @property
    def may_be_prompts(self) -> bool:
        """Whether it has a name that people give to prompts."""
        return self._plain_name in _WORDS_FOR_PROMPTS

    @property
    def numbers_rows(self) -> bool:
        """Whether it only counts the rows: it says so, or has no name and holds nothing but numbers."""
        return self._plain_name in _WORDS_FOR_NUMBERS or (not self.name and all(map(_NUMBER.fullmatch, self.cells)))

    @property
    def has_known_name(self) -> bool:
        """Whether its name is one that a column can have here."""
        return bool(self.name) and (self.key is not None or self.may_be_prompts or self.numbers_rows)

    def is_almost(self, *names: str) -> bool:
        """Return whether its name looks like a misspelling of one of these, or of any known one."""
        return bool(self.name) and suggest(self._plain_name, names or _offered_names()).closest is not None

    @property
    def issue(self) -> str:
        """What is wrong with its name, where that is no known one, and the cure."""
        if not self.name:
            return f"column {self.index + 1} has no name; name it, or remove it"
        # Another name of the prompts is an issue only beside those.
        offered = [name for name in _offered_names() if name != PROMPT or not self.may_be_prompts]
        return f"{describe(self.name)} is no column here{suggest_word(self._plain_name, offered).sentence}"

    @property
    def _plain_name(self) -> str:
        return " ".join(strip_idle(self.name).casefold().strip(".:").replace("_", " ").split())

    def __str__(self) -> str:
        return f"the column {describe(self.name)}" if self.name else f"column {self.index + 1}, which has no name,"


def cell_value(key: str, cell: str) -> str | int:
    """Return a cell's value: a number where its key takes numbers and it is one; a table holds only text."""
    takes_numbers = _column_types().get(key, frozenset()) & {"integer", "number"}
    return int(cell) if takes_numbers and _WHOLE_NUMBER.fullmatch(cell) else cell


def _offered_names() -> list[str]:
    return [SCENE, *_ALIASES, *_column_types()]


@functools.cache
def _column_types() -> dict[str, frozenset[str]]:
    """Return the keys of a shot that one cell can hold, each with the JSON types that it takes.

    They come from the JSON Schema, so that a new key of shots is a new column without a change here.
    """
    schema = ShotModel.model_json_schema()
    types = {key: frozenset(_types(node, schema["$defs"])) for key, node in schema["properties"].items()}
    return {key: found for key, found in types.items() if found & {"string", "integer"} and key not in _NOT_COLUMNS}


def _types(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[str]:
    if "$ref" in node:
        yield from _types(definitions[node["$ref"].rpartition("/")[2]], definitions)
    for choice in (*node.get("anyOf", ()), *node.get("oneOf", ())):
        yield from _types(choice, definitions)
    if isinstance(node.get("type"), str):
        yield node["type"]
