"""Shots of a storyboard: their ids, their paths in it, and the settings that they inherit."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.storyboard.format.base import YamlPath
from pipelines.storyboard.format.narration_schema import NarrationValue
from pipelines.storyboard.format.schema import Cascading, ShotModel, StoryboardModel
from pipelines.storyboard.issues import IssueLog
from pipelines.storyboard.model import BoardScene
from pipelines.storyboard.prompts import SourceText, count_frames, matrix_combinations, prompts_per_combination

_CASCADING_KEYS = tuple(Cascading.model_fields)


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the cascade: a shot, its scene or the defaults, and its path."""

    path: YamlPath
    keys: Cascading


@dataclass(frozen=True, slots=True)
class Shot:
    """A shot in its place.

    Attributes:
        scene: the scene that holds it.
        id: its id, unique in the scene.
        path: its path in the storyboard's data.
        model: the shot as it is written.
        scene_path: the scene's path; of the short form's one scene, the root.
        scene_narration: what is spoken over the scene.
        levels: the levels that set cascading keys for it, the innermost first.
        settings: the cascading keys as they apply to it; None for a key that no level sets.
        frame_count: how many frames it asks for.
    """

    scene: BoardScene
    id: str
    path: YamlPath
    model: ShotModel
    scene_path: YamlPath
    scene_narration: NarrationValue | None
    levels: tuple[Level, ...]
    settings: Cascading
    frame_count: int

    @property
    def is_spoken_over(self) -> bool:
        """Whether there is narration over it, its own or the scene's."""
        return self.model.narration is not None or self.scene_narration is not None

    def path_of(self, key: str) -> YamlPath:
        """Return the path at which a cascading key is set for this shot; the shot's own where no level sets it."""
        for level in self.levels:
            if getattr(level.keys, key) is not None:
                return (*level.path, key)
        return (*self.path, key)


def frames_of(shot: Shot, variables: Mapping[str, str]) -> Iterator[tuple[SourceText, dict[str, str]]]:
    """Yield the prompt of each frame of a shot, and the values of the names that its templates may use.

    Args:
        shot: the shot.
        variables: the storyboard's own.
    """
    images = itertools.product(matrix_combinations(shot.model), prompts_per_combination(shot.model, shot.path))
    for index, (values, source) in enumerate(images):
        # The nearer name wins: a matrix's over a var, a var over the frame's own place.
        place = {"scene": shot.scene.id, "shot": shot.id, "frame": str(index)}
        yield source, {**place, **variables, **values}


def list_shots(board: StoryboardModel, *, title: str, issues: IssueLog) -> list[Shot]:
    """Return every shot, with the id that it has or is given.

    Ids that are there twice are issues. So are more frames than `max_frames`; there are no shots then.

    Args:
        board: the storyboard as it is written.
        title: of the storyboard, and so of the one scene that the short form has.
        issues: receives the issues.
    """
    shots: list[Shot] = []
    frames = 0
    # Counted as the shots come: a matrix may ask for more frames than fit into memory.
    for shot in _short_form(board, title) if board.prompts is not None else _long_form(board, issues):
        frames += shot.frame_count
        if frames > board.max_frames:
            message = (
                f"brings the storyboard to {frames:,} frames, more than {board.max_frames:,}; "
                "ask for fewer, or raise max_frames"
            )
            issues.add(shot.path, message)
            return []
        shots.append(shot)
    return shots


def _short_form(board: StoryboardModel, title: str) -> Iterator[Shot]:
    scene = BoardScene("main", title)
    levels = (Level(("defaults",), board.defaults),)
    for index, prompt in enumerate(board.prompts or ()):
        # Not validated again: the prompt was, as an entry of the list.
        shot = ShotModel.model_construct(prompt=prompt)
        yield Shot(scene, f"shot-{index + 1}", ("prompts", index), shot, (), None, levels, board.defaults, 1)


def _long_form(board: StoryboardModel, issues: IssueLog) -> Iterator[Shot]:
    defaults = Level(("defaults",), board.defaults)
    scene_ids: Counter[str] = Counter()
    for index, scene_model in enumerate(board.scenes or ()):
        scene_path: YamlPath = ("scenes", index)
        scene_id = scene_model.id or f"scene-{index + 1}"
        _require_new(scene_id, scene_ids, (*scene_path, "id"), "scenes", issues)
        scene = BoardScene(scene_id, scene_model.title or scene_id)
        outer = (Level(scene_path, scene_model), defaults)
        shot_ids: Counter[str] = Counter()
        for position, shot in enumerate(scene_model.shots):
            path = (*scene_path, "shots", position)
            shot_id = shot.id or f"shot-{position + 1}"
            _require_new(shot_id, shot_ids, (*path, "id"), f"shots of the scene {scene_id!r}", issues)
            levels = (Level(path, shot), *outer)
            narration = scene_model.narration
            settings, frames = _settings(levels), count_frames(shot)
            yield Shot(scene, shot_id, path, shot, scene_path, narration, levels, settings, frames)


def _settings(levels: Sequence[Level]) -> Cascading:
    """Return the cascading keys of all levels in one: for each, the innermost value."""
    values: dict[str, Any] = {}
    for level in levels:
        for key in _CASCADING_KEYS:
            if key not in values and (value := getattr(level.keys, key)) is not None:
                values[key] = value
    # Not validated again: each value was, at its own level.
    return Cascading.model_construct(**values)


def _require_new(identifier: str, seen: Counter[str], path: YamlPath, among: str, issues: IssueLog) -> None:
    seen[identifier] += 1
    # Not at the third or later: the same id many times is one mistake.
    if seen[identifier] == 2:
        issues.add(path, f"{identifier!r} is there twice among the {among}; ids are unique")
