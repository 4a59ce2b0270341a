"""Numbers with their nouns."""

import pytest

from pipelines.cli.wording import format_count


@pytest.mark.parametrize(("count", "text"), [(0, "0 frames"), (1, "1 frame"), (2, "2 frames"), (1000, "1000 frames")])
def test_a_number_and_its_noun_agree(count: int, text: str) -> None:
    """One is singular, none is plural."""
    assert format_count(count, "frame") == text
