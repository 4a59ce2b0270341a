"""A real browser that notes what a page says on its console and asks of the network."""

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, async_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

_SERIOUS = ("serious", "critical")


@dataclass
class Visit:
    """A page in the browser, what it complained of and what it asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    async def faults(self) -> list[str]:
        """Return what axe-core finds seriously or critically inaccessible, in words."""
        found = await Axe().run(self.page)
        return [
            f"{violation['id']}: {violation['help']}: {node['html']}"
            for violation in found.response["violations"]
            if violation["impact"] in _SERIOUS
            for node in violation["nodes"]
        ]

    async def keep(self, name: str, folder: Path) -> None:
        """Keep a screenshot: in `folder`, or where STORYREEL_SCREENSHOTS says."""
        kept = Path(os.environ.get("STORYREEL_SCREENSHOTS", folder))
        kept.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=kept / f"{name}.png")

    async def see(self, selector: str, count: int | None = None) -> None:
        """Wait until so many of these are seen; one at least, where no count is given."""
        visible = f"() => [...document.querySelectorAll({selector!r})].filter(e => e.checkVisibility()).length"
        await self.page.wait_for_function(f"{visible} > 0" if count is None else f"{visible} === {count}")

    async def numbers(self) -> list[int]:
        """Return the frames whose cards are to be seen."""
        cards = await self.page.eval_on_selector_all(".card:not([hidden])", "cards => cards.map(c => c.dataset.number)")
        return [int(number) for number in cards]


@contextlib.asynccontextmanager
async def visiting(address: str, **options: Any) -> AsyncIterator[Visit]:
    """Open a page; options are those of a Playwright context."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page(**{"viewport": {"width": 1280, "height": 800}, **options})
        visit = Visit(page)
        page.on(
            "console", lambda said: visit.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        page.on("dialog", lambda dialog: visit.complaints.append(f"a dialog: {dialog.message}"))
        page.on("request", lambda request: visit.requests.append(request.url))
        page.set_default_timeout(30_000)
        await page.goto(address)
        try:
            yield visit
        finally:
            await browser.close()
