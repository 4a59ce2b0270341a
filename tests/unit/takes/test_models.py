"""A frame shows the take that was picked, else the first that is there."""

from pathlib import Path

import pytest

from pipelines.takes.models import FrameTakes, Take
from tests.support.builders import frame_spec, take_spec
from tests.support.pictures import PRICE_USD


def frame_takes(*numbers: int, picked: int | None = None) -> FrameTakes:
    """Return a frame that has takes of these numbers."""
    specs = [take_spec(take=number) for number in numbers]
    takes = tuple(Take(spec, Path(f"takes/{spec.number}.png"), spec.prompt, PRICE_USD) for spec in specs)
    return FrameTakes(frame_spec(), takes, picked)


@pytest.mark.parametrize(
    ("there", "picked", "selected", "lost_pick"),
    [
        ((), None, None, False),
        ((1, 2), None, 1, False),
        ((2, 3), None, 2, False),
        ((1, 2, 3), 3, 3, False),
        ((1, 2), 3, 1, True),
        ((), 1, None, True),
    ],
)
def test_a_frame_selects_one_of_its_takes(
    there: tuple[int, ...], picked: int | None, selected: int | None, lost_pick: bool
) -> None:
    """Another take stands in for a picked one that is not there, and the frame says so."""
    frame = frame_takes(*there, picked=picked)

    assert (frame.selected.spec.number if frame.selected else None, frame.lost_pick) == (selected, lost_pick)


def test_a_take_belongs_to_the_frame_of_its_spec() -> None:
    """The frame of a second take is that of the first."""
    first, second = frame_takes(1, 2).takes

    assert (first.frame, second.frame) == (frame_spec(), frame_spec())
