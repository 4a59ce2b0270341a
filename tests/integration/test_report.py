"""The report of a storyboard as it really is: rendered, failed, re-rolled, reworded, with films of every kind."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
from PIL import Image

from pipelines.common.errors import FramesMissingError
from pipelines.ledger.ledger import Ledger
from pipelines.report.builder import write_report
from pipelines.report.models import FrameView, PageView
from pipelines.report.views import Addresses, build_page
from tests.conftest import serving, wait_until
from tests.support.pictures import overwrite, write
from tests.support.review import BOARD
from tests.support.review import ReviewSession as Room

IMAGE_USD = Decimal("0.000428")
PLAIN = Addresses(**dict.fromkeys(("picture", "thumbnail", "speech", "file"), lambda path: path.name))


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """A storyboard of three frames, nothing generated; its cutting room is closed."""
    return Room(tmp_path)


def page_of(room: Room) -> PageView:
    """Return what a page about it would show now."""
    with Ledger.open(room.settings.effective_database_url) as ledger:
        return build_page(room.plan, room.inventory, ledger, room.settings, PLAIN)


def frames(room: Room) -> list[FrameView]:
    return [frame for scene in page_of(room).scenes for frame in scene.frames]


def test_a_render_leaves_a_report_and_a_contact_sheet(room: Room) -> None:
    """With the film, its chapters, what each frame took, and what it came to."""
    room.render()

    page = page_of(room)

    assert [(scene.id, scene.title, scene.start_s, len(scene.frames)) for scene in page.scenes] == [
        ("garden", "Garden", 0.0, 2),
        ("house", "House", 2.0, 1),
    ]
    assert [(film.url, film.mime, film.seconds, film.size) for film in page.films] == [
        ("pets.mp4", "video/mp4", 3.0, "160x96")
    ]
    [account] = page.costs
    assert (account.requests, account.cost_usd, account.simulated) == (3, 3 * IMAGE_USD, True)
    assert page.last_run is not None
    assert (len(page.last_run.attempts), page.last_run.quote_usd) == (3, 3 * IMAGE_USD)
    assert page.sheets == ("contact-sheet.jpg",)
    for scene in page.scenes:
        for frame in scene.frames:
            assert (frame.selected, frame.picked, [take.cost_usd for take in frame.takes]) == (1, False, [IMAGE_USD])
            assert [attempt.status for attempt in frame.attempts] == ["ok"]
            assert frame.takes[0].latency_s is not None
    report = (room.folder / "report.html").read_text(encoding="utf-8")
    assert report.count('src="data:image/jpeg;base64,') == 3
    with Image.open(room.folder / "contact-sheet.jpg") as sheet:
        assert sheet.width > 1000


def test_the_plot_of_a_run_has_its_own_limit(room: Room) -> None:
    """Wherever it is looked at, and with whatever limit there."""
    its_own = room.settings.rate_limit
    room.render()
    room.settings = room.settings.model_copy(update={"rate_limit": 60})

    page = page_of(room)

    assert its_own != 60
    assert page.last_run is not None
    assert page.last_run.rate_limit == its_own


def test_a_failed_render_is_reported_too(room: Room) -> None:
    """Each frame with what became of it; there is no film."""
    with serving("refused=1", rate_limit=0) as url:
        room.settings = room.settings.model_copy(update={"endpoint": url, "model": "sketch"})
        with pytest.raises(FramesMissingError):
            room.render()

    page = page_of(room)

    assert page.films == ()
    for frame in frames(room):
        assert (frame.selected, frame.takes) == (None, ())
        assert {(attempt.status, attempt.error) for attempt in frame.attempts} == {
            ("failed", "Failed to generate image")
        }
    assert "missing" in (room.folder / "report.html").read_text(encoding="utf-8")


def test_attempts_for_what_a_frame_no_longer_asks_are_in_the_costs_only(room: Room) -> None:
    """The frame is another one now; what the old one cost stays."""
    room.render()
    room.path.write_text(BOARD.replace("birds over the sea", "ships at sea"))

    page = page_of(room)

    assert [len(frame.attempts) for frame in frames(room)] == [1, 1, 0]
    assert page.costs[0].requests == 3


def test_every_take_is_listed_with_its_number(room: Room) -> None:
    """Attempts of a re-roll belong to its take."""
    room.render()
    with room.open():
        assert room.reroll(1, count=2).status_code == 202
        wait_until(lambda: room.take_numbers()[1] == [1, 2, 3])

    [_, frame, _] = frames(room)

    assert [take.number for take in frame.takes] == [1, 2, 3]
    assert [(attempt.take, attempt.number) for attempt in frame.attempts] == [(1, 1), (2, 1), (3, 1)]


def test_films_of_every_kind_are_listed(room: Room) -> None:
    """The first output is played, the others can be reached."""
    room.path.write_text(
        BOARD.replace(
            "output: {fps: 12, size: 160x96}",
            "output: [{codec: gif, fps: 5, size: 160x96}, {codec: vp9, fps: 5, size: 160x96}]",
        )
    )
    room.render()

    assert [(film.url, film.mime) for film in page_of(room).films] == [
        ("pets.gif", "image/gif"),
        ("pets-vp9.webm", "video/webm"),
    ]
    assert '<img id="player" src="pets.gif"' in (room.folder / "report.html").read_text(encoding="utf-8")


def test_very_many_thumbnails_lie_beside_the_report(room: Room) -> None:
    """In it they would make it too large to open."""
    room.render()
    with Ledger.open(room.settings.effective_database_url) as ledger:
        path = write_report(room.plan, room.inventory, ledger, room.settings, max_embedded=2)

    sources = re.findall(r'<img src="([^"]+)"', path.read_text(encoding="utf-8"))

    assert len(sources) == 3
    assert all((room.folder / source).is_file() for source in sources)


def divided(room: Room) -> Path:
    """Write the report as one that is too long for a page; return the index."""
    with Ledger.open(room.settings.effective_database_url) as ledger:
        return write_report(room.plan, room.inventory, ledger, room.settings, max_on_one_page=2)


def local_links(page: Path) -> list[str]:
    """Return the addresses of files that a page names, without what leads into them."""
    found = re.findall(r'(?:href|src)="([^"#:]+)[^"]*"', page.read_text(encoding="utf-8"))
    return sorted(set(found))


def test_a_long_report_is_an_index_with_a_page_for_its_scenes(room: Room) -> None:
    """Films, pictures and sheets are found from where they are named; each frame is on a page, none in the index."""
    room.render()

    index = divided(room)

    [page] = (room.folder / "report").glob("*.html")
    assert local_links(index) == [
        "contact-sheet.jpg",
        "ledger.csv",
        "pets.mp4",
        "report/001-garden.html",
        "report/001-garden.jpg",
    ]
    assert all((each.parent / link).is_file() for each in (index, page) for link in local_links(each))
    assert [each.read_text(encoding="utf-8").count('class="card"') for each in (index, page)] == [0, 3]
    assert '<a href="report/001-garden.html#s2"><bdi>House</bdi></a>' in index.read_text(encoding="utf-8")


def test_pages_that_would_say_the_same_are_left(room: Room) -> None:
    """Only what has changed is written again."""
    room.render()
    index = divided(room)
    [page] = (room.folder / "report").glob("*.html")
    before = [path.stat().st_ino for path in (index, page)]

    divided(room)

    assert [path.stat().st_ino for path in (index, page)] == before


def test_pages_of_a_report_that_is_one_again_go(room: Room) -> None:
    """What a person put beside them stays."""
    room.render()
    divided(room)
    mine = write(room.folder / "report" / "notes.txt", b"mine")
    write(room.folder / "report" / "002-gone.html", b"of a scene that is no more")
    divided(room)
    pages = sorted(path.name for path in (room.folder / "report").iterdir())

    with Ledger.open(room.settings.effective_database_url) as ledger:
        write_report(room.plan, room.inventory, ledger, room.settings)

    assert pages == ["001-garden.html", "001-garden.jpg", "notes.txt"]
    assert list((room.folder / "report").iterdir()) == [mine]
    mine.unlink()
    room.render()
    assert not (room.folder / "report").exists()


def test_a_report_that_would_say_the_same_is_left(room: Room) -> None:
    """A run that changes nothing writes nothing; one that generates a take does."""
    room.render()
    report = room.folder / "report.html"
    before = report.stat().st_ino

    room.render()
    assert report.stat().st_ino == before
    with room.open():
        room.reroll(0)
        # A review that is closed before stops the run, and the next one writes the report.
        wait_until(lambda: report.stat().st_ino != before)
    assert room.take_numbers()[0] == [1, 2]


def test_thumbnails_of_takes_that_are_no_longer_shown_go(room: Room) -> None:
    """They can be made again at any time."""
    room.render()
    room.path.write_text(BOARD.replace("birds over the sea", "ships at sea"))
    room.render()

    assert len(list((room.folder / "thumbnails").iterdir())) == 3


def test_a_take_that_is_no_picture_any_more_has_no_thumbnail(room: Room) -> None:
    """The page says so, and is written all the same."""
    room.render()
    [take, *_] = room.inventory.selected
    overwrite(take.path, b"\0" * take.path.stat().st_size)
    with Ledger.open(room.settings.effective_database_url) as ledger:
        path = write_report(room.plan, room.inventory, ledger, room.settings)

    assert "no thumbnail" in path.read_text(encoding="utf-8")


def test_a_report_that_cannot_be_written_undoes_nothing(room: Room) -> None:
    """The film is made; a remark says that there is no report."""
    room.folder.mkdir(parents=True)
    (room.folder / "report.html").mkdir()

    result = room.render()

    assert (result.state, result.report) == ("Completed", None)
    assert result.video is not None
    assert [remark.split(":")[0] for remark in result.remarks] == ["no report"]
