"""An output folder has an id, which is made once and travels with it."""

import re
import uuid
from pathlib import Path

import pytest

from pipelines.common.errors import UsageError
from pipelines.storyboard.ids import complaint_about
from pipelines.takes.place import PLACE_FILE, Place, claim_place, read_place
from tests.support.threads import in_threads

ONE, OTHER = "0f9a2c4e-5d0b-4a43-9d0e-0a4d0f5a8b11", "7c1f3d52-2b8e-4a6f-8d55-3f1c2a9b0e22"


def test_a_look_makes_no_id(tmp_path: Path) -> None:
    """Neither in an empty folder nor where there is none."""
    places = [read_place(folder) for folder in (tmp_path, tmp_path / "none")]

    assert places == [Place(), Place()]
    assert (places[0].id, list(tmp_path.iterdir())) == (None, [])


def test_an_id_is_made_once(tmp_path: Path) -> None:
    """It is a UUID, in a file of its own, and nothing else stays there."""
    claimed = claim_place(tmp_path / "outputs")

    assert claim_place(tmp_path / "outputs") == read_place(tmp_path / "outputs") == claimed
    assert claimed.ids == (str(uuid.UUID(claimed.id)),)
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == [PLACE_FILE]


def test_an_id_travels_with_its_folder(tmp_path: Path) -> None:
    """Under whatever name the folder is found."""
    claimed = claim_place(tmp_path / "outputs")

    (tmp_path / "outputs").rename(tmp_path / "films")

    assert claim_place(tmp_path / "films") == claimed


def test_of_several_at_the_same_moment_one_makes_the_id(tmp_path: Path) -> None:
    """All of them return it: they have nothing in common but the folder."""
    claimed: list[Place] = []

    in_threads(*[lambda: claimed.append(claim_place(tmp_path))] * 8)

    assert claimed == [read_place(tmp_path)] * 8
    assert [path.name for path in tmp_path.iterdir()] == [PLACE_FILE]


@pytest.mark.parametrize(
    "text", [f"{ONE}\n{OTHER}\n", f"{ONE} {OTHER}", f"\ufeff{ONE}\r\n\r\n{OTHER}\r\n", f"{ONE.upper()}\n{OTHER}"]
)
def test_a_folder_stands_for_those_whose_ids_are_added(tmp_path: Path, text: str) -> None:
    """Its own is the first; whatever editor wrote them."""
    (tmp_path / PLACE_FILE).write_bytes(text.encode())

    place = claim_place(tmp_path)

    assert (place.id, place.ids) == (ONE, (ONE, OTHER))
    assert [place.has(each) for each in (ONE, OTHER, None, str(uuid.UUID(int=1)))] == [True, True, True, False]


@pytest.mark.parametrize("data", [b"", b"\n", b"studio", ONE[:-1].encode(), f"{ONE}\nstudio".encode(), b"\xff\xfe"])
def test_a_file_without_an_id_is_refused(tmp_path: Path, data: bytes) -> None:
    """With its name and the cure; it stays as it was."""
    (tmp_path / PLACE_FILE).write_bytes(data)
    message = (
        f"{tmp_path}/{PLACE_FILE}: does not hold the id of this folder, a UUID; put that back, or delete the file: the "
        "next run makes a new one"
    )

    for get in (read_place, claim_place):
        with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
            get(tmp_path)
    assert (tmp_path / PLACE_FILE).read_bytes() == data


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A folder in its stead, for instance."""
    (tmp_path / PLACE_FILE).mkdir()

    with pytest.raises(
        UsageError, match=rf"^{re.escape(str(tmp_path))}/\{PLACE_FILE}: cannot be read: Is a directory; "
    ):
        claim_place(tmp_path)


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """A file stands where the output folder should be."""
    (tmp_path / "outputs").write_text("")

    with pytest.raises(UsageError, match=r"cannot be written: .*; choose another --output$"):
        claim_place(tmp_path / "outputs")


def test_no_storyboard_takes_the_place_of_the_file() -> None:
    """Its folder would be in the way."""
    assert complaint_about(PLACE_FILE) is not None
