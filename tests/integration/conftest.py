"""What the tests of several parts together share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.support.browser import open_chromium
from tests.support.review import ReviewSession


@pytest.fixture(autouse=True)
def _plain_sketches(plain_sketches: None) -> None:
    """Let every run of these tests be quick; those of the served API itself serve what they look at."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Yield the browser of all tests of a module."""
    async with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> ReviewSession:
    """Return a review of three frames, all generated, that each test copies."""
    session = ReviewSession(tmp_path_factory.mktemp("rendered"))
    session.render()
    return session


@pytest.fixture
def review(rendered: ReviewSession, tmp_path: Path) -> Iterator[ReviewSession]:
    """Yield an open review of three frames, all generated."""
    with rendered.copy_to(tmp_path).open() as session:
        yield session


@pytest.fixture
def watched_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look more often for changes from outside."""
    monkeypatch.setattr("pipelines.review.service._WATCH_INTERVAL_S", 0.1)
