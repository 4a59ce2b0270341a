"""A take that turns out to hold no picture is set aside, told of, and generated again by the next run."""

import json
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.cli.main import run
from pipelines.common.errors import FilmError, FramesMissingError
from pipelines.ledger.models import RunState, TakeLoss
from pipelines.run.observer import RunObserver
from pipelines.takes.models import Take
from tests.support.pictures import PNG_MAGIC, overwrite, picture_bytes, png_chunk
from tests.support.studio import Studio

FRAME = "frame_0001 garden/dog"


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    """A storyboard of two frames, rendered once."""
    studio = Studio(tmp_path)
    studio.render()
    return studio


def spoil(path: Path, how: str) -> None:
    """Replace a take by as many bytes that are none."""
    size = path.stat().st_size
    noise = random.Random(size).randbytes(size)
    if how == "noise with right checksums":
        rest = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1024, 1024, 8, 2, 0, 0, 0)), png_chunk(b"IEND", b"")
        pixels = png_chunk(b"IDAT", noise[: size - len(PNG_MAGIC) - sum(map(len, rest)) - 12])
        noise = PNG_MAGIC + rest[0] + pixels + rest[1]
    elif how == "a flipped bit":
        whole = path.read_bytes()
        noise = whole[: size // 2] + bytes([whole[size // 2] ^ 4]) + whole[size // 2 + 1 :]
    assert len(noise) == size
    overwrite(path, noise)


def forget_frames(studio: Studio) -> None:
    """Take the numbered frames away."""
    for path in (studio.folder / "frames").iterdir():
        path.unlink()


def forget_film(studio: Studio) -> None:
    """Take the film and its pieces away."""
    for path in (studio.folder / "segments").iterdir():
        path.unlink()
    (studio.folder / "pets.mp4").unlink()


def forget_thumbnails(studio: Studio) -> None:
    """Take the thumbnails away."""
    for path in (studio.folder / "thumbnails").iterdir():
        path.unlink()


def forget_everything(studio: Studio) -> None:
    """Take away what a run would reuse instead of reading the takes."""
    forget_frames(studio)
    forget_film(studio)
    forget_thumbnails(studio)


NOISE, SUMMED_NOISE, FLIPPED = "noise", "noise with right checksums", "a flipped bit"
READERS = [forget_everything, forget_frames, forget_film, forget_thumbnails]
# A frame takes pixels over as they are: of right checksums it needs no decoder.
READ = [(reader, how) for reader in READERS for how in (NOISE, SUMMED_NOISE, FLIPPED)]
READ.remove((forget_frames, SUMMED_NOISE))


@pytest.mark.parametrize(("reader", "how"), READ)
def test_an_unreadable_take_is_set_aside_by_whatever_reads_it(
    studio: Studio, reader: Callable[[Studio], None], how: str
) -> None:
    """The frame is named, the file is kept, and the run does not pass for complete."""
    take = studio.take(1)
    spoil(take.path, how)
    spoilt = take.path.read_bytes()
    reader(studio)
    observer = RunObserver()

    with pytest.raises(FramesMissingError) as caught:
        studio.render(observer)

    told = str(caught.value)
    assert told.startswith(f"1 of 2 frames is missing: {FRAME}: its take was unreadable (")
    assert told.endswith(
        "), and is set aside in takes/unusable. Everything generated is kept; "
        "run again to generate what was unreadable anew, which costs again"
    )
    assert observer.result is not None
    assert (observer.result.state, observer.result.requests) == (RunState.INCOMPLETE, 0)
    assert not take.path.exists()
    assert (take.path.parent / "unusable" / take.path.name).read_bytes() == spoilt


def set_aside(studio: Studio) -> Take:
    """Let a run set the second frame's take aside."""
    take = studio.take(1)
    spoil(take.path, "noise")
    forget_everything(studio)
    with pytest.raises(FramesMissingError):
        studio.render()
    return take


def test_the_next_run_generates_it_again(studio: Studio) -> None:
    """One request, and the film; its summary says that it cost again, and why."""
    take = set_aside(studio)

    result = studio.render()

    assert (result.state, result.generated, result.reused) == (RunState.COMPLETED, 1, 1)
    assert result.remarks == ("1 take had been generated before, and cost again: 1 unreadable",)
    assert (result.video is not None, take.path.exists()) == (True, True)
    assert studio.render().remarks == ()


def test_plan_says_what_is_generated_again_and_why(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    """One is unreadable, and set aside; the other is gone."""
    set_aside(studio)
    studio.take(0).path.unlink()
    command = ["plan", str(studio.path), "--output", str(studio.settings.output)]

    run(command)
    text = capsys.readouterr().err
    run([*command, "--json"])
    as_json = json.loads(capsys.readouterr().out)

    assert studio.inventory.losses == {TakeLoss.GONE: 1, TakeLoss.UNREADABLE: 1}
    assert "  again       2 of these had been generated, and cost again: 1 gone, 1 unreadable\n" in text
    assert as_json["generate_again"] == {"gone": 1, "unreadable": 1}


def test_verify_names_it_before_and_after_it_is_set_aside(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    """The bytes differ from those that were paid for; later the take is no more."""
    command = ["ledger", str(studio.path), "--output", str(studio.settings.output), "--verify"]
    spoil(studio.take(1).path, "noise")

    run(command)
    before = capsys.readouterr().err
    set_aside(studio)
    run(command)
    after = capsys.readouterr().err

    assert "attempt 2: its take takes/" in before
    assert "is not the one that was generated: the sha-256 differs" in before
    assert "attempt 2: its take is unreadable: not an image: it starts with" in after


def test_a_take_of_another_storyboard_is_set_aside_there(studio: Studio) -> None:
    """Both storyboards share it; its file in the other's folder is moved to that one's takes/unusable."""
    there = studio.take(1)
    other = Studio.__new__(Studio)
    other.path = studio.path.with_name("more.yaml")
    other.settings, other.folder = studio.settings, studio.folder.with_name("more")
    other.write(studio.path.read_text())
    spoil(there.path, "noise")

    with pytest.raises(FramesMissingError, match=f"1 of 2 frames is missing: {FRAME}: its take was unreadable"):
        other.render()

    assert (there.path.parent / "unusable" / there.path.name).is_file()
    assert other.render().generated == 1
    assert studio.render().generated == 0


def test_a_further_take_that_is_unreadable_is_told_of(studio: Studio) -> None:
    """The film does not show it, and the storyboard does not ask for it: the run is whole, with a remark."""
    studio.reroll("1")
    take = studio.take(1, 2)
    spoil(take.path, "noise")
    forget_everything(studio)

    result = studio.render()

    assert (result.state, result.generated) == (RunState.COMPLETED, 0)
    [remark] = result.remarks
    assert remark.startswith(f"{FRAME} take 2: its take was unreadable (not an image: it starts with ")
    assert (take.path.parent / "unusable" / take.path.name).is_file()


def test_a_damaged_frame_of_a_sound_take_is_made_anew(studio: Studio) -> None:
    """The film reads the frame where the take had to be encoded again; the next run does so once more, for nothing."""
    take = studio.take(1)
    size = take.path.stat().st_size
    # As long as before: the ledger knows how many bytes it had.
    overwrite(take.path, picture_bytes("JPEG", (1024, 1024)).ljust(size, b"\0"))
    forget_film(studio)
    studio.render()
    frame = studio.folder / "frames" / "frame_0001.png"
    spoil(frame, "a flipped bit")
    forget_film(studio)

    with pytest.raises(
        FilmError, match=r"frame_0001\.png: cannot be read: a damaged PNG: .*; render again to recreate it"
    ):
        studio.render()

    result = studio.render()
    assert (result.state, result.generated, take.path.exists()) == (RunState.COMPLETED, 0, True)
