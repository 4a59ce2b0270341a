"""The film plays in a browser: Chromium shows the right picture at any time, before and after every join."""

import io
from collections.abc import AsyncIterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from playwright.async_api import Page, async_playwright

from pipelines.common.geometry import Size
from pipelines.film.assembler import cut_film
from pipelines.storyboard.model import Motion, MotionType
from pipelines.storyboard.timeline import Timeline
from tests.support.browser import CHROMIUM, needs_chromium
from tests.support.film_samples import COLOURS, flat_frames, timeline_of

SIZE = Size(320, 192)
NAMES = ["red", "green", "blue", "white", "purple"]
PAGE = '<body style="margin:0"><video src="film.mp4" width="320" height="192" muted></video>'
SEEK = """async time => {
  const video = document.querySelector("video");
  const shown = new Promise(done => video.requestVideoFrameCallback((_, frame) => done(frame.mediaTime)));
  video.currentTime = time;
  return await shown;
}"""
PLAY = """async () => {
  const video = document.querySelector("video");
  const times = [];
  const note = (_, frame) => { times.push(frame.mediaTime); video.requestVideoFrameCallback(note); };
  video.requestVideoFrameCallback(note);
  video.playbackRate = 2;
  await video.play();
  await new Promise(done => video.addEventListener("ended", done));
  return {times, errors: video.error && video.error.message, duration: video.duration};
}"""

pytestmark = needs_chromium


def moving_timeline() -> Timeline:
    """Return five holds of a second: still and moving ones, with dissolves between them."""
    timeline = timeline_of([24] * 5, size=SIZE, scenes={"One": 2, "Two": 3})
    motion = Motion(MotionType.PUSH_IN, Fraction(1, 10))
    holds = [
        replace(
            hold, motion=motion if n % 2 else None, transition="dissolve" if n < 4 else None, half=4 if n < 4 else 0
        )
        for n, hold in enumerate(timeline.holds)
    ]
    return replace(timeline, holds=tuple(holds))


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    """Cut the film, and open a page that holds it."""
    await cut_film(moving_timeline(), flat_frames(tmp_path / "frames", NAMES, size=SIZE), tmp_path / "film.mp4")
    (tmp_path / "page.html").write_text(PAGE)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": SIZE.width, "height": SIZE.height})
        await page.goto((tmp_path / "page.html").as_uri())
        yield page
        await browser.close()


async def test_every_hold_is_seen_at_its_time(page: Page, tmp_path: Path) -> None:
    """A screenshot in the middle of each hold has its colour, and the one between two holds both."""
    for number, name in enumerate(NAMES):
        await page.evaluate(SEEK, number + 0.5)
        assert mean_of(await page.screenshot()) == pytest.approx(COLOURS[name], abs=12)

    await page.evaluate(SEEK, 1.0)
    halfway = (np.array(COLOURS["red"]) + np.array(COLOURS["green"])) / 2
    assert np.abs(mean_of(await page.screenshot()) - halfway).max() < 30


async def test_it_plays_to_its_end(page: Page) -> None:
    """Time only goes forward, over every join, to the last picture."""
    played = await page.evaluate(PLAY)

    assert played["errors"] is None
    assert played["duration"] == pytest.approx(5)
    assert played["times"] == sorted(played["times"])
    assert played["times"][-1] > 4.5


def mean_of(screenshot: bytes) -> npt.NDArray[np.float64]:
    """Return the mean colour of a screenshot."""
    colours = np.asarray(Image.open(io.BytesIO(screenshot)).convert("RGB"), np.float64).reshape(-1, 3)
    return np.asarray(colours.mean(axis=0))
