"""The cutting room in a real browser: from a first look to another film, by mouse and by keyboard alone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.browser import Visit, needs_chromium, visiting
from tests.support.review import BOARD, Room

pytestmark = [needs_chromium, pytest.mark.slow]

HOSTILE = "<script>alert(1)</script> “מלכת הים” <img src=x onerror=alert(1)>"


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    """An open cutting room of three frames, all bought."""
    room = Room(tmp_path)
    await asyncio.to_thread(room.render)
    with room.open():
        yield room


async def film_source(visit: Visit) -> str:
    return str(await visit.page.get_attribute("#player", "src"))


async def another_film(visit: Visit, before: str) -> None:
    """Wait until the player has been given another film."""
    await visit.page.wait_for_function(
        "before => document.querySelector('#player').getAttribute('src') !== before", arg=before
    )


async def test_reroll_pick_and_see_the_film_change(room: Room, tmp_path: Path) -> None:
    """With the mouse: the price is shown and confirmed, the take appears, it is used, the film follows."""
    async with visiting(room.address) as visit:
        page = visit.page
        film = await film_source(visit)
        await visit.keep("room", tmp_path)
        await page.click("#f1 .open")
        await page.click("[data-reroll]")
        await page.get_by_role("button", name="Buy 1 take for 0.000428 USD").wait_for()
        assert "Simulated: sketches are free." in await page.inner_text("#ask-price")
        await visit.keep("room-price", tmp_path)
        assert room.there() == [[1], [1], [1]]

        await page.get_by_role("button", name="Buy 1 take for 0.000428 USD").click()
        await page.click('#view-takes [data-take="2"]')
        await page.wait_for_function("() => document.querySelector('#big').src.includes('/files/')")
        await page.click("[data-pick]")
        await another_film(visit, film)
        await visit.see('#view-takes [data-take="2"] .mark')
        await page.click("[data-close]")
        await visit.see("#f1 .badge")
        await visit.keep("room-picked", tmp_path)

        assert "take 2 of 2" in await page.inner_text("#f1")
        assert await page.get_by_role("button", name="re-rolled 1").count() == 1
        assert room.selected() == [1, 2, 1]
        assert visit.complaints == []
        assert {address.split("/")[2] for address in visit.requests if address.startswith("http")} == {
            room.origin.split("/")[2]
        }


async def test_all_of_it_by_keyboard_alone(room: Room) -> None:
    """Arrows, Enter, r, Enter, 2, and space plays from here."""
    async with visiting(room.address) as visit:
        keys = visit.page.keyboard
        film = await film_source(visit)
        await keys.press("Tab")
        await visit.page.focus("#f0 .open")
        await keys.press("ArrowRight")
        await keys.press("Enter")
        await keys.press("r")
        await visit.see("#ask-confirm:focus:not([disabled])")
        await keys.press("Enter")
        await visit.see('#view-takes [data-take="2"]')
        await keys.press("2")
        await another_film(visit, film)
        await visit.page.wait_for_function("() => document.querySelector('#player').readyState > 0")
        await keys.press("Space")
        await visit.page.wait_for_function("() => document.querySelector('#player').currentTime >= 1")

        assert room.selected() == [1, 2, 1]
        assert visit.complaints == []


async def test_a_prompt_is_reworded(room: Room) -> None:
    """`p` edits it for the re-roll; the price follows; whatever it says is text."""
    async with visiting(room.address) as visit:
        keys = visit.page.keyboard
        await visit.page.focus("#f2 .open")
        await keys.press("p")
        await visit.see("#ask-prompt:focus")
        assert await visit.page.input_value("#ask-prompt") == "birds over the sea"
        await visit.page.fill("#ask-prompt", "  ")
        await visit.page.wait_for_function(
            "() => document.querySelector('#ask-price').textContent.includes('Say what to ask for')"
        )
        assert await visit.page.is_disabled("#ask-confirm")
        await visit.page.fill("#ask-prompt", HOSTILE)
        await visit.page.fill("#ask-count", "2")
        await visit.page.get_by_role("button", name="Buy 2 takes for 0.000856 USD").click()
        await visit.page.wait_for_function("() => document.querySelector('#f2').textContent.includes('of 3')")
        await visit.page.click("#f2 .open")
        await keys.press("3")

        assert await visit.page.text_content("#view-prompt") == HOSTILE
        assert room.there()[2] == [1, 2, 3]
        assert visit.complaints == []


async def test_nothing_is_bought_that_is_not_confirmed(room: Room) -> None:
    """Escape and Cancel leave everything as it is."""
    async with visiting(room.address) as visit:
        for leave in ("Escape", "Cancel"):
            await visit.page.focus("#f0 .open")
            await visit.page.keyboard.press("r")
            await visit.see("#ask-confirm:not([disabled])")
            if leave == "Escape":
                await visit.page.keyboard.press("Escape")
            else:
                await visit.page.click("[data-cancel]")
            await visit.see("#ask", 0)

        assert room.there() == [[1], [1], [1]]


async def test_marked_frames_are_rerolled_together(room: Room) -> None:
    """Marked with x or by a click; their price is one."""
    async with visiting(room.address) as visit:
        await visit.page.focus("#f0 .open")
        await visit.page.keyboard.press("x")
        await visit.page.click("#f2 .marker")
        assert await visit.page.inner_text("#marked-count") == "2 marked"
        await visit.page.click("[data-reroll-marked]")
        await visit.page.get_by_role("button", name="Buy 2 takes for 0.000856 USD").click()
        await visit.page.wait_for_function(
            "() => document.querySelectorAll('.card[data-kinds~=rerolled]').length === 2"
        )

        assert room.there() == [[1, 2], [1], [1, 2]]
        assert not await visit.page.is_visible(".marked")


async def test_two_browsers_see_each_others_picks(room: Room) -> None:
    """The one that picks last is right, and both show it."""
    room.reroll(0, count=2)
    async with visiting(room.address) as one, visiting(room.address) as other:
        for visit, take in ((one, 2), (other, 3)):
            await visit.page.click("#f0 .open")
            await visit.see('#view-takes [data-take="3"]')
            await visit.page.keyboard.press(str(take))
            await visit.see(f'#view-takes [data-take="{take}"] .mark')

        await one.see('#view-takes [data-take="3"] .mark')
        assert room.selected()[0] == 3


async def test_an_edit_of_the_storyboard_is_seen(room: Room) -> None:
    """Other frames appear by themselves; a mistake is told and can be dismissed."""
    async with visiting(room.address) as visit:
        room.path.write_text(BOARD.replace("birds over the sea", "ships at sea"))
        await visit.page.wait_for_function("() => document.querySelector('#f2').textContent.includes('ships at sea')")
        await visit.see("#f2 .empty")

        room.path.write_text("title: [broken")
        await visit.see("#trouble")
        assert "the storyboard has mistakes now" in await visit.page.inner_text("#trouble-text")
        await visit.page.click("[data-dismiss]")
        assert not await visit.page.is_visible("#trouble")


async def test_a_closed_room_is_told(tmp_path: Path) -> None:
    """The page that stays open says what to do."""
    room = Room(tmp_path)
    await asyncio.to_thread(room.render)
    opened = room.open()
    await asyncio.to_thread(opened.__enter__)
    async with visiting(room.address) as visit:
        await visit.see("#f0")
        await asyncio.to_thread(opened.__exit__, None, None, None)

        await visit.page.focus("#f0 .open")
        await visit.page.keyboard.press("r")
        await visit.page.wait_for_function("() => document.querySelector('#ask-price').textContent.length > 0")
        assert "run storyreel review again" in await visit.page.inner_text("#ask-price")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_accessible(room: Room, scheme: str) -> None:
    """The page, the big view, the question of the price."""
    async with visiting(room.address, color_scheme=scheme) as visit:
        assert await visit.faults() == []
        await visit.page.click("#f0 .open")
        assert await visit.faults() == []
        await visit.page.click("[data-reword]")
        await visit.see("#ask-confirm:not([disabled])")
        assert await visit.faults() == []


async def test_five_thousand_frames_are_on_the_table(tmp_path: Path) -> None:
    """None bought yet: the page opens, filters, and asks for one of them."""
    room = Room(tmp_path)
    room.path.write_text("title: Many\nprompts:\n" + "".join(f"  - view {n} of the sea\n" for n in range(5000)))
    with room.open():
        async with visiting(room.address) as visit:
            await visit.page.fill("#search", "view 4321 ")
            assert await visit.numbers() == [4321]
            await visit.page.focus("#f4321 .open")
            await visit.page.keyboard.press("r")
            await visit.see("#ask-confirm:not([disabled])")
            await visit.page.keyboard.press("Enter")
            await visit.see("#f4321 img")

            assert visit.complaints == []
    assert room.there()[4321] == [1]
