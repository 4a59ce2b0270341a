"""The exit code of several storyboards that end differently."""

from pathlib import Path

import pytest

from pipelines.cli.exit_codes import SeveralStoryboardsError, worst_exit_code
from pipelines.common.errors import (
    BudgetError,
    EndpointError,
    IncompleteError,
    InterruptedRunError,
    Problem,
    StoryboardError,
    StoryreelError,
    UsageError,
)


@pytest.mark.parametrize(
    ("exit_codes", "worst"),
    [
        ([], 0),
        ([0, 0], 0),
        ([0, 1], 1),
        ([1, 2], 2),
        ([2, 4], 4),
        ([4, 3], 3),
        ([3, 5], 5),
        ([5, 130], 130),
        ([4, 2, 0, 3, 1], 3),
        ([1, 0, 130, 5, 4, 3, 2], 130),
    ],
)
def test_the_worst_exit_code_decides(exit_codes: list[int], worst: int) -> None:
    """130 > 5 > 3 > 4 > 2 > 1 > 0, in whatever order they come."""
    assert worst_exit_code(exit_codes) == worst
    assert worst_exit_code(reversed(exit_codes)) == worst


@pytest.mark.parametrize(
    "error", [StoryreelError, UsageError, IncompleteError, BudgetError, EndpointError, InterruptedRunError]
)
def test_every_family_of_errors_has_its_place(error: type[StoryreelError]) -> None:
    """An exit code without one would be a bug of the command's last step."""
    assert worst_exit_code([0, error.exit_code]) == error.exit_code


def test_several_errors_name_their_storyboards() -> None:
    """Errors in the YAML begin with its path already."""
    wrong = StoryboardError([Problem("b.yaml", 3, 1, "audio", "is no sound"), Problem("b.yaml", 9, 1, "", "is odd")])

    error = SeveralStoryboardsError({Path("a.yaml"): BudgetError("too dear"), Path("b.yaml"): wrong})

    assert str(error) == "a.yaml: too dear\nb.yaml:3:1: audio: is no sound\nb.yaml:9:1: is odd"
    assert error.exit_code == 3
