"""The review page in a real browser: from the first look to another film, by mouse and by keyboard alone."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

from pipelines.ledger.models import RunCounters
from tests.conftest import wait_until
from tests.support.browser import Visit, needs_chromium, visiting
from tests.support.review import BOARD, ReviewSession

pytestmark = [
    needs_chromium,
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
]

HOSTILE = "<script>alert(1)</script> “מלכת הים” <img src=x onerror=alert(1)>"


@contextlib.asynccontextmanager
async def looking_at(browser: Browser, review: ReviewSession, **options: Any) -> AsyncIterator[Visit]:
    """Open the page while the block lasts, which begins once the page hears of every change."""
    async with visiting(browser, review.address, **options) as visit:
        await visit.wait_hearing()
        yield visit


async def film_address(visit: Visit) -> str:
    return str(await visit.page.get_attribute("#player", "src"))


async def wait_for_another_film(visit: Visit, before: str) -> None:
    """Wait until the player has been given another film."""
    await visit.page.wait_for_function(
        "before => document.querySelector('#player').getAttribute('src') !== before", arg=before
    )


async def test_a_file_leads_to_the_page(browser: Browser, review: ReviewSession) -> None:
    """From the disk to the page, whose own requests are accepted; no other site hears of it, and the file goes."""
    assert review.opening is not None
    file = review.opening.write()
    async with visiting(browser, file.as_uri()) as visit:
        await visit.page.wait_for_url(review.address)
        await visit.wait_hearing()

        assert await visit.page.evaluate("document.referrer") == ""
        assert visit.errors == []
        assert not file.exists()


async def test_reroll_pick_and_see_the_film_change(browser: Browser, review: ReviewSession, tmp_path: Path) -> None:
    """With the mouse: the price is shown and confirmed, the take appears, it is used, the film follows."""
    async with looking_at(browser, review) as visit:
        page = visit.page
        film = await film_address(visit)
        await visit.save_screenshot("review", tmp_path)
        await page.click("#f1 .open")
        await page.click("[data-reroll]")
        await page.get_by_role("button", name="Generate 1 take for 0.000428 USD").wait_for()
        assert "Simulated: sketches are free." in await page.inner_text("#reroll-price")
        await visit.save_screenshot("review-price", tmp_path)
        assert review.take_numbers() == [[1], [1], [1]]

        await page.get_by_role("button", name="Generate 1 take for 0.000428 USD").click()
        await page.click('#view-takes [data-take="2"]')
        await page.wait_for_function("() => document.querySelector('#big').src.includes('/files/')")
        await page.click("[data-pick]")
        await wait_for_another_film(visit, film)
        await visit.wait_visible('#view-takes [data-take="2"] .selected')
        await page.click("[data-close]")
        await visit.wait_visible("#f1 .badge")
        await visit.save_screenshot("review-picked", tmp_path)

        assert "take 2 of 2" in await page.inner_text("#f1")
        assert await page.get_by_role("button", name="re-rolled 1").count() == 1
        assert review.selected_numbers() == [1, 2, 1]
        assert visit.errors == []
        assert {address.split("/")[2] for address in visit.requests if address.startswith("http")} == {
            review.origin.split("/")[2]
        }


async def test_all_of_it_by_keyboard_alone(browser: Browser, review: ReviewSession) -> None:
    """Arrows, Enter, r, Enter, 2, and space plays from here."""
    async with looking_at(browser, review) as visit:
        keys = visit.page.keyboard
        film = await film_address(visit)
        await keys.press("Tab")
        await visit.page.focus("#f0 .open")
        await keys.press("ArrowRight")
        await keys.press("Enter")
        await keys.press("r")
        await visit.wait_visible("#reroll-confirm:focus:not([disabled])")
        await keys.press("Enter")
        await visit.wait_visible('#view-takes [data-take="2"]')
        await keys.press("2")
        await wait_for_another_film(visit, film)
        await visit.page.wait_for_function("() => document.querySelector('#player').readyState > 0")
        await keys.press("Space")
        await visit.page.wait_for_function("() => document.querySelector('#player').currentTime >= 1")

        assert review.selected_numbers() == [1, 2, 1]
        assert visit.errors == []


async def test_a_prompt_is_reworded(browser: Browser, review: ReviewSession) -> None:
    """`p` edits it for the re-roll, the price follows, and markup in it stays text."""
    async with looking_at(browser, review) as visit:
        keys = visit.page.keyboard
        await visit.page.focus("#f2 .open")
        await keys.press("p")
        await visit.wait_visible("#reroll-prompt:focus")
        assert await visit.page.input_value("#reroll-prompt") == "birds over the sea"
        await visit.page.fill("#reroll-prompt", "  ")
        await visit.page.wait_for_function(
            "() => document.querySelector('#reroll-price').textContent.includes('Write a prompt')"
        )
        assert await visit.page.is_disabled("#reroll-confirm")
        await visit.page.fill("#reroll-prompt", HOSTILE)
        await visit.page.fill("#reroll-count", "2")
        await visit.page.get_by_role("button", name="Generate 2 takes for 0.000856 USD").click()
        await visit.page.wait_for_function("() => document.querySelector('#f2').textContent.includes('of 3')")
        await visit.page.click("#f2 .open")
        await keys.press("3")

        assert await visit.page.text_content("#view-prompt") == HOSTILE
        assert review.take_numbers()[2] == [1, 2, 3]
        assert visit.errors == []


async def test_nothing_is_generated_that_is_not_confirmed(browser: Browser, review: ReviewSession) -> None:
    """Escape and Cancel leave everything as it is."""
    async with looking_at(browser, review) as visit:
        for leave in ("Escape", "Cancel"):
            await visit.page.focus("#f0 .open")
            await visit.page.keyboard.press("r")
            await visit.wait_visible("#reroll-confirm:not([disabled])")
            if leave == "Escape":
                await visit.page.keyboard.press("Escape")
            else:
                await visit.page.click("[data-cancel]")
            await visit.wait_visible("#reroll", 0)

        assert review.take_numbers() == [[1], [1], [1]]


async def test_progress_is_shown_in_words(browser: Browser, review: ReviewSession) -> None:
    """The stage, the takes generated so far, their cost, and those that failed."""
    counters = RunCounters(
        stage="generating frames",
        to_generate=4,
        generated=2,
        failed=1,
        cost_usd=Decimal("0.000856"),
        uncertain_usd=Decimal("0.000428"),
    )
    values = {name: str(value) if isinstance(value, Decimal) else value for name, value in asdict(counters).items()}
    event = f"event: progress\ndata: {json.dumps(values)}\n\n"
    async with looking_at(browser, review) as visit:
        await visit.page.route("**/events?*", lambda route: route.fulfill(content_type="text/event-stream", body=event))
        await visit.page.reload()
        await visit.wait_visible("#progress")

        text = await visit.page.inner_text("#progress-text")
        assert text == "generating frames · 2 of 4 takes · 0.000856 USD and at most 0.000428 uncertain · 1 failed"
        assert await visit.page.eval_on_selector("#progress-bar", "bar => bar.value") == 0.75


async def test_marked_frames_are_rerolled_together(browser: Browser, review: ReviewSession) -> None:
    """Frames are marked with x or by a click, and quoted as one."""
    async with looking_at(browser, review) as visit:
        await visit.page.focus("#f0 .open")
        await visit.page.keyboard.press("x")
        await visit.page.click("#f2 .marker")
        assert await visit.page.inner_text("#marked-count") == "2 marked"
        await visit.page.click("[data-reroll-marked]")
        await visit.page.get_by_role("button", name="Generate 2 takes for 0.000856 USD").click()
        await visit.page.wait_for_function(
            "() => document.querySelectorAll('.card[data-kinds~=rerolled]').length === 2"
        )

        assert review.take_numbers() == [[1, 2], [1], [1, 2]]
        assert not await visit.page.is_visible(".marked")


async def test_two_browsers_see_each_others_picks(browser: Browser, review: ReviewSession) -> None:
    """The last pick counts, and both show it."""
    with review.listening() as events:
        review.reroll(0, count=2)
        wait_until(lambda: events.stages().count("") == 2)
    async with looking_at(browser, review) as one, looking_at(browser, review) as other:
        for visit, take in ((one, 2), (other, 3)):
            await visit.page.click("#f0 .open")
            await visit.wait_visible('#view-takes [data-take="3"]')
            await visit.page.keyboard.press(str(take))
            await visit.wait_visible(f'#view-takes [data-take="{take}"] .selected')

        await one.wait_visible('#view-takes [data-take="3"] .selected')
        assert review.selected_numbers()[0] == 3


@pytest.mark.usefixtures("watched_closely")
async def test_an_edit_of_the_storyboard_is_seen(browser: Browser, review: ReviewSession) -> None:
    """Other frames appear by themselves; a mistake is reported and can be dismissed."""
    async with looking_at(browser, review) as visit:
        review.edit(BOARD.replace("birds over the sea", "ships at sea"))
        await visit.page.wait_for_function("() => document.querySelector('#f2').textContent.includes('ships at sea')")
        await visit.wait_visible("#f2 .empty")
        await visit.wait_hearing()

        review.edit("title: [broken")
        await visit.wait_visible("#failure")
        assert "the storyboard has mistakes now" in await visit.page.inner_text("#failure-text")
        await visit.page.click("[data-dismiss]")
        assert not await visit.page.is_visible("#failure")


@pytest.mark.usefixtures("watched_closely")
async def test_notes_appear_and_stay_folded_up(browser: Browser, review: ReviewSession, tmp_path: Path) -> None:
    """Each with its place; other changes leave the list as it is, and it goes with what it was about."""
    (review.path.parent / "music.mp3").write_bytes(b"no sound")
    async with looking_at(browser, review) as visit:
        await visit.wait_hearing()
        review.edit(f"{BOARD}audio: {{track: music.mp3}}\n")
        await visit.wait_visible("#notes li", 1)
        assert f"{review.path}:" in await visit.page.inner_text("#notes li")
        assert await visit.accessibility_violations() == []
        await visit.save_screenshot("review-notes", tmp_path)

        await visit.page.click("#notes summary")
        review.post("picks", {"key": review.keys[1], "take": 1})
        await visit.wait_visible("#f1 .badge.good")
        assert not await visit.page.is_visible("#notes li")
        review.edit(BOARD)
        await visit.wait_visible("#notes details", 0)
        assert visit.errors == []


async def test_a_closed_review_is_reported(
    browser: Browser, rendered: ReviewSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page that stays open says what to do."""
    # Closing ends the page's stream of events at once instead of waiting for it to end by itself.
    monkeypatch.setattr("pipelines.review.server._SHUTDOWN_TIMEOUT_S", 0)
    review = rendered.copy_to(tmp_path)
    opened = review.open()
    await asyncio.to_thread(opened.__enter__)
    async with looking_at(browser, review) as visit:
        await visit.wait_visible("#f0")
        await asyncio.to_thread(opened.__exit__, None, None, None)

        await visit.page.focus("#f0 .open")
        await visit.page.keyboard.press("r")
        await visit.page.wait_for_function("() => document.querySelector('#reroll-price').textContent.length > 0")
        assert "run storyreel review again" in await visit.page.inner_text("#reroll-price")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_accessible(browser: Browser, review: ReviewSession, scheme: str) -> None:
    """The page, the big view, and the dialog that shows the price."""
    async with looking_at(browser, review, color_scheme=scheme) as visit:
        assert await visit.accessibility_violations() == []
        await visit.page.click("#f0 .open")
        assert await visit.accessibility_violations() == []
        await visit.page.click("[data-reword]")
        await visit.wait_visible("#reroll-confirm:not([disabled])")
        assert await visit.accessibility_violations() == []


async def test_five_thousand_frames_can_be_reviewed(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is generated yet: the page opens, filters, and generates one of them."""
    # Closing waits until the report is written; the page has none of its fifty contact sheets.
    monkeypatch.setattr("pipelines.report.builder.write_contact_sheet", lambda *_: None)
    review = ReviewSession(tmp_path)
    review.path.write_text("title: Many\nprompts:\n" + "".join(f"  - view {n} of the sea\n" for n in range(5000)))
    with review.open():
        async with looking_at(browser, review) as visit:
            await visit.page.fill("#search", "view 4321 ")
            assert await visit.visible_frames() == [4321]
            await visit.page.focus("#f4321 .open")
            await visit.page.keyboard.press("r")
            await visit.wait_visible("#reroll-confirm:not([disabled])")
            await visit.page.keyboard.press("Enter")
            await visit.wait_visible("#f4321 img")

            assert visit.errors == []
    assert review.take_numbers()[4321] == [1]
