"""Frames take no room beside their takes: each is its take's file, as far as the file system can share one."""

import logging
from pathlib import Path

import pytest

from pipelines.cli.main import run
from tests.support.pictures import overwrite, picture_bytes
from tests.support.studio import Studio
from tests.support.takes import text_of

pytestmark = pytest.mark.usefixtures("no_clones")


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    """A storyboard of two frames, rendered once."""
    studio = Studio(tmp_path)
    studio.render()
    return studio


def frames_of(studio: Studio) -> list[Path]:
    """Return the numbered frames."""
    return sorted((studio.folder / "frames").iterdir())


def room_bytes(*folders: Path) -> int:
    """Return the bytes of all files in folders; one that has several names there counts once."""
    found = {path.stat().st_ino: path.stat() for folder in folders for path in folder.iterdir()}
    return sum(each.st_size for each in found.values())


def test_frames_are_their_takes_and_say_what_they_show(studio: Studio) -> None:
    """The numbered frame has its text, in the one file that both are."""
    takes, frames = studio.folder / "takes", studio.folder / "frames"

    texts = [text_of(path)["prompt"] for path in frames_of(studio)]

    assert (texts, room_bytes(takes, frames)) == (["a cat", "a dog"], room_bytes(takes))


def test_a_storyboard_that_is_cut_anew_copies_nothing(studio: Studio) -> None:
    """Frames get other numbers, and stay the files of their takes."""
    studio.write(
        studio.path.read_text()
        .replace("{id: cat, prompt: a cat}", "{id: dog, prompt: a dog}", 1)
        .replace("{id: dog, prompt: a dog, takes: 1}", "{id: cat, prompt: a cat}")
    )

    result = studio.render()

    assert (result.generated, [text_of(path)["prompt"] for path in frames_of(studio)]) == (0, ["a dog", "a cat"])
    assert [path.samefile(studio.take(n).path) for n, path in enumerate(frames_of(studio))] == [True, True]


def test_two_storyboards_share_one_file(studio: Studio) -> None:
    """The second one's take and frame are names of the first one's take."""
    other = Studio.__new__(Studio)
    other.path = studio.path.with_name("more.yaml")
    other.settings, other.folder = studio.settings, studio.folder.with_name("more")
    other.write(studio.path.read_text())

    result = other.render()

    assert result.generated == 0
    assert [path.samefile(studio.take(n).path) for n, path in enumerate(frames_of(other))] == [True, True]


def test_a_frame_that_an_editor_replaced_is_laid_anew(studio: Studio) -> None:
    """Most editors write a new file and give it the old one's name: the take is as it was."""
    [frame, _] = frames_of(studio)
    whole = frame.read_bytes()
    edited = frame.with_name("edited.png")
    edited.write_bytes(whole[:-20])
    edited.replace(frame)

    result = studio.render()

    assert (result.generated, frame.read_bytes(), studio.take(0).path.read_bytes()) == (0, whole, whole)
    assert frame.samefile(studio.take(0).path)


def test_what_is_written_into_a_take_through_its_frame_is_told(
    studio: Studio, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is protected, and root may all the same: nothing is paid for twice, and nothing is hidden."""
    [frame, _] = frames_of(studio)
    overwrite(frame, picture_bytes("PNG", (1024, 1024), "navy"))

    with caplog.at_level(logging.WARNING):
        result = studio.render()
    code = run(["ledger", str(studio.path), "--output", str(studio.settings.output), "--verify"])

    assert (result.generated, "pets: the files of 1 take are gone" in caplog.text) == (0, True)
    assert (code, "attempt 1: its take is gone" in capsys.readouterr().err) == (4, True)


def test_verify_finds_nothing_in_takes_that_carry_a_text(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    """The ledger vouches for the files as they are kept."""
    code = run(["ledger", str(studio.path), "--output", str(studio.settings.output), "--verify"])

    assert (code, "differs" in capsys.readouterr().err) == (0, False)
