"""The browser example of flux-api.md: a page of another origin asks the served API for images."""

import functools
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from pipelines.server.config import EngineKind, ServerConfig, parse_fault
from pipelines.server.running import serve_in_thread
from tests.support.browser import Visit, needs_chromium, visiting
from tests.support.workerd import Deployment

pytestmark = [
    needs_chromium,
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
]

CLIENTS = Path(__file__).parents[1] / "fixtures" / "clients"


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def page_address() -> Iterator[str]:
    """Yield the address of the page, at a port of its own and so of another origin than the API."""
    handler = functools.partial(_QuietHandler, directory=str(CLIENTS))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/page.html"
        finally:
            server.shutdown()
            thread.join()


@pytest_asyncio.fixture(loop_scope="module")
async def visit(browser: Browser, page_address: str) -> AsyncIterator[Visit]:
    """Yield a visit of the page, whose dialogs are closed."""
    async with visiting(browser, page_address) as visit:
        visit.page.on("dialog", lambda dialog: dialog.accept())
        yield visit


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve_in_thread(ServerConfig(engine=EngineKind.PLAIN)) as address:
        yield address


async def ask_for_a_sunset(visit: Visit, url: str) -> tuple[str, int]:
    """Return what the page logs of an image's cost, and the width of the image that it shows."""
    async with visit.page.expect_console_message() as message:
        await visit.page.evaluate("url => generateImage(url, 'a beautiful sunset')", url)
    await visit.page.wait_for_function("() => document.querySelector('img').complete")
    return (await message.value).text, await visit.page.evaluate("document.querySelector('img').naturalWidth")


async def test_a_page_shows_the_image_and_its_cost(visit: Visit, url: str) -> None:
    """The blob is an image on the page, and the header is readable."""
    shown = await ask_for_a_sunset(visit, url)

    assert (shown, visit.errors) == (("Cost: 0.0228 baht", 1024), [])


async def test_a_page_from_the_disk_does_so_too(browser: Browser, url: str) -> None:
    """Its origin is null."""
    async with visiting(browser, (CLIENTS / "page.html").as_uri()) as visit:
        shown = await ask_for_a_sunset(visit, url)

    assert (shown, visit.errors) == (("Cost: 0.0228 baht", 1024), [])


async def test_a_page_shows_what_the_worker_makes(visit: Visit, deployment: Deployment) -> None:
    """Under Cloudflare's own runtime, with its headers."""
    shown = await ask_for_a_sunset(visit, deployment.url)

    assert (shown, visit.errors) == (("Cost: 0.0228 baht", 1024), [])


@pytest.mark.parametrize(
    ("config", "prompt", "status", "error"),
    [
        (ServerConfig(), "", 400, "Prompt is required"),
        (ServerConfig(faults=(parse_fault("rate-limit=1"),)), "a harbor", 429, "Rate limited"),
        (ServerConfig(faults=(parse_fault("refused=1"),)), "a harbor", 500, "Failed to generate image"),
    ],
    ids=["wrong", "limited", "refused"],
)
async def test_a_page_reads_what_is_wrong(
    visit: Visit, config: ServerConfig, prompt: str, status: int, error: str
) -> None:
    """An error is no failure of the network to it: it alerts the text."""
    with serve_in_thread(config) as url:
        await visit.page.evaluate("([url, prompt]) => generateImage(url, prompt)", [url, prompt])

    # The first is the browser's own word on every such status.
    assert len(visit.errors) == 2
    assert f"a status of {status}" in visit.errors[0]
    assert visit.errors[1] == f"a dialog: Error: {error}"
