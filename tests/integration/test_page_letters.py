"""The report and the review in a browser whose machine has one font, of Latin letters: all scripts are drawn.

Letters that a browser has no glyph for look alike: they are boxes.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from pipelines.common.lettering.typefaces import FontStack
from pipelines.report.page import render_report
from tests.support.browser import Visit, needs_chromium, open_chromium, visiting
from tests.support.letters import ALPHABETS
from tests.support.report_samples import frame, page
from tests.support.review import ReviewSession

pytestmark = [needs_chromium, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

# Two words of each script, of as many letters.
WORDS = [word for alphabet in ALPHABETS.values() for word in (alphabet[:3], alphabet[1:4])]
BOARD = "title: {}\noutput: {{fps: 12, size: 160x96}}\ndefaults: {{hold: 1s, steps: 1}}\nscenes:\n  - shots:\n{}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bare_browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """Yield a browser that finds no other font than Source Sans Pro."""
    folder = tmp_path_factory.mktemp("fonts")
    face = FontStack().face_for("a")
    assert face is not None
    (folder / face.file.name).symlink_to(face.file)
    config = folder / "fonts.conf"
    config.write_text(
        f'<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">'
        f"<fontconfig><dir>{folder}</dir><cachedir>{folder}/cache</cachedir></fontconfig>"
    )
    async with open_chromium(FONTCONFIG_FILE=str(config)) as browser:
        yield browser


@pytest.fixture
def written(tmp_path: Path) -> Iterator[ReviewSession]:
    """Yield an open review of a storyboard in all scripts, of which nothing is generated."""
    review = ReviewSession(tmp_path)
    shots = "".join(f'      - {{prompt: "{word}", caption: "{word}"}}\n' for word in WORDS)
    review.path.write_text(BOARD.format("".join(WORDS), shots), encoding="utf-8")
    with review.open():
        yield review


async def pictures(visit: Visit, selectors: list[str]) -> list[bytes]:
    """Return how elements look when all of their fonts have come."""
    # A browser asks for a font when it first draws a letter of it; a screenshot then waits for the fonts.
    await visit.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return [await visit.page.locator(selector).screenshot() for selector in selectors]


def look_alike(looks: list[bytes]) -> list[tuple[str, str]]:
    """Return the two words of each script that look the same."""
    pairs = zip(WORDS[::2], WORDS[1::2], looks[::2], looks[1::2], strict=True)
    return [(one, two) for one, two, look, another in pairs if look == another]


async def test_a_report_brings_its_letters_along(bare_browser: Browser, tmp_path: Path) -> None:
    """It asks for nothing but itself; its policy allows its fonts."""
    frames = [frame(number, prompt=word) for number, word in enumerate(WORDS)]
    (tmp_path / "report.html").write_text("".join(render_report(page(*frames))), encoding="utf-8")
    async with visiting(bare_browser, (tmp_path / "report.html").as_uri()) as visit:
        cards = await pictures(visit, [f"#f{number} .prompt" for number in range(len(WORDS))])
        await visit.save_screenshot("report-letters", tmp_path)

        assert look_alike(cards) == []
        assert visit.errors == []
        assert {address.split(":")[0] for address in visit.requests} <= {"file", "data"}


async def test_a_text_that_is_drawn_before_its_font_comes_is_drawn_again(bare_browser: Browser, tmp_path: Path) -> None:
    """Also where it is the first of its script on the page, and short."""
    looks = []
    for word in ("สวด", "วดช"):
        (tmp_path / "report.html").write_text("".join(render_report(page(frame(0, prompt=word)))), encoding="utf-8")
        async with visiting(bare_browser, (tmp_path / "report.html").as_uri()) as visit:
            looks += await pictures(visit, ["#f0 .prompt"])

    assert looks[0] != looks[1]


async def test_the_review_serves_the_letters_of_its_cards(
    bare_browser: Browser, written: ReviewSession, tmp_path: Path
) -> None:
    """And none that the page does not show."""
    async with visiting(bare_browser, written.address) as visit:
        cards = await pictures(visit, [f"#f{number} .prompt" for number in range(len(WORDS))])
        await visit.save_screenshot("review-letters", tmp_path)

        assert look_alike(cards) == []
        assert visit.errors == []
        loaded = [address.rpartition("/")[2] for address in visit.requests if address.endswith(".ttf")]
        assert {"NotoSansThai-0.ttf", "NotoSansHebrew-0.ttf", "NotoEmoji-0.ttf"} <= set(loaded)
        assert "NotoSansTamil-0.ttf" not in loaded


async def test_a_prompt_is_typed_in_letters_that_the_page_did_not_have(
    bare_browser: Browser, review: ReviewSession
) -> None:
    """The browser fetches them as they are typed."""
    async with visiting(bare_browser, review.address) as visit:
        await visit.page.focus("#f0 .open")
        await visit.page.keyboard.press("p")
        await visit.wait_visible("#reroll-confirm:not([disabled])")
        looks = []
        for word in WORDS:
            await visit.page.fill("#reroll-prompt", word)
            looks += await pictures(visit, ["#reroll-prompt"])

        assert look_alike(looks) == []
