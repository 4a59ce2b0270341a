"""A list of prompts, as people keep it, -> its rows: a .txt has a line a shot, a .csv a row a shot under a header."""

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
from pipelines.storyboard.format.fields import shown
from pipelines.storyboard.format.schema import ShotModel
from pipelines.storyboard.loader import MAX_BYTES

SCENE = "scene"
_PROMPT = "prompt"
# `id` is the storyboard's own word; beside a column of scenes, people write `shot`.
_OTHER_NAMES = {"shot": "id"}
# It says how a matrix is read, and a table has none.
_NOT_FLAT = frozenset({"match"})
_LINE_END = re.compile(r"\r\n|\n|\r")
_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Row:
    """What a list says of one shot.

    Attributes:
        line: where it begins, counted from 1.
        cells: its values by the storyboard's own keys, and `scene`; what was left empty is not there.
    """

    line: int
    cells: Mapping[str, str | int]


def read_rows(path: Path) -> list[Row]:
    """Read a list of prompts.

    Raises:
        UsageError: it is no list that storyreel understands, or holds no prompt; every problem with its line.
    """
    kinds = {".txt": _rows_of_lines, ".csv": _rows_of_table}
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise UsageError(f"{path}: is no list of prompts; give a .txt with a line a shot, or a .csv with a row a shot")
    rows = kind(_text(path), path)
    if not rows:
        raise UsageError(f"{path}: has no prompt in it; write a line for each shot")
    return rows


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise UsageError(f"{path}: cannot be read: {reason}; name a list of prompts") from exc
    if len(data) > MAX_BYTES:
        raise UsageError(f"{path}: is larger than {MAX_BYTES >> 20} MiB; split it into several lists")
    # Windows' Notepad calls it Unicode.
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as exc:
        raise UsageError(f"{path}: is no text (byte {exc.start}); save it as UTF-8") from exc


def _rows_of_lines(text: str, _: Path) -> list[Row]:
    # Not splitlines: to it a form feed ends a line, to an editor it does not.
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
        given = zip(columns, cells, strict=False)
        rows.append(Row(line, {column: _value(column, cell) for column, cell in given if cell}))
    if problems:
        raise UsageError("\n".join(problems))
    return rows


def _records(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line and the cells of each record that is not empty."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), skipinitialspace=True, strict=True)
    while True:
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
    """Return what stands most often in the header, whose own words hold none of them."""
    header = _LINE_END.split(text.lstrip(), maxsplit=1)[0]
    return max(",;\t", key=header.count)


def _columns_of(header: Sequence[str], place: str) -> list[str]:
    """Return the storyboard's key for each column."""
    while not header[-1]:
        header = header[:-1]
    columns: list[str] = []
    for position, written in enumerate(header, start=1):
        column = _OTHER_NAMES.get(written.lower(), written.lower())
        if not column:
            raise UsageError(f"{place}: column {position} has no name; name it, or remove it")
        if column not in (SCENE, *_flat_keys()):
            known = did_you_mean(column, [SCENE, *_OTHER_NAMES, *_flat_keys()])
            raise UsageError(f"{place}: {shown(written)} is no column here{known}")
        if column in columns:
            raise UsageError(f"{place}: the column {column!r} is there twice; remove one of them")
        columns.append(column)
    if _PROMPT not in columns:
        raise UsageError(f"{place}: lacks the column {_PROMPT!r}; the first row names the columns, add it")
    return columns


def _value(column: str, cell: str) -> str | int:
    """Return a whole number where the key takes one: text, in a list, is all there is."""
    takes_numbers = _flat_keys().get(column, frozenset()) & {"integer", "number"}
    return int(cell) if takes_numbers and _WHOLE_NUMBER.fullmatch(cell) else cell


@functools.cache
def _flat_keys() -> dict[str, frozenset[str]]:
    """Return the keys of a shot that one cell can hold, each with the types of value that it takes."""
    schema = ShotModel.model_json_schema()
    kinds = {key: frozenset(_kinds(node, schema["$defs"])) for key, node in schema["properties"].items()}
    return {key: kind for key, kind in kinds.items() if kind & {"string", "integer"} and key not in _NOT_FLAT}


def _kinds(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[str]:
    if "$ref" in node:
        yield from _kinds(definitions[node["$ref"].rpartition("/")[2]], definitions)
    for choice in (*node.get("anyOf", ()), *node.get("oneOf", ())):
        yield from _kinds(choice, definitions)
    if isinstance(node.get("type"), str):
        yield node["type"]
