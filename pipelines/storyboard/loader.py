"""A storyboard's file -> Storyboard, or every problem in it with its place and its cure."""

import dataclasses
import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pipelines.common.errors import Note, Problem, StoryboardError
from pipelines.storyboard.expansion import ExpansionError, expand
from pipelines.storyboard.format.parsers import parse_id
from pipelines.storyboard.format.schema import StoryboardModel
from pipelines.storyboard.format.structure import is_free_text
from pipelines.storyboard.format.validation import issues_of, path_in
from pipelines.storyboard.further_issues import without_issues
from pipelines.storyboard.ids import folder_id
from pipelines.storyboard.issues import MAX_ISSUES, Issue
from pipelines.storyboard.model import Storyboard
from pipelines.storyboard.reading import parse_text, read_text
from pipelines.storyboard.sound_files import similar_sound
from pipelines.storyboard.source_map import SourceMap


def load_storyboards(paths: Iterable[Path]) -> list[Storyboard]:
    """Read several storyboards.

    Raises:
        StoryboardError: the problems of all of them.
    """
    boards: list[Storyboard] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            boards.append(load_storyboard(path))
        except StoryboardError as exc:
            # Collected, so that the user can fix all files before the next try.
            problems.extend(exc.problems)
    if problems:
        raise StoryboardError(problems)
    return boards


def load_storyboard(path: Path) -> Storyboard:
    """Read, check and resolve a storyboard.

    Raises:
        StoryboardError: every problem in it.
    """
    return load_text(read_text(path), path)


def load_text(text: str, path: Path) -> Storyboard:
    """Check and resolve a storyboard's text as if it were the file at `path`.

    Raises:
        StoryboardError: every problem in it.
    """
    source = parse_text(text, path)
    try:
        board = _expand(source, source.tree.data)
    except ValidationError as exc:
        errors = _first_in_file(source, exc.errors(include_url=False))
        issues = list(issues_of(errors, source.tree.data))
        raise _storyboard_error(source, [*issues, *_further_issues(source, issues)]) from exc
    except ExpansionError as exc:
        raise _storyboard_error(source, exc.issues) from exc
    # Sound files are looked for last, since only a storyboard that is otherwise right says which it needs.
    missing = itertools.islice(_missing_sounds(source, board), MAX_ISSUES)
    if problems := [*_repeated_keys(source), *missing]:
        raise StoryboardError(_in_file_order([*problems, *_notes(source)]))
    notes = sorted([*board.notes, *_notes(source)], key=lambda note: note.position)
    return dataclasses.replace(board, notes=tuple(notes))


def read_id(path: Path) -> str | None:
    """Return the id that a storyboard's file gives it now, whatever else is wrong; None where it cannot be read."""
    try:
        # Reading a pipe or a terminal might never end.
        if not path.is_file():
            return None
        own_id = parse_text(read_text(path), path).tree.data.get("id")
        return folder_id(path) if own_id is None else parse_id(own_id)
    except (StoryboardError, ValueError, OSError):
        return None


def _expand(source: SourceMap, data: object) -> Storyboard:
    board = StoryboardModel.model_validate(data)
    return expand(board, path=source.path, default_id=folder_id(source.path), locate=source.place)


def _first_in_file(source: SourceMap, errors: Sequence[ErrorDetails]) -> Sequence[ErrorDetails]:
    """Return the first `MAX_ISSUES` errors by their place in the file: to explain 200,000 would take minutes."""
    if len(errors) <= MAX_ISSUES:
        return errors
    return heapq.nsmallest(
        MAX_ISSUES, errors, key=lambda error: source.tree.mark(path_in(source.tree.data, error["loc"]))
    )


def _further_issues(source: SourceMap, issues: Sequence[Issue]) -> Sequence[Issue]:
    """Return the issues that the format's own issues hide: those in resolving the rest of the storyboard.

    The user can then fix all at once. An issue that only follows from another is not among them.
    """
    rest = without_issues(source.tree.data, issues)
    if rest is None:
        return ()
    try:
        _expand(source, rest)
    except ExpansionError as exc:
        return exc.issues
    except ValidationError:
        # Removing a value has made another one wrong, which says nothing about the user's storyboard.
        return ()
    return ()


def _repeated_keys(source: SourceMap) -> Iterator[Problem]:
    """Yield a problem for each key that its mapping has already, at the later one."""
    for mark, (path, key) in itertools.islice(source.tree.repeated.items(), MAX_ISSUES):
        message = f"the key {key!r} is there twice; remove one of them"
        yield source.problem_at(source.place_at(mark, path), message)


def _missing_sounds(source: SourceMap, board: Storyboard) -> Iterator[Problem]:
    named = [(sound.file, sound.place) for sound in board.sound.sounds]
    named += [(one.recording, one.recording_place or one.place) for one in board.narrations if one.recording]
    for file, place in named:
        if not file.is_file():
            meant = similar_sound(file, folder=board.path.parent)
            cure = f"did you mean {meant!r}?" if meant else "names are from the storyboard's folder"
            yield source.problem_at(place, f"there is no sound file {str(file)!r}; {cure}")


def _notes(source: SourceMap) -> list[Note]:
    """Return a note for each of the first places at which YAML takes a part of a text for something else."""
    marks = sorted(mark for mark, (path, _) in source.tree.remarks.items() if is_free_text(path))
    return [source.note_at(mark, *source.tree.remarks[mark]) for mark in marks[:MAX_ISSUES]]


def _storyboard_error(source: SourceMap, issues: Iterable[Issue]) -> StoryboardError:
    # The notes too: what is cut off explains many a problem.
    return StoryboardError(_in_file_order([*_repeated_keys(source), *map(source.problem, issues), *_notes(source)]))


def _in_file_order(problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems, each once, in file order; of very many, the first `MAX_ISSUES` and that there are more."""
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: problem.position)
    if len(ordered) < MAX_ISSUES:
        return ordered
    last = ordered[MAX_ISSUES - 1]
    # Looking for issues ends at the limit too, so whether there are more is not known.
    more = Problem(last.path, last.line, last.column, "", "and perhaps more after this; fix these first")
    return [*ordered[:MAX_ISSUES], more]
