"""What the tests of several parts together share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.support.browser import open_chromium
from tests.support.review import ReviewSession
from tests.support.sellers.openai_images import OpenAIImages
from tests.support.sellers.seller import Seller, serving_seller
from tests.support.sellers.workers_ai import WorkersAI
from tests.support.workerd import Deployment, NoWorkerdError, deployed, find_workerd


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


@pytest.fixture(scope="session")
def workerd() -> Path:
    """Return Cloudflare's runtime; without it the test is skipped."""
    try:
        return find_workerd()
    except NoWorkerdError as exc:
        pytest.skip(str(exc))


@pytest.fixture(scope="module")
def deployment(workerd: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Yield the Worker as it answers all tests of a module; it asks for no token."""
    with deployed(workerd, tmp_path_factory.mktemp("worker")) as deployment:
        yield deployment


@pytest.fixture
def watched_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look more often for changes from outside."""
    monkeypatch.setattr("pipelines.review.service._WATCH_INTERVAL_S", 0.1)


@pytest.fixture
def workers_ai() -> Iterator[Seller]:
    """Serve Workers AI."""
    with serving_seller(WorkersAI()) as seller:
        yield seller


@pytest.fixture
def openai_images() -> Iterator[Seller]:
    """Serve OpenAI's images API."""
    with serving_seller(OpenAIImages()) as seller:
        yield seller
