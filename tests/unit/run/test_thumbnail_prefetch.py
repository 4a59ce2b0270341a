"""A frame is read once, for the film and for its thumbnail."""

from pathlib import Path

import pytest

from pipelines.common.errors import FilmError
from pipelines.film.painting import read_frame
from pipelines.report.thumbnails import Thumbnails
from pipelines.run.thumbnail_prefetch import ThumbnailPrefetcher
from pipelines.takes.store import TakeStore
from tests.conftest import wait_until
from tests.support.full_disk import files_of_at_most
from tests.support.pictures import picture_bytes, write


def test_a_take_that_the_film_reads_has_its_thumbnail_then(tmp_path: Path) -> None:
    """It is the very one that the report would make, so that no picture is read twice."""
    store = TakeStore(tmp_path)
    take = write(store.takes / "0a1b.png", picture_bytes())
    with ThumbnailPrefetcher(store) as prefetcher:
        picture = prefetcher.read_frame(take)

    thumbnails = Thumbnails(tmp_path / "thumbnails")
    made = thumbnails.path(take)
    prefetched = (made.stat().st_ino, made.read_bytes())
    assert picture.tobytes() == read_frame(take).tobytes()
    assert thumbnails.make([take]) == {take: made}
    assert (made.stat().st_ino, made.read_bytes()) == prefetched
    made.unlink()
    thumbnails.make([take])
    assert made.read_bytes() == prefetched[1]


def test_a_frame_that_is_no_take_has_no_thumbnail(tmp_path: Path) -> None:
    """A redrawn one lies in `frames/`, numbered."""
    store = TakeStore(tmp_path)
    with ThumbnailPrefetcher(store) as prefetcher:
        prefetcher.read_frame(write(tmp_path / "frames" / "frame_0001.png", picture_bytes()))

    assert not (tmp_path / "thumbnails").exists()


def test_a_take_that_is_gone_is_the_films_own_error(tmp_path: Path) -> None:
    """The film says which picture it could not read."""
    store = TakeStore(tmp_path)
    with ThumbnailPrefetcher(store) as prefetcher, pytest.raises(FilmError, match="cannot be read: No such file"):
        prefetcher.read_frame(store.takes / "0a1b.png")


def test_no_room_for_a_thumbnail_is_no_trouble_for_the_film(tmp_path: Path) -> None:
    """The report meets it again, and says so."""
    store = TakeStore(tmp_path)
    take = write(store.takes / "0a1b.png", picture_bytes())
    with ThumbnailPrefetcher(store) as prefetcher, files_of_at_most(64):
        prefetcher.read_frame(take)

    assert list((tmp_path / "thumbnails").iterdir()) == []


def test_a_take_that_the_film_does_not_read_has_its_thumbnail_too(tmp_path: Path) -> None:
    """It is made in the background, as soon as the take is there."""
    store = TakeStore(tmp_path)
    take = write(store.takes / "0a1b.png", picture_bytes())
    made = Thumbnails(tmp_path / "thumbnails").path(take)

    with ThumbnailPrefetcher(store) as prefetcher:
        prefetcher.arrived(take)
        wait_until(made.is_file)

    assert made.is_file()
