"""Figures are written as people read them."""

import pytest

from pipelines.common.formatting import format_duration


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (59.9, "59 s"), (61, "1 min 01 s"), (3599, "59 min 59 s"), (7500, "2 h 05 min")]
)
def test_durations_are_written_in_two_units(seconds: float, said: str) -> None:
    """The two that matter."""
    assert format_duration(seconds) == said
