"""The contact sheet: each frame once, in its place, with its caption, for any number of frames and any caption."""

import errno
import os
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipelines.common.errors import StorageError
from pipelines.common.lettering.segmentation import isolate
from pipelines.report.contact_sheet import write_contact_sheet, write_short_contact_sheet
from pipelines.report.sheet_drawing import SheetHeader, draw_page
from pipelines.report.sheet_layout import (
    SheetFrame,
    SheetPage,
    SheetScene,
    choose_evenly,
    lay_out_page,
    split_into_pages,
)
from tests.support.full_disk import files_of_at_most
from tests.support.letters import HOSTILE, words
from tests.support.pictures import picture_bytes, write

# The colours of the paper and of what fills a box around a picture, and how far JPEG takes them.
PAPER, PANEL = (247, 246, 243), (232, 230, 225)
NEAR = 4
# Less than this beside a letter is JPEG; more is a letter.
LETTERS = 40
SIZES = ((320, 183), (183, 320), (320, 320), (320, 240), (240, 320), (192, 108))
# A step between flat colours that survives two JPEGs.
STEP = 15


def flat_thumbnail(folder: Path, number: int, size: tuple[int, int] = (320, 183)) -> Path:
    """Write a thumbnail whose colour says its number, up to 4,095."""
    digits = (number % 16, number // 16 % 16, number // 256)
    data = picture_bytes("JPEG", size, (digits[0] * STEP, digits[1] * STEP, digits[2] * STEP))
    return write(folder / f"{number}.jpg", data)


def number_at(page: npt.NDArray[np.uint8], left: int, top: int) -> int:
    """Read a number from the colour of a place."""
    red, green, blue = (round(level / STEP) for level in colour(page, left, top))
    return red + 16 * green + 256 * blue


def scenes_of(counts: Sequence[int], *, folder: Path | None = None, caption: str = "wide a harbor") -> list[SheetScene]:
    """Return scenes of so many frames each, numbered through, of every shape; without a folder all are missing."""

    def frame(number: int) -> SheetFrame:
        size = SIZES[number * 7 % len(SIZES)]
        return SheetFrame(number, caption, flat_thumbnail(folder, number, size) if folder else None)

    ranges = pairwise(accumulate(counts, initial=0))
    return [
        SheetScene(f"Scene {place}", tuple(map(frame, range(*numbers))))
        for place, numbers in enumerate(ranges, start=1)
    ]


def read_pages(pages: Sequence[Path]) -> list[npt.NDArray[np.uint8]]:
    """Read pages as arrays of RGB."""
    arrays = []
    for page in pages:
        with Image.open(page) as picture:
            assert (picture.format, picture.mode) == ("JPEG", "RGB")
            arrays.append(np.asarray(picture))
    return arrays


def laid_out(scenes: Sequence[SheetScene]) -> Iterator[SheetPage]:
    """Yield the layout of every page."""
    return map(lay_out_page, split_into_pages(scenes))


def only_page(scenes: Sequence[SheetScene], folder: Path) -> tuple[SheetPage, npt.NDArray[np.uint8]]:
    """Write a sheet of one page; return its layout, and its pixels."""
    (page,) = laid_out(scenes)
    (read,) = read_pages(write_contact_sheet("Harbor", scenes, folder))
    return page, read


def colour(page: npt.NDArray[np.uint8], left: int, top: int) -> tuple[int, ...]:
    """Return the colour of a pixel."""
    return tuple(int(level) for level in page[top, left])


def difference(part: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8] | tuple[int, ...]) -> int:
    """Return the largest difference between two pixels."""
    return int(np.abs(part.astype(int) - other).max())


# --- frames


@pytest.mark.parametrize("counts", [[1], [3, 4], [130], [12, 4, 1, 70, 3, 2, 9, 29]])
def test_every_frame_is_on_the_sheet_once_and_in_order(tmp_path: Path, counts: list[int]) -> None:
    """The colours that were put in are found in the middle of the cells, page after page."""
    scenes = scenes_of(counts, folder=tmp_path / "thumbnails")

    pages = read_pages(write_contact_sheet("Harbor", scenes, tmp_path))

    found = [
        number_at(read, cell.left + 160, cell.top + cell.height // 2)
        for page, read in zip(laid_out(scenes), pages, strict=True)
        for cell in page.cells
    ]
    assert found == list(range(sum(counts)))


@given(counts=st.lists(st.integers(0, 23) | st.integers(90, 230), max_size=40))
def test_in_any_scenes_all_frames_have_their_own_place(counts: list[int]) -> None:
    """None is left out or doubled; at most 100 a page; no two cells touch, none leaves its page."""
    pages = list(laid_out(scenes_of(counts)))

    assert [cell.frame.number for page in pages for cell in page.cells] == list(range(sum(counts)))
    assert all(len(page.cells) <= 100 for page in pages)
    for page in pages:
        boxes = [cell.box for cell in page.cells]
        assert all(right <= 1856 - 72 and bottom < page.height for _, _, right, bottom in boxes)
        # In reading order each cell is right of the last one, or in a row further down.
        assert all(
            (after[0] > before[2] and after[1] == before[1]) or after[1] > before[3]
            for before, after in pairwise(boxes)
        )


def test_a_picture_is_in_the_middle_of_its_box(tmp_path: Path) -> None:
    """A row is as high as its highest picture; what a picture leaves free is neutral."""
    thumbnails = [flat_thumbnail(tmp_path, 0, (320, 183)), flat_thumbnail(tmp_path, 1, (183, 320))]
    frames = tuple(SheetFrame(number, "", path) for number, path in enumerate(thumbnails))

    page, read = only_page([SheetScene("One", frames)], tmp_path / "sheet")

    wide, tall = page.cells
    assert (wide.height, tall.height) == (320, 320)
    seen = [
        colour(read, wide.left + 160, wide.top + 30),
        colour(read, wide.left + 160, wide.top + 290),
        colour(read, tall.left + 30, tall.top + 160),
        colour(read, tall.left + 290, tall.top + 160),
        colour(read, wide.left + 340, wide.top + 160),
    ]
    assert seen == [pytest.approx(expected, abs=NEAR) for expected in (PANEL, PANEL, PANEL, PANEL, PAPER)]
    assert number_at(read, wide.left + 4, wide.top + 160) == number_at(read, wide.left + 315, wide.top + 80) == 0
    assert number_at(read, tall.left + 160, tall.top + 4) == number_at(read, tall.left + 160, tall.top + 315) == 1


def test_a_row_of_landscapes_is_no_higher_than_they_are(tmp_path: Path) -> None:
    """A film of one shape wastes no paper."""
    frames = tuple(SheetFrame(number, "", flat_thumbnail(tmp_path, number)) for number in range(7))

    (page,) = laid_out([SheetScene("One", frames)])

    assert [cell.height for cell in page.cells] == [183] * 7


def test_a_row_of_slivers_is_high_enough_for_a_card(tmp_path: Path) -> None:
    """A picture that turns out to be broken as it is drawn has a card in its place, which must fit."""
    (page,) = laid_out([SheetScene("One", (SheetFrame(0, "", flat_thumbnail(tmp_path, 0, (320, 2))),))])

    assert [cell.height for cell in page.cells] == [120]


def test_a_larger_picture_is_shrunk_into_its_cell(tmp_path: Path) -> None:
    """Whatever file is in a thumbnail's place, the sheet keeps its shape."""
    frames = (SheetFrame(0, "", flat_thumbnail(tmp_path, 7, (1280, 640))),)

    page, read = only_page([SheetScene("One", frames)], tmp_path / "sheet")

    assert page.cells[0].height == 160
    assert number_at(read, page.cells[0].left + 300, page.cells[0].top + 150) == 7


@pytest.mark.parametrize(
    "data", [None, b"", b"rubbish", picture_bytes("JPEG", (320, 180))[:-200], picture_bytes("PNG")[:-20]]
)
def test_a_frame_without_a_picture_is_a_card(tmp_path: Path, data: bytes | None) -> None:
    """Not generated, gone, empty or cut short: the same card is in its place, with its number."""
    path = tmp_path / "thumbnail.jpg" if data is None else write(tmp_path / "thumbnail.jpg", data)
    _, broken = only_page([SheetScene("One", (SheetFrame(5, "", path), SheetFrame(6, "", None)))], tmp_path / "broken")

    missing = [SheetScene("One", (SheetFrame(5, "", None), SheetFrame(6, "", None)))]
    page, whole = only_page(missing, tmp_path / "missing")

    five, six = (whole[cell.top : cell.top + cell.height, cell.left : cell.left + 320] for cell in page.cells)
    place = page.cells[0]
    assert np.array_equal(broken[place.top : place.top + place.height, place.left : place.left + 320], five)
    assert colour(five, 8, 8) == pytest.approx(PANEL, abs=NEAR)
    # The word is the same on both cards, the number is not.
    assert difference(five[112:], six[112:]) < LETTERS < difference(five[:100], six[:100])
    assert difference(five[112:], PANEL) > LETTERS


# --- pages and headings


@pytest.mark.parametrize(
    ("counts", "names"),
    [
        ([], ["contact-sheet.jpg"]),
        ([100], ["contact-sheet.jpg"]),
        ([101], ["contact-sheet.jpg", "contact-sheet-2.jpg"]),
        ([230], ["contact-sheet.jpg", "contact-sheet-2.jpg", "contact-sheet-3.jpg"]),
    ],
)
def test_a_page_has_a_hundred_frames_at_most(tmp_path: Path, counts: list[int], names: list[str]) -> None:
    """The first page keeps its name however many follow; a storyboard without frames has one page too."""
    pages = write_contact_sheet("Harbor", scenes_of(counts), tmp_path)

    assert pages == [tmp_path / name for name in names]
    assert sorted(tmp_path.iterdir()) == sorted(pages)


def test_a_scene_that_goes_on_is_headed_again() -> None:
    """On the next page its title says that it began before."""
    pages = list(laid_out(scenes_of([8, 120, 2])))

    assert [[heading.text for heading in page.headings] for page in pages] == [
        ["Scene 1", "Scene 2"],
        [f"{isolate('Scene 2')} (continued)", "Scene 3"],
    ]


def test_a_heading_stands_above_the_first_of_its_frames() -> None:
    """Short scenes share a row, each under its own title as wide as its frames; a long one has its rows to itself."""
    (page,) = laid_out(scenes_of([2, 3, 1, 7]))

    first = {heading.text: heading for heading in page.headings}
    places = {
        text: next(cell.frame.number for cell in page.cells if (cell.left, cell.top) == (h.left, h.top + 58))
        for text, h in first.items()
    }
    assert places == {"Scene 1": 0, "Scene 2": 2, "Scene 3": 5, "Scene 4": 6}
    assert [heading.width for heading in page.headings] == [668, 1016, 1712, 1712]


def test_headings_of_neighbours_do_not_run_into_each_other(tmp_path: Path) -> None:
    """A title that is wider than its frames is cut."""
    one = tuple(SheetFrame(number, "", None) for number in range(2))

    page, read = only_page([SheetScene("A very long title " * 9, one), SheetScene("Two", one)], tmp_path)

    second = page.headings[1]
    gutter = read[second.top : second.top + 58, second.left - 26 : second.left - 2]
    assert difference(gutter, PAPER) < LETTERS


def test_pages_of_a_longer_storyboard_go(tmp_path: Path) -> None:
    """Only pages of the sheet, and only those that it no longer has."""
    write_contact_sheet("Harbor", scenes_of([330]), tmp_path)
    others = [write(tmp_path / name, b"not a page") for name in ("contact-sheet-best.jpg", "contact-sheet-07.jpg")]

    pages = write_contact_sheet("Harbor", scenes_of([130]), tmp_path)

    assert sorted(tmp_path.iterdir()) == sorted([*pages, *others])
    assert len(pages) == 2


@pytest.mark.parametrize(
    ("counts", "most", "chosen"),
    [
        ([3, 2], 5, [0, 1, 2, 3, 4]),
        ([3, 2], 9, [0, 1, 2, 3, 4]),
        ([10], 5, [0, 2, 4, 6, 8]),
        ([4, 1, 5], 3, [0, 4, 7]),
        ([7], 1, [0]),
    ],
)
def test_frames_are_chosen_evenly(counts: list[int], most: int, chosen: list[int]) -> None:
    """Over all scenes, each of equal parts by its first."""
    scenes = choose_evenly(scenes_of(counts), most=most)

    assert [frame.number for scene in scenes for frame in scene.frames] == chosen
    assert all(scene.frames for scene in scenes)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=20), st.integers(1, 200))
def test_as_many_are_chosen_as_may_be(counts: list[int], most: int) -> None:
    """No fewer, where there are more."""
    chosen = choose_evenly(scenes_of(counts), most=most)

    assert sum(len(scene.frames) for scene in chosen) == min(most, sum(counts))


def test_a_short_sheet_is_one_page(tmp_path: Path) -> None:
    """However its frames fall into rows; pages of a sheet of all go."""
    scenes = scenes_of([3] * 400)
    write_contact_sheet("Harbor", scenes, tmp_path)

    path = write_short_contact_sheet("Harbor", scenes, tmp_path, most=100)

    assert [path] == list(tmp_path.iterdir())
    (sheet,) = read_pages([path])
    (page,) = [lay_out_page([row for rows in split_into_pages(choose_evenly(scenes, most=100)) for row in rows])]
    assert (sheet.shape[0], len(page.cells)) == (page.height, 100)


def test_only_pages_that_have_changed_are_drawn_again(tmp_path: Path) -> None:
    """Another picture or caption draws its own page, and no other."""
    scenes = scenes_of([130], folder=tmp_path / "thumbnails")
    pages = write_contact_sheet("Harbor", scenes, tmp_path)
    before = [page.stat().st_ino for page in pages]

    def drawn() -> list[bool]:
        return [page.stat().st_ino != inode for page, inode in zip(pages, before, strict=True)]

    write_contact_sheet("Harbor", scenes, tmp_path)
    assert drawn() == [False, False]
    flat_thumbnail(tmp_path / "thumbnails", 129)
    write_contact_sheet("Harbor", scenes, tmp_path)
    assert drawn() == [False, True]
    reworded = SheetFrame(0, "another caption", scenes[0].frames[0].thumbnail)
    write_contact_sheet("Harbor", [SheetScene("Scene 1", (reworded, *scenes[0].frames[1:]))], tmp_path)
    assert drawn() == [True, True]


def test_each_page_has_its_number(tmp_path: Path) -> None:
    """The title is the same on both, the page's number is not."""
    first, second = read_pages(write_contact_sheet("Harbor", scenes_of([200]), tmp_path))

    assert np.array_equal(first[:120, :1400], second[:120, :1400])
    assert first[:120, :1400].min() < 80
    assert not np.array_equal(first[:120, 1400:], second[:120, 1400:])


def test_the_same_frames_make_the_same_sheet(tmp_path: Path) -> None:
    """Byte for byte: a sheet that did not change need not be sent again."""
    scenes = scenes_of([7], folder=tmp_path / "thumbnails")

    (one,) = write_contact_sheet("Harbor", scenes, tmp_path / "one")
    (two,) = write_contact_sheet("Harbor", scenes, tmp_path / "two")

    assert one.read_bytes() == two.read_bytes()


# --- letters


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_caption_stays_in_its_cell(tmp_path: Path, text: str) -> None:
    """Whatever it says, the sheet is drawn, and nothing stands between the columns or below the last line."""
    frames = tuple(SheetFrame(number, text, None) for number in range(5))

    page, read = only_page([SheetScene(text, frames)], tmp_path)

    bottom = page.cells[0].top + page.cells[0].height
    gutters = [read[bottom + 2 :, cell.left + 322 : cell.left + 346] for cell in page.cells[:-1]]
    below = read[bottom + 68 :]
    assert all(difference(part, PAPER) < LETTERS for part in (*gutters, below))


@given(text=st.text(st.characters(), max_size=60))
def test_any_caption_is_drawn(text: str) -> None:
    """Whatever characters it is of."""
    frame = SheetFrame(0, text, None)

    (page,) = laid_out([SheetScene(text, (frame,))])

    assert draw_page(page, SheetHeader(text, "1 frame", "page 1 of 1")).width == 1856


def test_titles_are_drawn_as_their_language_draws_them() -> None:
    """Chinese and Japanese share letters, and draw some of them differently."""
    (page,) = laid_out([SheetScene("\u9aa8", (SheetFrame(0, "a", None),))])

    japanese, chinese = (
        draw_page(page, SheetHeader("\u9aa8", "1 frame", "page 1 of 1", language)).tobytes()
        for language in ("ja", "zh")
    )

    assert japanese != chinese


@given(first=words(), second=words())
def test_captions_that_differ_look_different(first: str, second: str) -> None:
    """In every script: nobody sees boxes."""

    def drawn(text: str) -> bytes:
        (page,) = laid_out([SheetScene("One", (SheetFrame(0, text, None),))])
        return draw_page(page, SheetHeader("Harbor", "1 frame", "page 1 of 1")).tobytes()

    assert (drawn(first) == drawn(second)) == (first == second)


@pytest.mark.parametrize(("caption", "side"), [("a quiet harbor", 0), ("\u05e0\u05de\u05dc \u05e9\u05e7\u05d8", 1)])
def test_a_caption_stands_at_the_side_where_it_begins(tmp_path: Path, caption: str, side: int) -> None:
    """Hebrew at the right of its cell."""
    page, read = only_page([SheetScene("One", (SheetFrame(0, caption, None),))], tmp_path)

    cell = page.cells[0]
    top = cell.top + cell.height + 10
    inked = np.flatnonzero(read[top : top + 26, cell.left + 23 : cell.left + 320].min(axis=(0, 2)) < 180)
    gaps = (inked[0], 296 - inked[-1])
    assert gaps[side] <= 2
    assert gaps[1 - side] > 100


def test_a_number_of_any_length_leaves_space_for_its_caption(tmp_path: Path) -> None:
    """Captions of one page begin at one place, right of its longest number."""
    frames = tuple(SheetFrame(number, "W", None) for number in (7, 12345))

    page, read = only_page([SheetScene("One", frames)], tmp_path)

    # A digit is 0.536 em wide.
    indent = 12 + round(5 * 0.536 * 20)
    top = page.cells[0].top + page.cells[0].height + 10
    columns = [read[top : top + 22, cell.left : cell.left + 320].min(axis=(0, 2)) < 180 for cell in page.cells]
    begins = [int(np.flatnonzero(dark[indent - 6 :])[0]) + indent - 6 for dark in columns]
    assert begins == [pytest.approx(indent, abs=2)] * 2


# --- trouble


def test_a_full_disk_leaves_the_old_sheet(tmp_path: Path) -> None:
    """Nothing half-written is left; the error names the page and the cure."""
    write_contact_sheet("Harbor", scenes_of([130]), tmp_path)
    old = {path: path.read_bytes() for path in tmp_path.iterdir()}

    with files_of_at_most(2048), pytest.raises(StorageError) as caught:
        write_contact_sheet("Another", scenes_of([7]), tmp_path)

    page, reason = tmp_path / "contact-sheet.jpg", os.strerror(errno.EFBIG)
    assert str(caught.value) == f"{page}: cannot be written: {reason}; free space or choose another --output"
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == old


def test_an_old_page_that_cannot_be_removed_is_an_error(tmp_path: Path) -> None:
    """A folder in a page's place is not removed."""
    (tmp_path / "contact-sheet-2.jpg").mkdir()

    with pytest.raises(StorageError, match="cannot be written: Is a directory"):
        write_contact_sheet("Harbor", scenes_of([7]), tmp_path)
