"""Frames as people name them."""

from dataclasses import replace
from fractions import Fraction

import pytest

from pipelines.common.errors import UsageError
from pipelines.common.geometry import Fit, Size
from pipelines.storyboard.model import Output
from pipelines.storyboard.plan import Plan
from pipelines.storyboard.selection import ExtraTakes, select_extra_takes, select_frame, select_frames
from pipelines.storyboard.timeline import Timeline
from tests.support.builders import MODEL, frame_spec

PLACES = ["arrival/wide", "arrival/wide", "arrival/close", "storm/wide"]
FRAMES = tuple(
    frame_spec(number, scene=place.split("/")[0], shot=place.split("/")[1], prompt=f"a harbor {number}")
    for number, place in enumerate(PLACES)
)
OUTPUT = Output(Fraction(24), Size(64, 64), "h264", 18, Fit.COVER)
PLAN = Plan("harbor", "Harbor", MODEL, FRAMES, (Timeline("Harbor", OUTPUT, (), ()),))


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("3", [3]),
        ("0-1", [0, 1]),
        ("2, 0 - 1,2", [0, 1, 2]),
        ("arrival/wide", [0, 1]),
        ("storm/wide,0", [0, 3]),
        ("arrival", [0, 1, 2]),
        ("0-3", [0, 1, 2, 3]),
        ("frame_0001,frame_0002-frame_0003", [1, 2, 3]),
    ],
)
def test_frames_are_named_by_number_shot_and_scene(text: str, numbers: list[int]) -> None:
    """Each comes once, in storyboard order."""
    assert [frame.number for frame in select_frames(PLAN, text)] == numbers


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("4", "4: there is no such frame; harbor has frames 0 to 3"),
        ("2-4", "2-4: there is no such frame; harbor has frames 0 to 3"),
        ("2-1", "2-1: there is no such frame; harbor has frames 0 to 3"),
        ("-1", "-1: is neither a frame's number (3, 7-9) nor a shot nor a scene; choose one of arrival/wide, "),
        ("arival/wide", "arival/wide: is neither a frame's number (3, 7-9) nor a shot nor a scene; did you mean "),
        ("", "FRAMES: is neither "),
        ("1,,2", "FRAMES: is neither "),
    ],
)
def test_what_is_not_there_is_said(text: str, complaint: str) -> None:
    """With what there is instead."""
    with pytest.raises(UsageError) as error:
        select_frames(PLAN, text)

    assert str(error.value).startswith(complaint)


def test_one_frame_is_one() -> None:
    """A shot of several frames does not do where one is wanted."""
    assert select_frame(PLAN, "arrival/close") == FRAMES[2]
    with pytest.raises(UsageError, match=r"^arrival: names 3 frames \(0, 1, 2 ...\); name one of them by its number$"):
        select_frame(PLAN, "arrival")


def test_more_takes_have_a_price_each() -> None:
    """Two more of two frames are four images."""
    more = select_extra_takes(PLAN, "1,3", count=2, prompt="  fog ")

    assert more == ExtraTakes((FRAMES[1], FRAMES[3]), 2, "fog")
    assert [(spec.frame, spec.prompt) for spec in more.to_quote] == [(FRAMES[1], "fog"), (FRAMES[3], "fog")] * 2


@pytest.mark.parametrize(
    ("count", "prompt", "complaint"),
    [
        (0, None, "--takes 0: must be 1 to 99"),
        (100, None, "--takes 100: must be 1 to 99"),
        (1, " ", "the prompt is 0 characters once filled in; prompts have 1 to 2,048"),
        (1, "\u200b", "the prompt shows nothing once filled in: all of its characters are invisible; write words"),
        (1, "x" * 2049, "the prompt is 2,049 characters once filled in; prompts have 1 to 2,048"),
        (1, "a\x1bb", "the prompt holds the control character '\\x1b'; remove it"),
    ],
)
def test_what_cannot_be_asked_is_refused(count: int, prompt: str | None, complaint: str) -> None:
    """Before anything is generated."""
    with pytest.raises(UsageError) as error:
        select_extra_takes(replace(PLAN), "0", count=count, prompt=prompt)

    assert str(error.value) == complaint
