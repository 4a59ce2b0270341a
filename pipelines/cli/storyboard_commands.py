"""Commands about the storyboard's file, which send nothing: new, check, plan, schema."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from pipelines.cli.hints import next_command
from pipelines.cli.logs import LoggedCommand
from pipelines.cli.options import (
    StoryboardPath,
    board_argument,
    boards_argument,
    endpoint_options,
    json_option,
    print_json,
    print_message,
    strict_option,
)
from pipelines.cli.quotes import quote_json, quote_text
from pipelines.common.errors import Note, Problem, StoryboardError, UsageError
from pipelines.common.formatting import counted


@click.command(cls=LoggedCommand)
@click.argument("path", type=StoryboardPath())
@click.option(
    "--from",
    "prompts",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A list of prompts: a .txt or .md with a line for each shot, or a .csv or .tsv with a row for each.",
)
@click.option("--deployments", is_flag=True, help="Write a prefect.yaml of storyreel's deployments instead.")
@strict_option
@json_option
def new(path: Path, *, prompts: Path | None, deployments: bool, as_json: bool, **options: Any) -> None:
    """Write a storyboard to start from, or from a list of prompts.

    The columns of a .csv are a storyboard's own keys: prompt, and if you like scene, shot, caption, hold, steps,
    aspect, transition, motion, style ... A row without a scene belongs to the scene above it.

    A line of a .txt is a prompt to the letter. Numbering and list marks are stripped; headings, code fences and lines
    without a letter or digit are left out. Notes tell which.

    \b
    Example:
      storyreel new my-film.yaml
      storyreel new my-film.yaml --from prompts.txt
      storyreel new prefect.yaml --deployments
    """
    from pipelines.common.files import write_atomic

    if deployments and prompts:
        raise UsageError("--deployments and --from: a file of deployments holds no prompts; leave one of them out")
    if path.suffix not in (".yaml", ".yml"):
        rule = "Prefect reads prefect.yaml" if deployments else "a storyboard's name ends in .yaml"
        command = next_command("new", Path(f"{path}.yaml"), {"from": prompts, "deployments": deployments or None})
        raise UsageError(f"{path}: {rule}: {command}")
    # What is there is the user's own work: nothing here ever overwrites it.
    if path.exists():
        raise UsageError(f"{path}: exists already and is left as it is; choose another name")
    written = _deployments() if deployments else _storyboard(path, prompts, options)
    write_atomic(path, written.text.encode())
    print_message(f"{path}: written; next: {written.next_step}")
    if as_json:
        print_json({"path": str(path), "notes": list(map(str, written.notes))})


@dataclass(frozen=True, slots=True)
class _NewFile:
    """What is written, and what is told of it."""

    text: str
    next_step: str
    notes: tuple[Note, ...] = ()


def _deployments() -> _NewFile:
    # A link to prefect.yaml, so that the installed package holds it too.
    text = files("pipelines.flows").joinpath("prefect.yaml").read_text(encoding="utf-8")
    return _NewFile(text, "name your storyboards in it, then prefect deploy --all")


def _storyboard(path: Path, prompts: Path | None, options: Mapping[str, Any]) -> _NewFile:
    from pipelines.storyboard.importer.starter import starter_text

    text, notes = _import_list(prompts, path, options) if prompts else (starter_text(), ())
    return _NewFile(text, next_command("plan", path), notes)


def _import_list(source: Path, path: Path, options: Mapping[str, Any]) -> tuple[str, tuple[Note, ...]]:
    """Return the text of the storyboard of a list, and the notes on the list, which are told."""
    from pipelines.cli.problems import print_notes
    from pipelines.common.settings import load_settings
    from pipelines.storyboard.importer.prompt_list import read_prompt_list
    from pipelines.storyboard.importer.storyboard_text import storyboard_text

    prompts = read_prompt_list(source)
    if prompts.notes and load_settings(options).strict:
        raise StoryboardError(prompts.notes)
    print_notes(prompts.notes)
    return storyboard_text(prompts, path=path), prompts.notes


@click.command(cls=LoggedCommand)
@boards_argument
@strict_option
@json_option
def check(boards: tuple[Path, ...], *, as_json: bool, **options: Any) -> None:
    """Check storyboards; send nothing.

    Mistakes are errors. What is legal but surely not meant is a note.

    \b
    Example:
      storyreel check configs/storyboards/*.yaml
    """
    from pipelines.common.settings import load_settings

    strict = load_settings(options).strict
    # Every one is read before any problem ends the command: people fix them all at once.
    results = [_check(path, strict=strict) for path in boards]
    if as_json:
        as_dicts = [result.as_json() for result in results]
        notes = [note for result in as_dicts for note in result["notes"]]
        print_json({"ok": all(result.ok for result in results), "notes": notes, "storyboards": as_dicts})
    problems = [problem for result in results for problem in result.problems]
    if problems:
        raise StoryboardError(problems)


@dataclass(frozen=True, slots=True)
class _Checked:
    """What is to be said of one storyboard."""

    path: Path
    problems: tuple[Problem, ...] = ()
    notes: tuple[Note, ...] = ()
    frames: int = 0
    video_seconds: float = 0

    @property
    def ok(self) -> bool:
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        found = {"problems": list(map(str, self.problems)), "notes": list(map(str, self.notes))}
        film = {"frames": self.frames, "video_seconds": self.video_seconds} if self.ok else {}
        return {"path": str(self.path), "ok": self.ok, **found, **film}


def _check(path: Path, *, strict: bool) -> _Checked:
    """Check one storyboard; tell the notes on it, and if it is good."""
    from pipelines.cli.checking import check_boards
    from pipelines.storyboard.loader import load_storyboard
    from pipelines.storyboard.timeline import build_timeline

    try:
        board = load_storyboard(path)
        [notes] = check_boards([board], strict=strict)
    except StoryboardError as exc:
        return _Checked(path, problems=exc.problems)
    frames, seconds = len(board.frames), float(build_timeline(board).duration_s)
    noted = f", {counted(len(notes), 'note')}" if notes else ""
    print_message(f"{path}: ok, {counted(frames, 'frame')}, {seconds:.1f} s{noted}")
    return _Checked(path, notes=notes, frames=frames, video_seconds=seconds)


@click.command(cls=LoggedCommand)
@board_argument
@endpoint_options
@strict_option
@json_option
def plan(board: Path, *, as_json: bool, **options: Any) -> None:
    """Show what a render would generate, cost and take.

    Nothing is sent.

    \b
    Example:
      storyreel plan configs/storyboards/harbor-at-dawn.yaml
    """
    from pipelines.cli.boards import open_board
    from pipelines.cli.checking import check_boards
    from pipelines.cli.following import notes_on_last_run
    from pipelines.storyboard.plan import plan_frames
    from pipelines.takes.inventory import read_inventory

    storyboard, settings = open_board(board, options)
    [notes] = check_boards([storyboard], strict=settings.strict)
    planned = plan_frames(storyboard, model=settings.effective_model)
    inventory = read_inventory(planned, settings)
    # All that the storyboard asks for: with `takes: 3`, three of a frame.
    quote = inventory.quote(settings)
    on_last_run = notes_on_last_run(settings, planned.storyboard)
    if as_json:
        print_json({**quote_json(planned, quote, inventory.losses), "notes": [*map(str, notes), *on_last_run]})
    else:
        noted = [f"  note        {note}" for note in on_last_run]
        lines = [quote_text(planned, quote, settings, inventory.losses), *noted]
        print_message("\n".join(lines))


@click.command(cls=LoggedCommand)
def schema() -> None:
    """Print the storyboard's JSON Schema.

    \b
    Example:
      storyreel schema > storyboard.schema.json
    """
    from pipelines.storyboard.format.schema import json_schema

    print_json(json_schema())
