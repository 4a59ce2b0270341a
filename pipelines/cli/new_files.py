"""The files that a user starts from: a storyboard, perhaps made of a list of prompts, and Prefect's deployments."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from pipelines.cli.hints import next_command
from pipelines.cli.problems import print_notes
from pipelines.common.errors import Note, StoryboardError, UsageError
from pipelines.common.files import write_atomic
from pipelines.common.settings import load_settings
from pipelines.storyboard.importer.prompt_list import read_prompt_list
from pipelines.storyboard.importer.starter import starter_text
from pipelines.storyboard.importer.storyboard_text import storyboard_text


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file that was written.

    Attributes:
        text: what is in it.
        next_step: what to do with it, in words or as a command.
        notes: on the list that it was made of; they are told already.
    """

    text: str
    next_step: str
    notes: tuple[Note, ...] = ()


def write_new_file(path: Path, *, prompts: Path | None, deployments: bool, options: Mapping[str, Any]) -> NewFile:
    """Write a storyboard, of a list of prompts if there is one, or the deployments.

    Raises:
        UsageError: there is such a file, its name or the options do not fit, or the list cannot be read.
    """
    if deployments and prompts:
        raise UsageError("--deployments and --from: a file of deployments holds no prompts; leave one of them out")
    if path.suffix not in (".yaml", ".yml"):
        rule = "Prefect reads prefect.yaml" if deployments else "a storyboard's name ends in .yaml"
        command = next_command("new", Path(f"{path}.yaml"), {"from": prompts, "deployments": deployments or None})
        raise UsageError(f"{path}: {rule}: {command}")
    # What is there is the user's own work: nothing here ever overwrites it.
    if path.exists():
        raise UsageError(f"{path}: exists already and is left as it is; choose another name")
    made = _deployments() if deployments else _storyboard(path, prompts, options)
    write_atomic(path, made.text.encode())
    return made


def _deployments() -> NewFile:
    # A link to prefect.yaml, so that the installed package holds it too.
    text = files("pipelines.flows").joinpath("prefect.yaml").read_text(encoding="utf-8")
    return NewFile(text, "name your storyboards in it, then prefect deploy --all")


def _storyboard(path: Path, prompts: Path | None, options: Mapping[str, Any]) -> NewFile:
    text, notes = _of_list(prompts, path, options) if prompts else (starter_text(), ())
    return NewFile(text, next_command("plan", path), notes)


def _of_list(source: Path, path: Path, options: Mapping[str, Any]) -> tuple[str, tuple[Note, ...]]:
    """Return the text of the storyboard of a list, and the notes on the list, which are told."""
    prompts = read_prompt_list(source)
    if prompts.notes and load_settings(options).strict:
        raise StoryboardError(prompts.notes)
    print_notes(prompts.notes)
    return storyboard_text(prompts, path=path), prompts.notes
