"""Narration on the pages, in a real browser: it is heard, and its words are marked as they are spoken."""

import asyncio
import contextlib
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.async_api import Browser

from pipelines.report.page import render_report
from tests.support.browser import Visit, needs_chromium, visiting
from tests.support.report_samples import frame, narration, page
from tests.support.review import ReviewSession

pytestmark = [needs_chromium, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

WORDS = "Six in the morning. Nobody is up. The harbor sleeps on"


def write_spoken(folder: Path, *, voice: bool = True) -> str:
    """Write a report of three frames, the first two under one narration of eleven seconds; return its address."""
    spoken = narration(WORDS, frames=2, missing_s=9.0)
    frames = (frame(0, narration=spoken), frame(1, narrated_from=0), frame(2))
    (folder / "report.html").write_text("".join(render_report(page(*frames))), encoding="utf-8")
    (folder / "takes").mkdir()
    Image.new("RGB", (1344, 768), "teal").save(folder / "takes/1.png")
    if voice:
        (folder / "voice").mkdir()
        with wave.open(str(folder / "voice/one.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(bytes(2 * 8000 * 11))
    return (folder / "report.html").as_uri()


# A word may be over before it is asked for.
NOTE_MARKS = """() => {
  window.marks = [];
  new MutationObserver((changes) => {
    for (const { target } of changes) if (target.ariaCurrent) window.marks.push(target.textContent);
  }).observe(document.querySelector("#view-words"), { subtree: true, attributeFilter: ["aria-current"] });
}"""


@contextlib.asynccontextmanager
async def hearing(browser: Browser, address: str, **options: Any) -> AsyncIterator[Visit]:
    """Open a page while the block lasts, and note from the beginning on which words are marked."""
    async with visiting(browser, address, **options) as visit:
        await visit.page.evaluate(NOTE_MARKS)
        yield visit


async def marked(visit: Visit) -> list[str]:
    """Return the words that are marked now."""
    return await visit.page.locator("#view-words [aria-current]").all_inner_texts()


async def voice_time(visit: Visit) -> float:
    return float(await visit.page.evaluate("document.querySelector('#voice').currentTime"))


async def wait_for_word(visit: Visit, word: str) -> None:
    """Wait until this word was marked."""
    await visit.page.wait_for_function("word => window.marks.includes(word)", arg=word)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_narration_is_heard_and_its_words_are_marked(browser: Browser, tmp_path: Path, scheme: str) -> None:
    """From its card; a click on a word plays from there; whatever is shown is accessible."""
    async with hearing(browser, write_spoken(tmp_path), color_scheme=scheme) as visit:
        assert await visit.accessibility_violations() == []
        await visit.page.get_by_role("button", name="Hear the narration of frame 0, 11.0 s").click()
        await wait_for_word(visit, "in")
        await visit.save_screenshot(f"narration-{scheme}", tmp_path)
        assert await visit.page.inner_text("#view-words") == WORDS
        assert await visit.page.inner_text("#view-spoken") == "hibari/heart, 11 words in 11.0 s, over 2 frames"
        assert await visit.page.inner_text("#view-short") == "Its 2 frames are held 9.00 s too short for its words."
        assert await visit.accessibility_violations() == []

        await visit.page.get_by_text("Nobody", exact=True).click()
        await wait_for_word(visit, "is")

        assert await voice_time(visit) < 7
        assert visit.errors == []


async def test_a_narration_is_gone_through_by_keys(browser: Browser, tmp_path: Path) -> None:
    """`n` on its frame, then word by word; the view shows the same frame, and is closed in silence."""
    async with hearing(browser, write_spoken(tmp_path)) as visit:
        keys = visit.page.keyboard
        await visit.page.focus("#f0 .open")
        await keys.press("n")
        await wait_for_word(visit, "Six")
        await keys.press("n")
        await visit.page.focus("#view-words")
        await keys.press("Home")
        for _ in range(4):
            await keys.press("ArrowRight")
        await keys.press("ArrowLeft")

        assert await marked(visit) == ["morning."]
        assert await visit.page.inner_text("#view-word") == "morning. · 3.00 to 4.00 s"
        assert await visit.page.inner_text("#view-title") == "frame_0000 · scene-1/wide"
        await keys.press("Enter")
        await wait_for_word(visit, "Nobody")
        await keys.press("Escape")
        await visit.page.wait_for_function("() => document.querySelector('#voice').paused")
        assert visit.errors == []


async def test_a_later_frame_is_heard_from_where_it_begins(browser: Browser, tmp_path: Path) -> None:
    """It begins after a second; a frame in silence has no narration."""
    async with hearing(browser, write_spoken(tmp_path)) as visit:
        await visit.page.click("#f1 .open")
        await wait_for_word(visit, "in")
        assert await visit.page.inner_text("#view-spoken") == (
            "hibari/heart, 11 words in 11.0 s, over 2 frames, since frame 0"
        )

        await visit.page.keyboard.press("ArrowRight")

        await visit.page.locator("#view-narration").wait_for(state="hidden")
        await visit.page.keyboard.press("n")
        assert await visit.page.evaluate("document.querySelector('#voice').paused")


async def test_a_voice_that_is_not_beside_the_page_is_told(browser: Browser, tmp_path: Path) -> None:
    """With where it should be."""
    async with hearing(browser, write_spoken(tmp_path, voice=False)) as visit:
        await visit.page.click("#f0 .open")
        await visit.wait_visible("#no-voice")

        assert await visit.page.inner_text("#no-voice") == "The voice is not beside this page: voice/one.wav"


async def test_what_an_edit_says_is_heard_on_the_open_page(browser: Browser, tmp_path: Path) -> None:
    """It is spoken in the background; the page shows the new words with their times, and plays them."""
    review = ReviewSession(tmp_path)
    board = review.path.read_text().replace(
        "a cat in a garden}", "a cat in a garden, narration: Nobody is up., hold: auto}"
    )
    review.path.write_text(board)
    await asyncio.to_thread(review.render)
    with review.open():
        async with visiting(browser, review.address) as visit:
            await visit.wait_hearing()
            assert await visit.page.inner_text("#f0 .said") == "Nobody is up."

            review.edit(board.replace("Nobody is up.", "Nobody is up but the cat of the house."))
            await visit.page.locator("#f0 .said", has_text="Nobody is up but the cat of the house.").wait_for()
            # It may have been loaded again.
            await visit.page.evaluate(NOTE_MARKS)
            await visit.page.click('[data-listen="0"]')
            await wait_for_word(visit, "house.")

            assert await visit.accessibility_violations() == []
            assert visit.errors == []
