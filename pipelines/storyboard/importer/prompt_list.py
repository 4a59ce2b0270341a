"""A list of prompts -> its rows: a .txt has a line for each shot, a .csv a row for each shot under a header."""

import codecs
import csv
import functools
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.common.errors import UsageError
from pipelines.common.suggestions import did_you_mean
from pipelines.storyboard.format.parsers import describe
from pipelines.storyboard.format.schema import ShotModel
from pipelines.storyboard.reading import MAX_BYTES

SCENE = "scene"
_PROMPT = "prompt"
# The storyboard's own key is `id`; beside a column `scene`, people write `shot`.
_ALIASES = {"shot": "id"}
# A cell could hold it, but it is about a matrix, which no cell can.
_NOT_COLUMNS = frozenset({"match"})
_LINE_END = re.compile(r"\r\n|\n|\r")
_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Row:
    """The row of one shot.

    Attributes:
        line: its first line in the list, counted from 1.
        cells: its values by the storyboard's own keys, and by `scene`; without the empty ones.
    """

    line: int
    cells: Mapping[str, str | int]


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a list of prompts.

    Raises:
        UsageError: it is neither kind of list, or holds no prompt; every problem with its line.
    """
    readers = {".txt": _rows_of_lines, ".csv": _rows_of_table}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"{path}: is no list of prompts; give a .txt with a line a shot, or a .csv with a row a shot")
    rows = reader(_read_text(path), path)
    if not rows:
        raise UsageError(f"{path}: has no prompt in it; write a line for each shot")
    return rows


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise UsageError(f"{path}: cannot be read: {reason}; name a list of prompts") from exc
    if len(data) > MAX_BYTES:
        raise UsageError(f"{path}: is larger than {MAX_BYTES >> 20} MiB; split it into several lists")
    # UTF-16 too: Notepad saves as it when asked for "Unicode".
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as exc:
        raise UsageError(f"{path}: is no text (byte {exc.start}); save it as UTF-8") from exc


def _rows_of_lines(text: str, _: Path) -> list[Row]:
    # Not splitlines, to which a form feed ends a line: the numbers must be those of an editor.
    lines = [line.strip() for line in _LINE_END.split(text)]
    return [
        Row(number, {_PROMPT: line}) for number, line in enumerate(lines, start=1) if line and not line.startswith("#")
    ]


def _rows_of_table(text: str, path: Path) -> list[Row]:
    records = _records(text, path)
    line, header = next(records, (1, []))
    columns = _columns_of(header, f"{path}:{line}") if header else []
    rows: list[Row] = []
    problems: list[str] = []
    for line, cells in records:
        if any(cells[len(columns) :]):
            problems.append(
                f"{path}:{line}: has {len(cells)} cells under {len(columns)} columns; put text that holds a "
                f"{_delimiter(text)!r} in double quotes"
            )
        # A record may be shorter than the header: spreadsheets leave out empty cells at the end.
        pairs = zip(columns, cells, strict=False)
        rows.append(Row(line, {column: _value(column, cell) for column, cell in pairs if cell}))
    if problems:
        raise UsageError("\n".join(problems))
    return rows


def _records(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield each record that is not empty: its first line, and its cells."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), skipinitialspace=True, strict=True)
    while True:
        # A record may take several lines; the reader counts those that it has read.
        line = reader.line_num + 1
        try:
            cells = [_LINE_END.sub("\n", cell).strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as exc:
            raise UsageError(f"{path}:{line}: is not valid CSV: {exc}; check the double quotes from here on") from exc
        if any(cells):
            yield line, cells


def _delimiter(text: str) -> str:
    """Return the delimiter that is most frequent in the header; no column's name holds one."""
    header = _LINE_END.split(text.lstrip(), maxsplit=1)[0]
    return max(",;\t", key=header.count)


def _columns_of(header: Sequence[str], place: str) -> list[str]:
    """Return the storyboard's key for each column.

    Raises:
        UsageError: a column has no name or an unknown one, is there twice, or there is none of prompts.
    """
    # Spreadsheets add empty columns at the end.
    while not header[-1]:
        header = header[:-1]
    columns: list[str] = []
    for position, written in enumerate(header, start=1):
        column = _ALIASES.get(written.lower(), written.lower())
        if not column:
            raise UsageError(f"{place}: column {position} has no name; name it, or remove it")
        if column not in (SCENE, *_column_types()):
            known = did_you_mean(column, [SCENE, *_ALIASES, *_column_types()])
            raise UsageError(f"{place}: {describe(written)} is no column here{known}")
        if column in columns:
            raise UsageError(f"{place}: the column {column!r} is there twice; remove one of them")
        columns.append(column)
    if _PROMPT not in columns:
        raise UsageError(f"{place}: lacks the column {_PROMPT!r}; the first row names the columns, add it")
    return columns


def _value(column: str, cell: str) -> str | int:
    """Return a cell's value: a number where its key takes numbers and it is one; a list holds only text."""
    takes_numbers = _column_types().get(column, frozenset()) & {"integer", "number"}
    return int(cell) if takes_numbers and _WHOLE_NUMBER.fullmatch(cell) else cell


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
