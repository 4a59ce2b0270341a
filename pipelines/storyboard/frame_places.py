"""The places in a storyboard's file at which the things stand that its frames ask for."""

import functools
import itertools
from collections.abc import Iterator, Sequence

from pipelines.storyboard.model import FramePlaces, Place
from pipelines.storyboard.prompts import matrix_combinations, prompts_per_combination
from pipelines.storyboard.shots import Shot
from pipelines.storyboard.sounds import Locate


def frame_places(shots: Sequence[Shot], locate: Locate) -> Iterator[FramePlaces]:
    """Yield the places of each frame, in storyboard order.

    Args:
        shots: all shots.
        locate: returns the place of a path in the file.
    """
    # Ten thousand frames may share a prompt, and ten thousand shots a default.
    located = functools.cache(locate)
    for shot in shots:
        place = located(shot.path)
        steps, aspect = (_place_of(shot, key, located) for key in ("steps", "aspect"))
        images = itertools.product(matrix_combinations(shot.model), prompts_per_combination(shot.model, shot.path))
        yield from (FramePlaces(place, located(source.path), steps, aspect) for _, source in images)


def _place_of(shot: Shot, key: str, locate: Locate) -> Place | None:
    return None if getattr(shot.settings, key) is None else locate(shot.path_of(key))
