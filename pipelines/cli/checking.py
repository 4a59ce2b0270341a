"""Checking storyboards before a command does anything else with them, and telling the notes on them."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pipelines.cli.asynchronous import run_to_end
from pipelines.cli.options import print_message
from pipelines.cli.problems import print_notes
from pipelines.cli.speaking import speech_shown
from pipelines.common.errors import Note, Problem, StorageError, StoryboardError
from pipelines.common.formatting import counted
from pipelines.common.settings import Settings
from pipelines.endpoints.choice import model_to_check
from pipelines.run.checking import check_storyboard
from pipelines.storyboard.endpoint import settings_for
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.model import Storyboard
from pipelines.voice.observer import SpeechObserver
from pipelines.voice.planning import plan_spoken


@dataclass(frozen=True, slots=True)
class Checked:
    """What is to be said of one storyboard.

    Attributes:
        path: its file.
        problems: what is wrong with it.
        notes: on it, where nothing is wrong.
        frames: how many it asks for.
        video_seconds: the length of its film.
        settings: those of a run of it, where nothing is wrong.
    """

    path: Path
    problems: tuple[Problem, ...] = ()
    notes: tuple[Note, ...] = ()
    frames: int = 0
    video_seconds: float = 0
    settings: Settings | None = None

    @property
    def ok(self) -> bool:
        """Whether it can be rendered."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        found = {"problems": list(map(str, self.problems)), "notes": list(map(str, self.notes))}
        film = {"frames": self.frames, "video_seconds": self.video_seconds} if self.ok else {}
        return {"path": str(self.path), "ok": self.ok, **found, **film}


def check_board(path: Path, settings: Settings) -> Checked:
    """Check one storyboard, and the endpoint that it names; tell the notes on it, and if it is good.

    Raises:
        UsageError: a setting or a price list is wrong.
    """
    try:
        board = load_storyboard(path)
        of_run = settings_for(board, settings)
        notes, seconds = _notes_and_seconds(board, of_run)
    except StoryboardError as exc:
        return Checked(path, problems=exc.problems)
    frames = len(board.frames)
    noted = f", {counted(len(notes), 'note')}" if notes else ""
    print_message(f"{path}: ok, {counted(frames, 'frame')}, {seconds:.1f} s{noted}")
    return Checked(path, notes=notes, frames=frames, video_seconds=seconds, settings=of_run)


def _notes_and_seconds(board: Storyboard, settings: Settings) -> tuple[tuple[Note, ...], float]:
    """Return the notes on a storyboard, and the length of its film in seconds."""
    try:
        return _notes_and_seconds_in(board, settings)
    except StorageError:
        # A check is of use where nothing can be written, too: only the speech of its narrations is kept at all.
        with tempfile.TemporaryDirectory() as folder:
            return _notes_and_seconds_in(board, settings.model_copy(update={"output": Path(folder)}))


def _notes_and_seconds_in(board: Storyboard, settings: Settings) -> tuple[tuple[Note, ...], float]:
    [notes] = check_boards([board], [settings])
    return notes, float(plan_spoken(board, settings).timeline.duration_s)


def checks_json(checks: Sequence[Checked], endpoints: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    """Return what is said of several storyboards as plain JSON values.

    Args:
        checks: of each storyboard.
        endpoints: what probes found of each one's; empty where none was asked, None where none was to be.
    """
    boards = [check.as_json() for check in checks]
    notes = [note for board in boards for note in board["notes"]]
    probed: dict[str, Any] = {}
    if endpoints is not None:
        probed = {"endpoint": endpoints[0] if endpoints else None}
        boards = [{**board, "endpoint": found} for board, found in zip_longest(boards, endpoints)]
    return {"ok": all(check.ok for check in checks), "notes": notes, **probed, "storyboards": boards}


def check_boards(boards: Sequence[Storyboard], settings: Sequence[Settings]) -> list[tuple[Note, ...]]:
    """Check what the films of storyboards are made of; tell the notes on them, and return those of each.

    Args:
        boards: the storyboards.
        settings: those of each, which choose who makes its frames, and whether notes are errors.

    Raises:
        StoryboardError: every problem of all of them; notes too, with `strict`.
    """
    with speech_shown(*boards) as observer:
        checked = run_to_end(_check_boards(boards, settings, observer))
    for notes in checked:
        print_notes(notes)
    return checked


async def _check_boards(
    boards: Sequence[Storyboard], settings: Sequence[Settings], observer: SpeechObserver
) -> list[tuple[Note, ...]]:
    checked: list[tuple[Note, ...]] = []
    problems: list[Problem] = []
    for board, of_board in zip(boards, settings, strict=True):
        try:
            notes = await check_storyboard(
                board, of_board, strict=of_board.strict, model=model_to_check(of_board), observer=observer
            )
            checked.append(notes)
        except StoryboardError as exc:
            problems.extend(exc.problems)
    if problems:
        raise StoryboardError(problems)
    return checked
