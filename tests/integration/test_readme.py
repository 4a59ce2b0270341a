"""The README and the docs agree with the code: its commands, storyboards, links, exit codes, settings and decisions."""

import re
import shlex
from pathlib import Path

import click
import pytest

from pipelines.cli.main import storyreel
from pipelines.common.errors import (
    BudgetError,
    EndpointError,
    IncompleteError,
    InterruptedRunError,
    StoryreelError,
    UsageError,
)
from pipelines.common.settings import LogSettings, ServeSettings, Settings
from pipelines.run.result import state_after
from pipelines.storyboard.loader import load_storyboard

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text()
SETTINGS_PAGE = (REPOSITORY / "docs/settings.md").read_text()
RECORDS = sorted((REPOSITORY / "docs/decisions").glob("[0-9]*.md"))
DECISION_PARTS = ["Context", "Decision", "Consequences", "Alternatives", "When to look again"]
PAGES = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "worker/README.md")),
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]
DOCS = [page.read_text() for page in sorted((REPOSITORY / "docs").rglob("*.md"))]


def blocks(language: str, *texts: str) -> list[str]:
    """Return the blocks of code in this language, each once."""
    found = [re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL) for text in texts]
    return list(dict.fromkeys(block for blocks in found for block in blocks))


def commands(program: str, *texts: str) -> list[list[str]]:
    """Return the arguments of each call of a program in the shell blocks, each call once."""
    # A line's comment begins after a space: a # inside an argument is none.
    lines = [line.split(" #")[0].rstrip(" &") for block in blocks("sh", *texts) for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in dict.fromkeys(lines) if line.split(" ")[0] == program]


@pytest.mark.parametrize("arguments", commands("storyreel", README, *DOCS), ids=" ".join)
def test_every_storyreel_command_is_one(arguments: list[str]) -> None:
    """It is a command of storyreel, and takes these options."""
    verb, *rest = arguments
    command = storyreel.commands[verb]

    command.make_context(verb, rest)


@pytest.mark.parametrize("arguments", commands("make", README, *DOCS), ids=" ".join)
def test_every_make_target_is_one(arguments: list[str]) -> None:
    """The Makefile has it."""
    assert f"\n{arguments[0]}:" in (REPOSITORY / "Makefile").read_text()


@pytest.mark.parametrize("text", blocks("yaml", README, *DOCS))
def test_every_storyboard_loads(tmp_path: Path, text: str) -> None:
    """As it stands in the README or on a page of the docs, beside the sounds of the examples."""
    path = tmp_path / "board.yaml"
    (tmp_path / "sounds").symlink_to(REPOSITORY / "configs/storyboards/sounds")
    path.write_text(text)

    assert load_storyboard(path).frames


def test_the_readme_begins_with_the_film_that_make_render_makes() -> None:
    """Its storyboard is the file's, to the letter, and is no longer than 25 lines; the tutorial shows the same one."""
    editors_line, _, board = (REPOSITORY / "configs/storyboards/cat-in-a-garden.yaml").read_text().partition("\n")

    assert editors_line.startswith("# yaml-language-server:")
    assert blocks("yaml", README)[0] == board
    assert board in blocks("yaml", (REPOSITORY / "docs/first-film.md").read_text())
    assert len(board.splitlines()) <= 25


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_relative_link_points_at_a_file(page: Path) -> None:
    """Images too; a link is relative to the page that it is on."""
    # An address has a scheme, and a link within the page begins with #: neither names a file.
    targets = re.findall(r"\]\((?![a-z]+:|#)([^)#\s]+)", page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_index_of_decisions_lists_every_record() -> None:
    """In order, each once, and none that is not there."""
    index = (REPOSITORY / "docs/decisions/README.md").read_text()

    assert re.findall(r"^\| \[\d{4}\]\(([^)]+)\)", index, re.MULTILINE) == [record.name for record in RECORDS]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_every_decision_has_its_number_its_status_and_its_parts(record: Path) -> None:
    """So that a reader knows where the alternatives are, and when to ask again."""
    text = record.read_text()

    assert text.startswith(f"# {record.name[:4]}. ")
    assert re.search(r"^\*\*Status:\*\* \w+, \d{4}-\d{2}-\d{2}", text, re.MULTILINE)
    assert re.findall("^## (.+)$", text, re.MULTILINE) == DECISION_PARTS


def test_the_settings_page_lists_every_setting_and_no_other() -> None:
    """Numbers have the default that the code has."""
    listed = dict(re.findall(r"^\| `STORYREEL_([A-Z_]+)` \| ([^|]+) \|", SETTINGS_PAGE, re.MULTILINE))

    known = {**Settings.model_fields, **LogSettings.model_fields, **ServeSettings.model_fields}
    assert set(listed) == {name.upper() for name in known}
    for name, field in known.items():
        if isinstance(field.default, int | float):
            assert listed[name.upper()].strip() == f"`{field.default:g}`"


def test_exit_codes_and_states_are_those_of_the_code() -> None:
    """The README's table has a row for each exit code, with the state that a run then ends in."""
    rows = re.findall(r"^\| `(\d+)` \| `(\w+)`", README, re.MULTILINE)
    errors: list[type[StoryreelError]] = [
        UsageError,
        BudgetError,
        IncompleteError,
        EndpointError,
        InterruptedRunError,
        StoryreelError,
    ]

    assert rows == [("0", "Completed"), *((str(error.exit_code), state_after(error()).value) for error in errors)]


def test_every_verb_is_in_the_readme() -> None:
    """Its shell blocks call each command of storyreel but `schema`, which stands in the text."""
    called = {arguments[0] for arguments in commands("storyreel", README)}

    assert called | {"schema"} == set(storyreel.commands)
    assert isinstance(storyreel, click.Group)
