"""The report in a real browser, opened from disk: read, filtered and browsed by mouse and by keyboard."""

import shutil
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import Browser

from pipelines.common.geometry import Size
from pipelines.film.assembler import cut_film
from pipelines.report.division import divide, index_rows, page_view
from pipelines.report.models import FilmView, PageView
from pipelines.report.page import render_index, render_report
from tests.support.browser import Visit, needs_chromium, visiting
from tests.support.film_samples import flat_frames, timeline_of
from tests.support.report_samples import frame, page
from tests.unit.report.test_page import HOSTILE

pytestmark = [needs_chromium, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


def write_page(folder: Path, view: PageView) -> str:
    """Write a report with pictures beside it; return its address."""
    (folder / "takes").mkdir(exist_ok=True)
    for number, colour in enumerate(["teal", "olive", "purple"], 1):
        Image.new("RGB", (1344, 768), colour).save(folder / f"takes/{number}.png")
    (folder / "report.html").write_text("".join(render_report(view)), encoding="utf-8")
    return (folder / "report.html").as_uri()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cut a film of four frames of a second each; return its file."""
    folder, size = tmp_path_factory.mktemp("film"), Size(320, 192)
    pictures = flat_frames(folder / "frames", ["red", "green", "blue", "white"], size=size)
    await cut_film(timeline_of([24] * 4, size=size), pictures, folder / "film.mp4")
    return folder / "film.mp4"


def with_film(folder: Path, film: Path) -> PageView:
    """Return a page of four frames, with their film beside it."""
    shutil.copy(film, folder / "film.mp4")
    return page(scenes=2, films=(FilmView("film.mp4", "video/mp4", 4.0, "320x192"),))


async def film_time(visit: Visit) -> float:
    return float(await visit.page.evaluate("document.querySelector('#player').currentTime"))


async def test_it_opens_from_disk_without_errors_or_network(browser: Browser, film: Path, tmp_path: Path) -> None:
    """The console stays empty, only files and data URIs are requested; thumbnails and charts are there."""
    async with visiting(browser, write_page(tmp_path, with_film(tmp_path, film))) as visit:
        await visit.wait_visible(".card img")
        await visit.save_screenshot("report", tmp_path)
        widths = await visit.page.eval_on_selector_all(".card img", "pictures => pictures.map(p => p.naturalWidth)")

        assert widths == [320, 320, 320]
        assert await visit.page.locator("svg[role=img]").count() == 3
        assert visit.errors == []
        assert {address.split(":")[0] for address in visit.requests} <= {"file", "data"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_accessible(browser: Browser, film: Path, tmp_path: Path, scheme: str) -> None:
    """As a page and with the big view open, in both colour schemes."""
    async with visiting(browser, write_page(tmp_path, with_film(tmp_path, film)), color_scheme=scheme) as visit:
        assert await visit.accessibility_violations() == []
        await visit.page.click("#f3 .open")
        await visit.page.click("summary")
        await visit.save_screenshot(f"report-view-{scheme}", tmp_path)
        assert await visit.accessibility_violations() == []


def write_divided(folder: Path, view: PageView) -> str:
    """Write a report as an index and its pages; return the index's address."""
    pages = divide(view.scenes)
    (folder / "report").mkdir()
    for number, scene_page in enumerate(pages):
        of_page, way = page_view(view, pages, number)
        (folder / f"report/{scene_page.name}.html").write_text("".join(render_report(of_page, way=way)))
    (folder / "report.html").write_text("".join(render_index(view, list(index_rows(pages)))))
    return (folder / "report.html").as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_long_report_is_read_from_its_index(browser: Browser, film: Path, tmp_path: Path, scheme: str) -> None:
    """What is missing there leads to the page that shows it; chapters play; all of it is accessible."""
    report = with_film(tmp_path, film)
    async with visiting(browser, write_divided(tmp_path, report), color_scheme=scheme) as visit:
        await visit.save_screenshot(f"report-index-{scheme}", tmp_path)
        assert await visit.accessibility_violations() == []
        await visit.page.get_by_role("button", name="0:02").click()
        await visit.page.wait_for_function("document.querySelector('#player').currentTime >= 2")

        await visit.page.get_by_role("row").nth(1).get_by_role("link", name="1", exact=True).first.click()

        await visit.wait_visible(".card:not([hidden])")
        assert visit.page.url.endswith("/report/001-scene-1.html#show=failed")
        assert await visit.visible_frames() == [2]
        assert await visit.accessibility_violations() == []
        await visit.save_screenshot(f"report-page-{scheme}", tmp_path)
        await visit.page.get_by_role("link", name="Harbor").click()
        await visit.wait_visible(".scenes")
        assert visit.errors == []


async def test_it_fits_a_phone(browser: Browser, tmp_path: Path) -> None:
    """Nothing is wider than the screen, on the page and in the big view."""
    long = frame(0, prompt="x" * 2048, shot="an-id-without-end" * 10)
    async with visiting(browser, write_page(tmp_path, page(long)), viewport={"width": 360, "height": 740}) as visit:
        fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        assert await visit.page.evaluate(fits)
        await visit.page.click(".open")
        await visit.wait_visible("#big")
        await visit.save_screenshot("report-phone", tmp_path)
        assert await visit.page.evaluate("document.querySelector('#view').scrollWidth <= innerWidth")


async def test_filters_and_search_leave_the_frames_that_match(browser: Browser, tmp_path: Path) -> None:
    """Scenes without a match are hidden; a reload keeps filter and search."""
    async with visiting(browser, write_page(tmp_path, page(scenes=2))) as visit:
        for label, numbers in (
            ("failed", [2]),
            ("missing", [2]),
            ("retried", [1, 2]),
            ("re-rolled", [3]),
            ("all", [0, 1, 2, 3]),
        ):
            button = visit.page.get_by_role("button", name=f"{label} {len(numbers)}")
            await button.click()
            assert await visit.visible_frames() == numbers
            assert await button.get_attribute("aria-pressed") == "true"

        await visit.page.fill("#search", "VIEW 3")
        assert await visit.visible_frames() == [3]
        assert await visit.page.locator(".scene:not([hidden])").count() == 1
        await visit.page.reload()
        assert await visit.visible_frames() == [3]
        await visit.page.fill("#search", "nothing like it")
        await visit.wait_visible("#nothing")


async def test_frames_are_browsed_by_keyboard_alone(browser: Browser, tmp_path: Path) -> None:
    """Open, next, another take, back, close: the focus comes back to the card."""
    async with visiting(browser, write_page(tmp_path, page())) as visit:
        keys = visit.page.keyboard
        await visit.page.focus("#f1 .open")
        await keys.press("ArrowRight")
        await keys.press("ArrowRight")
        await keys.press("Enter")
        await visit.wait_visible("#view")
        assert await visit.page.inner_text("#view-title") == "frame_0003 · scene-1/wide"
        assert await visit.page.inner_text("#view-caption") == "Six in the morning"
        await keys.press("3")
        await visit.wait_visible('#view-takes [data-take="3"][aria-pressed=true]')
        await visit.page.wait_for_function("() => document.querySelector('#big').src.endsWith('takes/3.png')")
        await keys.press("ArrowLeft")
        assert "frame_0002" in await visit.page.inner_text("#view-title")
        await visit.wait_visible("#no-picture")
        await keys.press("Escape")

        assert not await visit.page.is_visible("#view")
        # A dialog's `close` is an event of its own, after the browser has given the focus to whatever had it before.
        await visit.page.wait_for_function("() => document.activeElement.closest('.card')?.id === 'f2'")


async def test_attempts_are_listed_one_by_one(browser: Browser, tmp_path: Path) -> None:
    """Each with its outcome, its cost and its time."""
    async with visiting(browser, write_page(tmp_path, page())) as visit:
        await visit.page.click("#f2 .open")
        await visit.page.click("summary")

        rows = await visit.page.locator("#view-attempts tr").all_inner_texts()
        assert [row.split("\t") for row in rows] == [
            ["1", "1", "failed · 500 · no picture came", "4.0", "0", "2026-11-23 12:00:00 UTC"],
            ["1", "2", "unknown · 500 · no picture came", "4.0", "unknown", "2026-11-23 12:00:00 UTC"],
        ]


async def test_the_film_plays_from_a_chapter_and_from_a_frame(browser: Browser, film: Path, tmp_path: Path) -> None:
    """By a click on the chapter, and with space in the big view and on a card."""
    async with visiting(browser, write_page(tmp_path, with_film(tmp_path, film))) as visit:
        await visit.page.get_by_role("button", name="Scene 2").click()
        assert await film_time(visit) >= 2
        await visit.wait_visible('.chapters button[aria-current="true"]')
        await visit.page.click("#f1 .open")
        await visit.page.keyboard.press("Space")
        await visit.page.wait_for_function("() => document.querySelector('#player').currentTime < 2")
        assert 1 <= await film_time(visit) < 2
        assert not await visit.page.is_visible("#view")
        await visit.page.focus("#f3 .open")
        await visit.page.keyboard.press("Space")
        await visit.page.wait_for_function("() => document.querySelector('#player').currentTime >= 3")
        assert visit.errors == []


async def test_a_missing_film_is_reported(browser: Browser, tmp_path: Path) -> None:
    """The page may have been sent without it."""
    view = page(films=(FilmView("film.mp4", "video/mp4", 4.0, "320x192"),))
    async with visiting(browser, write_page(tmp_path, view)) as visit:
        await visit.wait_visible("#no-film")


async def test_hostile_text_stays_text(browser: Browser, tmp_path: Path) -> None:
    """On cards, in the big view and in titles it is shown, not run."""
    frames = [frame(n, prompt=text, caption=text, shot=text) for n, text in enumerate(HOSTILE)]
    async with visiting(browser, write_page(tmp_path, page(*frames, title=HOSTILE[0]))) as visit:
        for number, text in enumerate(HOSTILE):
            await visit.page.click(f"#f{number} .open")
            assert await visit.page.text_content("#view-prompt") == text
            await visit.page.keyboard.press("Escape")

        assert await visit.page.text_content("h1") == HOSTILE[0]
        assert visit.errors == []


async def test_five_thousand_frames_do_not_freeze_the_page(browser: Browser, tmp_path: Path) -> None:
    """The page opens, and one search goes through all of them."""
    frames = [frame(n) for n in range(5000)]
    async with visiting(browser, write_page(tmp_path, page(*frames, scenes=10))) as visit:
        await visit.page.fill("#search", "view 4999")
        assert await visit.visible_frames() == [4999]
        await visit.page.click("#f4999 .open")
        await visit.wait_visible("#view")
        assert visit.errors == []


async def test_it_prints(browser: Browser, film: Path, tmp_path: Path) -> None:
    """Frames and figures are printed; players, filters and dialogs are not."""
    async with visiting(browser, write_page(tmp_path, with_film(tmp_path, film))) as visit:
        await visit.page.emulate_media(media="print")

        assert await visit.page.is_visible("#f3 img")
        assert await visit.page.is_visible(".summary")
        for selector in ("#film", ".tools", "#view"):
            assert not await visit.page.is_visible(selector)
