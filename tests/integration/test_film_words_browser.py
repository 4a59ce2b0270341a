"""Words over a still play in a browser: wherever it seeks to, the word that is spoken then is highlighted."""

import io
import random
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.async_api import Browser

from pipelines.common.geometry import Size
from pipelines.film.assembler import cut_film
from pipelines.film.captions import Highlighted
from pipelines.film.spoken_captions import CaptionTrack
from pipelines.storyboard.model import CaptionStyle, WordCaptions
from tests.support.browser import needs_chromium
from tests.support.film_samples import flat_frames
from tests.support.speeches import audible, speaking, spoken

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="module")]

SIZE = Size(640, 360)
STYLE = CaptionStyle(words=WordCaptions.HIGHLIGHT, highlight="#ff0000", color="#0000ff", size=Fraction(1, 8))
TEXT = "One two three four, five six seven. Eight nine ten, eleven twelve thirteen."
PAGE = '<body style="margin:0"><video src="film.mp4" width="640" height="360" muted></video>'
SEEK = """async time => {
  const video = document.querySelector("video");
  const shown = new Promise(done => video.requestVideoFrameCallback(done));
  video.currentTime = time;
  await shown;
}"""


async def test_a_browser_shows_the_word_of_any_time(tmp_path: Path, browser: Browser) -> None:
    """Behind keyframes and between them, forwards and backwards."""
    speech = spoken(TEXT, word_s=Fraction(5, 8))
    timeline = audible(speaking(speech, lengths=[216], style=STYLE, size=SIZE), tmp_path)
    await cut_film(timeline, flat_frames(tmp_path, ["gray"], size=SIZE), tmp_path / "film.mp4")
    (tmp_path / "page.html").write_text(PAGE)
    track = [text for length, text in CaptionTrack(timeline).between(0, 216) for _ in range(length)]
    numbers = random.Random(7).sample(range(216), 16)

    seen, due = [], []
    async with await browser.new_context(viewport={"width": SIZE.width, "height": SIZE.height}) as context:
        page = await context.new_page()
        await page.goto((tmp_path / "page.html").as_uri())
        for number in numbers:
            await page.evaluate(SEEK, (number + 0.5) / 24)
            seen.append(share_lit(await page.screenshot()))
            text = track[number]
            due.append(len(text.text[text.start : text.end].strip(".,")) if isinstance(text, Highlighted) else 0)

    # The longer the word, the wider its red: from the narrowest to the widest, in the order of their letters.
    assert [width > 0 for width in seen] == [letters > 0 for letters in due]
    assert np.corrcoef(seen, due)[0, 1] > 0.9


def share_lit(screenshot: bytes) -> int:
    """Return how many pixels the highlighted word is wide."""
    picture = np.asarray(Image.open(io.BytesIO(screenshot)).convert("RGB"), np.int16)
    red = (picture[..., 0] - picture[..., 2] > 90) & (picture[..., 0] - picture[..., 1] > 90)
    columns = np.nonzero(red.any(axis=0))[0]
    return int(np.ptp(columns)) if len(columns) else 0
