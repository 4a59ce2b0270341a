"""The file that leads a browser to the review page: private, gone when it is no longer needed, and safe to read."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.review.opening import OpeningFile

OpenIn = Callable[[Path], OpeningFile]
ADDRESS = "http://127.0.0.1:49152/t0ken_-/"


@pytest.fixture
def open_in() -> Iterator[OpenIn]:
    """Return a function that describes an opening file in a folder; in the end each is removed."""
    with contextlib.ExitStack() as stack:

        def describe(folder: Path) -> OpeningFile:
            opening = OpeningFile(folder, ADDRESS)
            stack.callback(opening.remove)
            return opening

        yield describe


def test_only_its_owner_reads_the_address(tmp_path: Path, open_in: OpenIn) -> None:
    """It names the address and no other site learns it; its name is no clue, and not hidden."""
    opening = open_in(tmp_path / "outputs/film")

    path = opening.write()

    text = path.read_text()
    assert (path.parent, path.stat().st_mode & 0o777) == (tmp_path / "outputs/film", 0o600)
    assert (path.name.startswith("review-"), path.suffix, "t0ken" in path.name) == (True, ".html", False)
    assert (f'content="0; url={ADDRESS}"' in text, 'name="referrer" content="no-referrer"' in text) == (True, True)


def test_it_is_removed_once_and_for_all(tmp_path: Path, open_in: OpenIn) -> None:
    """Before it was written there is nothing to remove, nor afterwards."""
    opening = open_in(tmp_path)

    opening.remove()
    opening.write()
    opening.remove()
    opening.remove()

    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_review_left_is_removed_and_what_another_needs_is_not(tmp_path: Path, open_in: OpenIn) -> None:
    """One that runs holds a lock on its file."""
    (tmp_path / "review-0123456789abcdef.html").write_text("left")
    (tmp_path / "report.html").write_text("kept")
    other, opening = open_in(tmp_path), open_in(tmp_path)
    needed = other.write()

    path = opening.write()

    assert sorted(tmp_path.iterdir()) == sorted([path, needed, tmp_path / "report.html"])


def test_a_link_is_not_followed(tmp_path: Path, open_in: OpenIn) -> None:
    """Neither what it points at is touched, nor the link."""
    other = tmp_path / "other.txt"
    other.write_text("other")
    folder = tmp_path / "film"
    folder.mkdir()
    (folder / "review-link.html").symlink_to(other)

    open_in(folder).write()

    assert other.read_text() == "other"


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, open_in: OpenIn) -> None:
    """The command then asks the user to open the address."""
    (tmp_path / "film").write_text("no folder")

    with pytest.raises(OSError, match="film"):
        open_in(tmp_path / "film").write()
