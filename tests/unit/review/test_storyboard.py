"""The storyboard under review is read again as it is edited, as long as its runs still ask the same endpoint."""

import asyncio
from pathlib import Path

import pytest

from pipelines.common.errors import UsageError
from pipelines.common.settings import Settings
from pipelines.review.storyboard import ReviewedStoryboard
from pipelines.storyboard.endpoint import settings_for
from pipelines.storyboard.loader import load_storyboard
from tests.unit.storyboard.problems import Write

NAMING = "endpoint: {{url: '{}', rate_limit: {}}}\nprompts: [a]\n"
URL, OTHER = "https://flux.test", "https://other.test"


@pytest.fixture
def named(write: Write) -> Path:
    """Return a storyboard that names an endpoint."""
    return write(NAMING.format(URL, 60))


def reviewed(path: Path, folder: Path, **settings: object) -> ReviewedStoryboard:
    """Open a storyboard as the command does."""
    given = Settings(output=folder, **settings)  # type: ignore[arg-type]
    return ReviewedStoryboard(path, settings_for(load_storyboard(path), given))


@pytest.mark.parametrize("text", [NAMING.format(OTHER, 60), NAMING.format(URL, 30), "prompts: [a, b]\n"])
def test_another_endpoint_needs_the_review_to_be_opened_again(named: Path, tmp_path: Path, text: str) -> None:
    """Its runs would ask the one before; the storyboard stays as it was."""
    review = reviewed(named, tmp_path)
    before = review.board
    named.write_text(text)

    with pytest.raises(UsageError, match="names another endpoint than before; close the cutting room and open it"):
        asyncio.run(review.reload())

    assert review.board is before


def test_where_the_endpoint_stands_does_not_matter(named: Path, tmp_path: Path) -> None:
    """A line above it moves it."""
    review = reviewed(named, tmp_path)
    named.write_text("title: A film\n" + NAMING.format(URL, 60))

    asyncio.run(review.reload())

    assert review.board.title == "A film"


def test_what_a_storyboard_names_does_not_matter_where_it_was_told(named: Path, tmp_path: Path) -> None:
    """The command line has won."""
    review = reviewed(named, tmp_path, endpoint=URL)
    named.write_text(NAMING.format(OTHER, 60) + "title: A film\n")

    asyncio.run(review.reload())

    assert review.board.title == "A film"
