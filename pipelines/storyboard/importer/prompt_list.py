"""A list of prompts -> its rows and the notes on it, by the kind of its file: lines, or a table."""

from pathlib import Path

from pipelines.common.errors import UsageError
from pipelines.storyboard.importer.line_list import rows_of_lines
from pipelines.storyboard.importer.list_notes import NoteLog
from pipelines.storyboard.importer.rows import PromptList
from pipelines.storyboard.importer.table import rows_of_table
from pipelines.storyboard.importer.text_file import read_text

_LINES = frozenset({".txt", ".text", ".md", ".markdown"})
_TABLES = frozenset({".csv", ".tsv"})
# What people have their prompts in, and how to get them out.
_CURES = {
    **dict.fromkeys(
        (".xlsx", ".xlsm", ".xls", ".ods", ".numbers"),
        'is a spreadsheet; save its sheet as .csv (in Excel as "CSV UTF-8") and give that',
    ),
    **dict.fromkeys(
        (".docx", ".doc", ".odt", ".rtf", ".pages", ".pdf", ".html"),
        "is a document; save it as plain text, a .txt with a line a shot, or its table as .csv, and give that",
    ),
    **dict.fromkeys(
        (".json", ".jsonl", ".yaml", ".yml"),
        "is data of its own form; export its prompts as .csv and give that. A storyboard is rendered as it is",
    ),
}
_OTHERWISE = "is no list of prompts; give a .txt with a line a shot, or a .csv with a row a shot"


def read_prompt_list(source: Path) -> PromptList:
    """Return the prompts of a list, and what is to be told of it.

    Raises:
        UsageError: it is no list of a kind that can be read, or holds no prompt; every problem with its line.
    """
    kind = source.suffix.lower()
    if kind not in _LINES | _TABLES:
        raise UsageError(f"{source}: {_CURES.get(kind, _OTHERWISE)}")
    text = read_text(source)
    log = NoteLog(source)
    rows = rows_of_lines(text, log) if kind in _LINES else rows_of_table(text, source, log)
    if not rows:
        raise UsageError(f"{source}: has no prompt in it; write a line for each shot")
    return PromptList(source, tuple(rows), log.notes())
