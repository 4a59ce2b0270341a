"""A storyboard's file and the place of everything in it: the one source of lines and columns for errors."""

import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from pipelines.common.errors import Note, Problem
from pipelines.storyboard.format.base import YamlPath, has_step
from pipelines.storyboard.format.yaml_errors import Mark
from pipelines.storyboard.format.yaml_tree import YamlTree
from pipelines.storyboard.issues import Issue
from pipelines.storyboard.model import Place

_PLAIN_ID = re.compile(r"[\w-]+")


@dataclass(frozen=True, slots=True)
class SourceMap:
    """A storyboard's file: its path, and its data with the place of every key and value.

    Attributes:
        path: the file, as the user named it.
        tree: the parsed text.
    """

    path: Path
    tree: YamlTree

    def place(self, path: YamlPath, *, of_key: bool = False) -> Place:
        """Return the place of the value at `path`, or of its key; where there is none, of the nearest above it."""
        path = _as_written(path, self.tree.data)
        return self.place_at(self.tree.mark(path, of_key=of_key), path)

    def place_at(self, mark: Mark, path: YamlPath) -> Place:
        """Return a place at another line and column than the tree has for `path`."""
        return Place(mark.line, mark.column, path_in_words(path, self.tree.data))

    def problem(self, issue: Issue) -> Problem:
        """Return an issue as the problem that the user reads, with its line and column."""
        return self.problem_at(self.place(issue.path, of_key=issue.of_key), issue.message)

    def problem_at(self, place: Place, message: str) -> Problem:
        """Return the problem of something at `place`."""
        return place.problem(self.path, message)

    def note_at(self, mark: Mark, path: YamlPath, message: str) -> Note:
        """Return the note on a value of which something stands at `mark`."""
        return self.place_at(mark, path).note(self.path, message)


def _as_written(path: YamlPath, data: Any) -> YamlPath:
    """Return a path without the positions in a list of one that is written as its only entry."""
    written: list[str | int] = []
    for step in path:
        if isinstance(step, int) and isinstance(data, dict) and not has_step(data, step):
            continue
        written.append(step)
        data = data[step] if has_step(data, step) else None
    return tuple(written)


def path_in_words(path: YamlPath, data: Any) -> str:
    """Return a path as `scenes.arrival.shots.wide.steps`: scenes and shots by id, other list entries as `[0]`."""
    words = ""
    for step in path:
        # A plain value in place of a mapping is the value of its main key.
        if isinstance(data, str | int | Decimal):
            break
        data = data[step] if has_step(data, step) else None
        own_id = data.get("id") if isinstance(data, dict) and isinstance(step, int) else None
        # The id is the user's text and not checked yet: a wrong one would make the path unreadable.
        if isinstance(own_id, str) and _PLAIN_ID.fullmatch(own_id):
            words += f".{own_id}"
        else:
            words += f"[{step}]" if isinstance(step, int) else f".{step}"
    return words.removeprefix(".")
