"""Prompts of a shot, before templates are filled in: lists, keyframes and matrices, and the frames that they make."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

from pipelines.storyboard.format.base import YamlPath
from pipelines.storyboard.format.schema import ShotModel


@dataclass(frozen=True, slots=True)
class SourceText:
    """A text as it is written in the storyboard, and its path there."""

    path: YamlPath
    text: str


def count_frames(shot: ShotModel) -> int:
    """Return the number of frames that a shot asks for, without building any of them."""
    lengths = [len(values) for values in (shot.matrix or {}).values()]
    # The product of no lengths is 1: a shot without a matrix is one combination.
    combinations = lengths[0] if shot.match == "zip" and lengths else prod(lengths)
    return combinations * _frames_per_combination(shot)


def matrix_combinations(shot: ShotModel) -> Iterator[dict[str, str]]:
    """Yield the matrix's values by name for each combination, the last key turning fastest.

    A shot without a matrix is one combination of no names.
    """
    matrix = shot.matrix or {}
    rows = zip(*matrix.values(), strict=True) if shot.match == "zip" else itertools.product(*matrix.values())
    for row in rows:
        yield dict(zip(matrix, row, strict=True))


def prompts_per_combination(shot: ShotModel, path: YamlPath) -> list[SourceText]:
    """Return the prompt of each frame of one combination; `path` is the shot's own."""
    if isinstance(shot.prompts, list):
        return [SourceText((*path, "prompts", index), prompt) for index, prompt in enumerate(shot.prompts)]
    if isinstance(shot.prompts, dict):
        return list(_held_keyframes(shot.prompts, _frames_per_combination(shot), (*path, "prompts")))
    # In the short form the shot is an entry of the list `prompts`, and has no key `prompt`.
    prompt_path = path if path[0] == "prompts" else (*path, "prompt")
    return [SourceText(prompt_path, shot.prompt or "")] * _frames_per_combination(shot)


def fallback_prompts(shot: ShotModel, path: YamlPath) -> list[SourceText]:
    """Return the prompts to try when the API refuses the first; `path` is the shot's own."""
    return [
        SourceText((*path, "fallback_prompts", index), prompt)
        for index, prompt in enumerate(shot.fallback_prompts or ())
    ]


def _held_keyframes(keyframes: Mapping[int, str], count: int, path: YamlPath) -> Iterator[SourceText]:
    """Yield the prompt of each frame: a keyframe's holds until the next."""
    current = 0
    for index in range(count):
        current = index if index in keyframes else current
        yield SourceText((*path, current), keyframes[current])


def _frames_per_combination(shot: ShotModel) -> int:
    if isinstance(shot.prompts, list):
        return len(shot.prompts)
    if isinstance(shot.prompts, dict):
        # Keyframes count from 0, so the last one's number is one less than the frames.
        return shot.frames or max(shot.prompts) + 1
    return shot.frames or 1
