"""A real browser that records a page's console messages and its requests."""

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright

from tests.support.patience import WAIT_S

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium here (Debian: apt-get install chromium)"
)

_SERIOUS = ("serious", "critical")
# The review sends its first event as soon as the page cannot miss any.
_NOTE_FIRST_EVENT = """{
  const Stream = window.EventSource;
  window.EventSource = class extends Stream {
    constructor(...values) {
      super(...values);
      this.addEventListener("progress", () => { window.hears = true; }, { once: true });
    }
  };
}"""


@dataclass
class Visit:
    """A page in the browser, the errors and warnings on its console, and the addresses that it requested."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    async def accessibility_violations(self) -> list[str]:
        """Return the serious and critical violations that axe-core finds, in words."""
        results = await Axe().run(self.page)
        return [
            f"{violation['id']}: {violation['help']}: {node['html']}"
            for violation in results.response["violations"]
            if violation["impact"] in _SERIOUS
            for node in violation["nodes"]
        ]

    async def save_screenshot(self, name: str, folder: Path) -> None:
        """Save a screenshot in `folder`, or in the folder that STORYREEL_SCREENSHOTS names."""
        target = Path(os.environ.get("STORYREEL_SCREENSHOTS", folder))
        target.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=target / f"{name}.png")

    async def wait_hearing(self) -> None:
        """Wait until the review's page misses no event any more."""
        await self.page.wait_for_function("() => window.hears")

    async def wait_visible(self, selector: str, count: int | None = None) -> None:
        """Wait until exactly `count` of these elements are visible; at least one, where no count is given."""
        visible = f"() => [...document.querySelectorAll({selector!r})].filter(e => e.checkVisibility()).length"
        await self.page.wait_for_function(f"{visible} > 0" if count is None else f"{visible} === {count}")

    async def visible_frames(self) -> list[int]:
        """Return the numbers of the frames whose cards are not filtered out."""
        cards = await self.page.eval_on_selector_all(".card:not([hidden])", "cards => cards.map(c => c.dataset.number)")
        return [int(number) for number in cards]


@contextlib.asynccontextmanager
async def open_chromium(**environment: str) -> AsyncIterator[Browser]:
    """Run Chromium while the block lasts: it takes longer to start than most tests take in it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], env={**os.environ, **environment}
        )
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def visiting(browser: Browser, address: str, **options: Any) -> AsyncIterator[Visit]:
    """Open an address while the block lasts, in a context that shares nothing with other visits.

    Args:
        browser: runs already.
        address: of the page.
        options: those of a Playwright context.
    """
    async with await browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options}) as context:
        page = await context.new_page()
        visit = Visit(page)
        page.on(
            "console", lambda entry: visit.errors.append(entry.text) if entry.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: visit.errors.append(str(error)))
        # A script of a hostile text that came to life would open one.
        page.on("dialog", lambda dialog: visit.errors.append(f"a dialog: {dialog.message}"))
        page.on("request", lambda request: visit.requests.append(request.url))
        await page.add_init_script(_NOTE_FIRST_EVENT)
        page.set_default_timeout(WAIT_S * 1000)
        await page.goto(address)
        yield visit
