"""Take the pictures of the terminal and of the cutting room that the README shows: `python docs/take_screenshots.py`.

Wants Chromium. Everything in the pictures is real: a run against the served API, and the page that it leaves.
"""

import asyncio
import io
import shutil
import tempfile
import threading
from pathlib import Path

from PIL import Image
from playwright.async_api import Page, async_playwright
from rich.console import Console

from pipelines.cli.display import ProgressView
from pipelines.common.settings import Settings
from pipelines.review.server import open_review
from pipelines.run.local import run_locally
from pipelines.run.result import RunObserver, watch
from pipelines.server.config import ServerConfig
from pipelines.server.running import serve_in_thread
from pipelines.storyboard.loader import load_storyboard

HERE = Path(__file__).parent
BOARD = HERE.parent / "configs/storyboards/the-keeper.yaml"
FRAME, ENOUGH = 11, 13
TERMINAL = """<pre style="font:15px/1.35 'DejaVu Sans Mono',monospace;background:#16171a;color:#e8e8e8;
padding:18px 22px;width:max-content">{}</pre>"""


def main() -> None:
    """Take both."""
    with tempfile.TemporaryDirectory() as folder, serve_in_thread(ServerConfig(latency_s=(3, 6))) as url:
        settings = Settings(output=Path(folder), endpoint=url, model="sketch", rate_limit=60)
        asyncio.run(take_pictures(settings))


async def take_pictures(settings: Settings) -> None:
    """Render the storyboard, looking on; then open its cutting room."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": 1280, "height": 760})
        await page.set_content(TERMINAL.format(await watched_run(settings)))
        keep(await page.locator("pre").screenshot(), "terminal.png")
        with open_review(BOARD, settings.model_copy(update={"rate_limit": 60_000}), port=0) as room:
            thread = threading.Thread(target=room.serve)
            thread.start()
            await look_at_room(page, room.address)
            room.server.should_exit = True
            await asyncio.to_thread(thread.join)
        await browser.close()


async def watched_run(settings: Settings) -> str:
    """Return what the terminal shows halfway, as HTML; the run is finished nevertheless."""
    seen = RunObserver()
    token = watch.set(seen)
    running = asyncio.create_task(run_locally(load_storyboard(BOARD), settings, None))
    watch.reset(token)
    while seen.progress.bought < ENOUGH and not running.done():  # noqa: ASYNC110 - nobody tells when it is halfway
        await asyncio.sleep(0.1)
    console = Console(record=True, file=io.StringIO(), width=76, height=24, force_terminal=True)
    console.print(ProgressView(seen.progress))
    await running
    return console.export_html(inline_styles=True, code_format="{code}")


async def look_at_room(page: Page, address: str) -> None:
    """Ask for two more takes of a frame, and look at them."""
    await page.goto(address)
    await page.click(f"#f{FRAME} .open")
    await page.keyboard.press("r")
    await page.wait_for_selector("#ask-confirm:not([disabled])")
    await page.fill("#ask-count", "2")
    await page.get_by_role("button", name="Buy 2 takes").click()
    await page.click('#view-takes [data-take="3"]')
    await page.wait_for_function("() => document.querySelector('#works').hidden")
    await page.wait_for_function("() => document.querySelector('#big').src.includes('/files/')")
    keep(await page.screenshot(), "cutting-room.jpg")


def keep(screenshot: bytes, name: str) -> None:
    """Write a screenshot beside this script."""
    Image.open(io.BytesIO(screenshot)).convert("RGB").save(HERE / name, quality=85)


if __name__ == "__main__":
    main()
