"""A table with a row for each shot, as spreadsheets save it -> its rows.

The first record names the columns. A cell is taken to the letter, without the spaces around it.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipelines.common.errors import UsageError
from pipelines.storyboard.format.parsers import describe
from pipelines.storyboard.importer.columns import Column, cell_value
from pipelines.storyboard.importer.list_notes import NoteLog, Remark
from pipelines.storyboard.importer.records import Record, Table, read_table
from pipelines.storyboard.importer.rows import PROMPT, Row
from pipelines.storyboard.issues import MAX_ISSUES

# Many more than there are names for them.
_MAX_COLUMNS = 100
_ONLY_A_NUMBER = Remark("{lines} left out, with nothing but a number", "to ask for one, give it a prompt")


def rows_of_table(text: str, source: Path, log: NoteLog) -> list[Row]:
    """Return a row for each record; tell what was left out, and what was taken for a name.

    Raises:
        UsageError: it is not valid CSV, or its columns are not what a shot can have; every problem with its line.
    """
    table = read_table(text, source)
    if not table.records:
        return []
    header, *records = table.records
    place = f"{source}:{header.line}"
    if len(header.cells) > _MAX_COLUMNS:
        raise UsageError(f"{place}: has {len(header.cells):,} cells; a table has at most {_MAX_COLUMNS} columns")
    columns = _columns(header, records)
    if not _names_columns(columns):
        return _rows_without_names(table, columns, place, log)
    columns = [column for column in columns if column.index < len(header.cells)]
    keys = _keys(columns, place)
    _require_narrow(table, source)
    _tell_of_names(columns, keys, header.line, log)
    return list(_rows(records, keys, log))


def _columns(header: Record, records: Sequence[Record]) -> list[Column]:
    """Return the columns that hold anything; spreadsheets leave empty ones."""
    names = {index: name for index, name in enumerate(header.cells) if name}
    cells: dict[int, list[str]] = {}
    for record in records:
        for index, cell in enumerate(record.cells):
            if cell:
                cells.setdefault(index, []).append(cell)
    return [
        Column(index, names.get(index, ""), tuple(cells.get(index, ())))
        for index in sorted(names.keys() | cells.keys())
    ]


def _names_columns(columns: Sequence[Column]) -> bool:
    """Return whether the first record names the columns, if only almost; else it is a row like the others."""
    # A lone column can only be that of the prompts, and many a prompt of one word is almost another's name.
    meant = (PROMPT,) if len(columns) == 1 else ()
    return any(column.has_known_name or column.is_almost(*meant) for column in columns)


def _rows_without_names(table: Table, columns: Sequence[Column], place: str, log: NoteLog) -> list[Row]:
    if len(columns) > 1:
        names = table.separator.join([PROMPT, "caption"])
        raise UsageError(
            f"{place}: names no column; the first row has to name each, such as {describe(names)}. Text that holds a "
            f"{table.separator!r} stands in double quotes. A list without columns is a .txt, with a line a shot"
        )
    log.tell(
        f"the first row, {describe(columns[0].name)}, is taken for a prompt, as the rows below it; if it is a heading, "
        f"write {PROMPT} in its place",
        table.records[0].line,
    )
    return [Row(record.line, {PROMPT: record.cells[columns[0].index]}) for record in table.records]


def _keys(columns: Sequence[Column], place: str) -> dict[int, str]:
    """Return the storyboard's key for each column that holds one, by the column's index.

    Raises:
        UsageError: a column has no name or an unknown one, is there twice, or there is none of prompts.
    """
    has_prompts = any(column.key == PROMPT for column in columns)
    keys: dict[int, str] = {}
    problems: list[str] = []
    for column in columns:
        if key := column.key or (PROMPT if column.may_be_prompts and not has_prompts else None):
            keys[column.index] = key
        elif not column.numbers_rows:
            problems.append(column.issue)
    problems += [
        f"the column {key!r} is there twice; remove one of them"
        for key, count in Counter(keys.values()).items()
        if count > 1
    ]
    if not problems and PROMPT not in keys.values():
        problems.append(f"lacks the column {PROMPT!r}; the first row names the columns, add it")
    if problems:
        raise UsageError("\n".join(f"{place}: {problem}" for problem in problems))
    return keys


def _tell_of_names(columns: Sequence[Column], keys: Mapping[int, str], line: int, log: NoteLog) -> None:
    for column in columns:
        if column.index not in keys:
            log.tell(f"{column} is left out: it numbers the rows; name it `shot` if it names the shots", line)
        elif column.key is None:
            log.tell(f"{column} is taken for the prompts; name it {PROMPT} if it is", line)


def _require_narrow(table: Table, source: Path) -> None:
    width = len(table.records[0].cells)
    problems = (
        f"{source}:{record.line}: has {len(record.cells)} cells under {width} columns; put text that holds a "
        f"{table.separator!r} in double quotes"
        for record in table.records
        if len(record.cells) > width
    )
    # No reader gets through more.
    if found := list(itertools.islice(problems, MAX_ISSUES)):
        raise UsageError("\n".join(found))


def _rows(records: Sequence[Record], keys: Mapping[int, str], log: NoteLog) -> Iterator[Row]:
    for record in records:
        found = {key: cell for index, key in keys.items() if (cell := record.cell(index))}
        if found:
            yield Row(record.line, {key: cell_value(key, cell) for key, cell in found.items()})
        else:
            log.add(_ONLY_A_NUMBER, record.line)
