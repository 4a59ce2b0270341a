"""Take the screenshots of the terminal and of the cutting room for the README: `python docs/take_screenshots.py`.

Needs Chromium. They show a real run against the served API, and the review page of its storyboard.
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
from pipelines.run.observer import RunObserver
from pipelines.server.config import ServerConfig
from pipelines.server.running import serve_in_thread
from pipelines.storyboard.loader import load_storyboard

HERE = Path(__file__).parent
BOARD = HERE.parent / "configs/storyboards/the-keeper.yaml"
# The frame that is re-rolled, and the frames that the terminal shows as done.
FRAME, FRAMES_DONE = 11, 13
TERMINAL = """<pre style="font:15px/1.35 'DejaVu Sans Mono',monospace;background:#16171a;color:#e8e8e8;
padding:18px 22px;width:max-content">{}</pre>"""


def main() -> None:
    """Take both screenshots."""
    with tempfile.TemporaryDirectory() as folder, serve_in_thread(ServerConfig(latency_s=(3, 6))) as url:
        settings = Settings(output=Path(folder), endpoint=url, model="sketch", rate_limit=60)
        asyncio.run(take_screenshots(settings))


async def take_screenshots(settings: Settings) -> None:
    """Take one halfway through a render, and one of the review page after it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": 1280, "height": 760})
        await page.set_content(TERMINAL.format(await render(settings)))
        save(await page.locator("pre").screenshot(), "terminal.png")
        with open_review(BOARD, settings.model_copy(update={"rate_limit": 60_000}), port=0) as review:
            thread = threading.Thread(target=review.serve)
            thread.start()
            await reroll(page, review.address)
            review.server.should_exit = True
            await asyncio.to_thread(thread.join)
        await browser.close()


async def render(settings: Settings) -> str:
    """Render the storyboard; return the terminal's display halfway through, as HTML."""
    observer = RunObserver()
    running = asyncio.create_task(run_locally(load_storyboard(BOARD), settings, observer=observer))
    # Polled: a run reports its stages, not single frames.
    while observer.progress.generated < FRAMES_DONE and not running.done():  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    console = Console(record=True, file=io.StringIO(), width=76, height=24, force_terminal=True)
    console.print(ProgressView(observer.progress))
    await running
    return console.export_html(inline_styles=True, code_format="{code}")


async def reroll(page: Page, address: str) -> None:
    """Generate two more takes of a frame on the review page, and show the last one."""
    await page.goto(address)
    await page.click(f"#f{FRAME} .open")
    await page.keyboard.press("r")
    await page.wait_for_selector("#reroll-confirm:not([disabled])")
    await page.fill("#reroll-count", "2")
    await page.get_by_role("button", name="Generate 2 takes").click()
    await page.click('#view-takes [data-take="3"]')
    await page.wait_for_function("() => document.querySelector('#progress').hidden")
    await page.wait_for_function("() => document.querySelector('#big').src.includes('/files/')")
    save(await page.screenshot(), "cutting-room.jpg")


def save(screenshot: bytes, name: str) -> None:
    """Save a screenshot beside this script."""
    Image.open(io.BytesIO(screenshot)).convert("RGB").save(HERE / name, quality=85)


if __name__ == "__main__":
    main()
