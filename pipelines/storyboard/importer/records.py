"""The records of a table that is saved as text: CSV as RFC 4180 has it, with the separators of spreadsheets."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.common.errors import UsageError
from pipelines.common.visible_text import shows_nothing
from pipelines.storyboard.importer.text_file import LINE_END

# Excel's own hint, which Excel reads and never shows.
_SEPARATOR_LINE = re.compile(r'"?sep=([^"]*)"?', re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"?')
_SEPARATORS = ",;\t|"


@dataclass(frozen=True, slots=True)
class Record:
    """A record that holds something.

    Attributes:
        line: its first line in the file, counted from 1.
        cells: without the empty ones at its end, which spreadsheets add or leave out.
    """

    line: int
    cells: tuple[str, ...]

    def cell(self, column: int) -> str:
        """Return the cell in a column, counted from 0; empty where the record is too short for it."""
        return self.cells[column] if column < len(self.cells) else ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: the character between its cells, and its records."""

    separator: str
    records: tuple[Record, ...]


def read_table(text: str, source: Path) -> Table:
    """Return the table that is written in the text of a file.

    Raises:
        UsageError: it is not valid CSV.
    """
    first, *rest = LINE_END.split(text, maxsplit=1)
    if match := _SEPARATOR_LINE.fullmatch(first):
        separator = _named_separator(match[1], source)
        return Table(separator, tuple(_records("".join(rest), separator, source, lines_above=1)))
    separator = "\t" if source.suffix.lower() == ".tsv" else _most_frequent_separator(text)
    return Table(separator, tuple(_records(text, separator, source)))


def _named_separator(written: str, source: Path) -> str:
    # A tab or a space may be the separator itself.
    separator = written if len(written) == 1 else written.strip()
    if len(separator) != 1:
        raise UsageError(f"{source}:1: sep= names no single character; write sep=; or the character that is used")
    return separator


def _most_frequent_separator(text: str) -> str:
    """Return the separator that is most frequent in the first record, outside of quotes; no column's name holds one."""
    first = LINE_END.split(_QUOTED.sub("quoted", text).lstrip("\r\n "), maxsplit=1)[0]
    return max(_SEPARATORS, key=first.count)


def _records(text: str, separator: str, source: Path, *, lines_above: int = 0) -> Iterator[Record]:
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=separator != " ", strict=True)
    while True:
        # A record may take several lines; the reader counts those that it has read.
        line = lines_above + reader.line_num + 1
        try:
            cells = [_text_of(cell) for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as exc:
            raise UsageError(f"{source}:{line}: is not valid CSV: {exc}; check the double quotes from here on") from exc
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield Record(line, tuple(cells))


def _text_of(cell: str) -> str:
    text = LINE_END.sub("\n", cell).strip()
    return "" if shows_nothing(text) else text
