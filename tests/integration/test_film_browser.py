"""The film plays in a browser: Chromium shows the right picture at any time, before and after every join."""

import io
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import Browser, Page

from pipelines.common.geometry import Size
from pipelines.film.assembler import cut_film
from pipelines.storyboard.model import Delivery, Motion, MotionType
from pipelines.storyboard.presets import presets
from pipelines.storyboard.timeline import Timeline
from tests.support.browser import needs_chromium
from tests.support.film_kinds import SIZE as KINDS
from tests.support.film_kinds import all_kinds, grainy_frames
from tests.support.film_samples import COLOURS, flat_frames, pictures, timeline_of
from tests.support.speeches import audible

SIZE = Size(320, 192)
NAMES = ["red", "green", "blue", "white", "purple"]
PAGE = '<body style="margin:0"><video src="film.mp4" width="320" height="192" muted></video>'
YOUTUBE = presets()["youtube"].delivery.resolved
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

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="module")]


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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Cut the film, and write a page that holds it; return the page's address."""
    folder = tmp_path_factory.mktemp("film")
    await cut_film(moving_timeline(), flat_frames(folder / "frames", NAMES, size=SIZE), folder / "film.mp4")
    (folder / "page.html").write_text(PAGE)
    return (folder / "page.html").as_uri()


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, address: str) -> AsyncIterator[Page]:
    """Open the page."""
    async with await browser.new_context(viewport={"width": SIZE.width, "height": SIZE.height}) as context:
        page = await context.new_page()
        await page.goto(address)
        yield page


async def test_every_hold_is_seen_at_its_time(page: Page) -> None:
    """A screenshot in the middle of each hold has its colour, and the one between two holds both."""
    for number, name in enumerate(NAMES):
        await page.evaluate(SEEK, number + 0.5)
        assert mean_of(await page.screenshot()) == pytest.approx(COLOURS[name], abs=12)

    await page.evaluate(SEEK, 1.0)
    halfway = (np.array(COLOURS["red"]) + np.array(COLOURS["green"])) / 2
    assert np.abs(mean_of(await page.screenshot()) - halfway).max() < 30


@pytest.mark.parametrize("delivery", [Delivery(), YOUTUBE], ids=["plain", "youtube"])
async def test_each_picture_is_found(browser: Browser, tmp_path: Path, delivery: Delivery) -> None:
    """At its exact time, from anywhere: those that are predicted from others, before and behind every join.

    In a film without edit lists too.
    """
    timeline = audible(all_kinds(), tmp_path)
    timeline = replace(timeline, output=replace(timeline.output, delivery=delivery))
    film = (await cut_film(timeline, grainy_frames(tmp_path / "frames", 10), tmp_path / "film.mp4")).path
    (tmp_path / "page.html").write_text(PAGE.replace("320", str(KINDS.width)).replace("192", str(KINDS.height)))
    numbers = random.Random(13).sample(range(timeline.video_frames), 20)
    expected = [picture.astype(float) for picture in pictures(film, KINDS)]

    async with await browser.new_context(viewport={"width": KINDS.width, "height": KINDS.height}) as context:
        page = await context.new_page()
        await page.goto((tmp_path / "page.html").as_uri())
        for number in numbers:
            shown_s = await page.evaluate(SEEK, (number + 0.5) / 24)
            assert shown_s == pytest.approx(number / 24, abs=1e-3)
            seen = np.asarray(Image.open(io.BytesIO(await page.screenshot())).convert("RGB"), float)
            likeness = {other: np.abs(seen - expected[other]).mean() for other in (number - 1, number, number + 1)}
            assert likeness[number] <= min(likeness.values()) + 0.05
            assert likeness[number] < 6


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
