"""The README tells the truth: its commands exist, its storyboards load, its links lead somewhere."""

import re
import shlex
from pathlib import Path

import click
import pytest

from pipelines.cli.main import storyreel
from pipelines.common.settings import Settings
from pipelines.storyboard.loader import load_storyboard

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text()
SETTINGS_PAGE = (REPOSITORY / "docs/settings.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands(program: str) -> list[list[str]]:
    """Return the arguments of each call of a program in the README's shell blocks."""
    lines = [line.split(" #")[0].rstrip(" &") for block in blocks("sh") for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.split(" ")[0] == program]


@pytest.mark.parametrize("arguments", commands("storyreel"), ids=" ".join)
def test_every_storyreel_command_is_one(arguments: list[str]) -> None:
    """The verb exists and takes these options."""
    verb, *rest = arguments
    command = storyreel.commands[verb]

    command.make_context(verb, rest)


@pytest.mark.parametrize("arguments", commands("make"), ids=" ".join)
def test_every_make_target_is_one(arguments: list[str]) -> None:
    """The Makefile has it."""
    assert f"\n{arguments[0]}:" in (REPOSITORY / "Makefile").read_text()


@pytest.mark.parametrize("text", blocks("yaml"))
def test_every_storyboard_loads(tmp_path: Path, text: str) -> None:
    """As it stands there."""
    path = tmp_path / "board.yaml"
    path.write_text(text)

    assert load_storyboard(path).frames


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)([^)]+)\)", README))
def test_every_link_leads_somewhere(target: str) -> None:
    """To a file of the repository."""
    assert (REPOSITORY / target).exists()


def test_the_settings_page_lists_every_setting_and_no_other() -> None:
    """With the default that the code has."""
    listed = dict(re.findall(r"^\| `STORYREEL_([A-Z_]+)` \| ([^|]+) \|", SETTINGS_PAGE, re.MULTILINE))

    assert set(listed) == {name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, int | float):
            assert listed[name.upper()].strip() == f"`{field.default:g}`"


def test_every_verb_is_shown() -> None:
    """Whoever reads the README has met every verb."""
    shown = {arguments[0] for arguments in commands("storyreel")}

    assert shown | {"schema"} == set(storyreel.commands)
    assert isinstance(storyreel, click.Group)
