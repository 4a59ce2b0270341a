"""Frames are published whole or not at all, each with its metadata, and none is written twice."""

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipelines.common.errors import IncompleteError, StorageError
from pipelines.common.geometry import AspectRatio, Fit
from pipelines.film.frame_picture import FramePicture
from pipelines.takes.frame_folder import FrameFolder, UnreadableTakesError, is_as_requested
from pipelines.takes.models import Take
from pipelines.takes.store import TakeStore
from tests.support.builders import take_spec
from tests.support.faults import failing
from tests.support.pictures import picture_bytes, png_chunk, spec_picture, write
from tests.support.takes import described_take, names_in, prepared_store, stored_take, text_of

SMALL = AspectRatio.CLASSIC_LANDSCAPE

pytestmark = pytest.mark.usefixtures("no_clones")


@pytest.fixture
def store(tmp_path: Path) -> TakeStore:
    """A prepared store in a fresh folder."""
    return prepared_store(tmp_path / "harbor")


@pytest.fixture
def folder(store: TakeStore) -> FrameFolder:
    """The frames of the same storyboard."""
    return FrameFolder(store.folder)


def with_frame(take: Take, **changes: Any) -> Take:
    """Return the same take, for a frame that differs in this."""
    return replace(take, spec=replace(take.spec, frame=replace(take.frame, **changes)))


def colour_at(path: Path, at: tuple[int, int]) -> object:
    """Return one pixel of a picture."""
    with Image.open(path) as image:
        return image.convert("RGB").getpixel(at)


def test_frames_are_published_in_order_with_their_pixels_untouched(store: TakeStore, folder: FrameFolder) -> None:
    """A PNG of the right size gets its metadata and nothing else: every byte of the take is in the frame."""
    specs = [take_spec(0, prompt="a"), take_spec(1, prompt="b")]
    takes = [
        stored_take(store, spec, spec_picture(spec.frame, colour=c))
        for spec, c in zip(specs, ["red", "navy"], strict=True)
    ]

    paths = folder.publish(takes)

    assert paths == [folder.frames / "frame_0000.png", folder.frames / "frame_0001.png"]
    assert [colour_at(path, (0, 0)) for path in paths] == [(255, 0, 0), (0, 0, 128)]
    data, original = paths[0].read_bytes(), takes[0].path.read_bytes()
    assert (data.startswith(original[:33]), data.endswith(original[33:])) == (True, True)
    assert names_in(folder.folder) == ["frames", "takes"]


@pytest.mark.parametrize(("kind", "suffix"), [("JPEG", ".jpg"), ("WEBP", ".webp"), ("JPEG", ".png")])
@pytest.mark.parametrize("fit", list(Fit))
def test_a_take_in_another_format_becomes_a_real_png(
    store: TakeStore, folder: FrameFolder, kind: str, suffix: str, fit: Fit
) -> None:
    """Whatever it is called, and however it is to be fitted: its size is right. The take stays as it came."""
    spec = take_spec(aspect=SMALL, fit=fit)
    take = stored_take(store, spec, spec_picture(spec.frame, kind), suffix=suffix)
    before = take.path.read_bytes()

    [path] = folder.publish([take])

    with Image.open(path) as image:
        assert (image.format, image.size, image.mode) == ("PNG", (1024, 768), "RGB")
    assert (text_of(path)["Software"], take.path.read_bytes() == before) == ("storyreel", True)


@pytest.mark.parametrize("mode", ["RGBA", "L", "P", "LA"])
def test_a_png_of_another_mode_is_fitted_as_rgb(store: TakeStore, folder: FrameFolder, mode: str) -> None:
    """Palette and transparency do not survive a change of size."""
    spec = take_spec(aspect=SMALL)
    path = store.takes / f"{spec.request_key}.png"
    Image.new(mode, (64, 64)).save(path)

    [frame] = folder.publish([Take(spec, path, spec.prompt, None)])

    with Image.open(frame) as image:
        assert (image.mode, image.size) == ("RGB", (1024, 768))


@pytest.mark.parametrize(
    ("fit", "corner", "middle"),
    [
        (Fit.COVER, (0, 128, 128), (0, 128, 128)),
        (Fit.CONTAIN, (0, 0, 0), (0, 128, 128)),
        (Fit.STRETCH, (0, 128, 128), (0, 128, 128)),
    ],
)
def test_a_take_of_the_wrong_size_is_fitted(
    store: TakeStore, folder: FrameFolder, fit: Fit, corner: object, middle: object
) -> None:
    """Cropped, on black, or stretched: the frame has the size asked for."""
    spec = take_spec(aspect=SMALL, fit=fit)

    [path] = folder.publish([stored_take(store, spec, picture_bytes("PNG", (512, 512)))])

    with Image.open(path) as image:
        assert image.size == (1024, 768)
    assert (colour_at(path, (0, 0)), colour_at(path, (512, 384))) == (corner, middle)


def test_a_take_of_the_wrong_size_is_refused_where_fit_is_error(store: TakeStore, folder: FrameFolder) -> None:
    """The message names the frame, the size and the cure; the old frames stand."""
    good = stored_take(store, take_spec(0, prompt="good"))
    folder.publish([good])
    spec = take_spec(1, aspect=SMALL, fit=Fit.ERROR)
    bad = stored_take(store, spec, picture_bytes("PNG", (512, 512)))

    with pytest.raises(IncompleteError) as caught:
        folder.publish([good, bad])

    assert str(caught.value) == (
        "frame_0001 arrival/wide: its take is not of 1024x768 pixels and fit is error; choose cover, contain or stretch"
    )
    assert names_in(folder.frames) == ["frame_0000.png"]


def test_publishing_again_leaves_no_old_number(store: TakeStore, folder: FrameFolder) -> None:
    """A shorter storyboard has fewer frames, and nothing that was put there by hand stays."""
    takes = [stored_take(store, take_spec(n, prompt=str(n), aspect=SMALL)) for n in range(3)]
    folder.publish(takes)
    write(folder.frames / "notes.txt", b"mine")

    folder.publish(takes[:1])

    assert names_in(folder.frames) == ["frame_0000.png"]


def test_publishing_nothing_leaves_an_empty_folder(folder: FrameFolder) -> None:
    """No frames are no frames."""
    assert (folder.publish([]), names_in(folder.frames)) == ([], [])


def renumbered(takes: Sequence[Take]) -> list[Take]:
    """Return the takes in reverse, numbered from 0."""
    return [with_frame(take, number=n) for n, take in enumerate(reversed(takes))]


def test_published_frames_are_linked_under_their_new_numbers(store: TakeStore, folder: FrameFolder) -> None:
    """Reordering a storyboard writes no picture again: the same files, known by what they hold."""
    takes = [stored_take(store, take_spec(n, prompt=str(n), aspect=SMALL)) for n in range(3)]
    inodes = [path.stat().st_ino for path in folder.publish(takes)]

    again = [path.stat().st_ino for path in folder.publish(renumbered(takes))]

    assert again == inodes[::-1]


def test_published_frames_are_copied_where_links_do_not_work(
    store: TakeStore, folder: FrameFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frames are whole all the same, and nothing temporary is left."""
    takes = [stored_take(store, take_spec(n, prompt=str(n), aspect=SMALL)) for n in range(2)]
    before = [path.read_bytes() for path in folder.publish(takes)]
    monkeypatch.setattr(os, "link", failing(errno.EPERM))

    after = [path.read_bytes() for path in folder.publish(takes)]

    assert (after, names_in(folder.frames)) == (before, ["frame_0000.png", "frame_0001.png"])


def test_one_take_shown_by_two_frames_is_published_twice(store: TakeStore, folder: FrameFolder) -> None:
    """Two numbers may show the same picture."""
    take = stored_take(store, take_spec(0, aspect=SMALL))
    both = [take, with_frame(take, number=1)]

    first, second = folder.publish(both)
    again = folder.publish(both)

    assert (first.read_bytes() == second.read_bytes(), again) == (True, [first, second])


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "another"},
        {"cost_usd": Decimal("0.001")},
        {"cost_usd": None},
    ],
)
def test_a_frame_whose_metadata_changed_is_written_again(
    store: TakeStore, folder: FrameFolder, change: dict[str, object]
) -> None:
    """The text in the file is never stale."""
    take = stored_take(store, take_spec(aspect=SMALL))
    [path] = folder.publish([take])
    inode = path.stat().st_ino

    folder.publish([replace(take, **change)])  # type: ignore[arg-type]

    assert path.stat().st_ino != inode


def test_a_take_that_carries_its_frame_s_text_is_the_frame(store: TakeStore, folder: FrameFolder) -> None:
    """One file under two names, read-only: what is written into the frame would be written into the take."""
    take = described_take(store, take_spec(aspect=SMALL))
    whole = take.path.read_bytes()

    [path] = folder.publish([take])
    [again] = folder.publish([with_frame(take, number=7)])

    assert (again.samefile(take.path), again.read_bytes(), text_of(again)["prompt"]) == (True, whole, take.prompt)
    assert (path.exists(), stat.filemode(take.path.stat().st_mode)) == (False, "-r--r--r--")


@pytest.mark.parametrize(("changed", "says"), [("cost_usd", "0.001"), ("prompt", "another"), ("fit", "contain")])
def test_a_frame_that_differs_from_what_its_take_says_is_a_file_of_its_own(
    store: TakeStore, folder: FrameFolder, changed: str, says: str
) -> None:
    """A cost settled by hand, another storyboard's fit: the frame tells it, the take stays as it was kept."""
    take = described_take(store, take_spec(aspect=SMALL))
    whole = take.path.read_bytes()
    others = {
        "cost_usd": replace(take, cost_usd=Decimal("0.001")),
        "prompt": replace(take, prompt="another"),
        "fit": with_frame(take, fit=Fit.CONTAIN),
    }

    [path] = folder.publish([others[changed]])

    assert (text_of(path)[changed], path.samefile(take.path)) == (says, False)
    assert take.path.read_bytes() == whole


def test_a_take_of_an_older_version_has_a_frame_of_its_own(store: TakeStore, folder: FrameFolder) -> None:
    """It lies there as it came, and carries no text."""
    take = stored_take(store, take_spec(aspect=SMALL))

    [path] = folder.publish([take])

    assert (path.samefile(take.path), os.access(take.path, os.W_OK)) == (False, True)


def test_a_take_that_says_what_its_frame_says_and_holds_more_is_not_shared(
    store: TakeStore, folder: FrameFolder
) -> None:
    """An endpoint may write our text itself: its gamma stays out of the frame all the same."""
    take = described_take(store, take_spec(aspect=SMALL))
    described = take.path.read_bytes()
    gamma = png_chunk(b"gAMA", b"\0\0\x4e\x20")
    write(take.path, described[:-12] + gamma + described[-12:])

    [path] = folder.publish([take])

    assert (path.samefile(take.path), path.read_bytes()) == (False, described)


def test_a_damaged_take_is_not_shared(store: TakeStore, folder: FrameFolder) -> None:
    """Its checksums are looked at before its file becomes a frame."""
    take = described_take(store, take_spec(aspect=SMALL))
    whole = take.path.read_bytes()
    middle = len(whole) * 3 // 4
    write(take.path, whole[:middle] + bytes([whole[middle] ^ 4]) + whole[middle + 1 :])

    with pytest.raises(UnreadableTakesError, match="a damaged PNG: the checksum of b'IDAT' is wrong; run again"):
        folder.publish([take])

    assert names_in(folder.folder) == ["takes"]


def test_another_fit_writes_the_frame_again(store: TakeStore, folder: FrameFolder) -> None:
    """The same take, fitted otherwise, is another picture."""
    take = stored_take(store, take_spec(aspect=SMALL), picture_bytes("PNG", (512, 512)))
    folder.publish([take])

    [path] = folder.publish([with_frame(take, fit=Fit.CONTAIN)])

    assert (colour_at(path, (0, 0)), text_of(path)["fit"]) == ((0, 0, 0), "contain")


def test_a_take_that_was_generated_again_replaces_its_frame(store: TakeStore, folder: FrameFolder) -> None:
    """The metadata are the same, the picture is not: the frame shows the take that is there."""
    spec = take_spec(aspect=SMALL)
    folder.publish([stored_take(store, spec)])
    again = stored_take(store, spec, spec_picture(spec.frame, colour="red"))
    later = again.path.stat().st_mtime_ns + 1_000_000_000
    os.utime(again.path, ns=(later, later))

    [path] = folder.publish([again])

    assert colour_at(path, (0, 0)) == (255, 0, 0)


def damaged(data: bytes, how: str) -> bytes:
    """Return a frame's bytes after some misfortune."""
    match how:
        case "empty":
            return b""
        case "head only":
            return data[:40]
        case "cut in the metadata":
            return data[:120]
        case "cut in the pixels":
            return data[:-20]
        case "cut at the end":
            return data[:-1]
        case "metadata gone":
            return data[:33] + data[data.index(b"storyreel") + 13 :]
        case _:
            return data.replace(b"a harbor", b"a harbxr", 1)


@pytest.mark.parametrize(
    "how",
    ["empty", "head only", "cut in the metadata", "cut in the pixels", "cut at the end", "metadata gone", "edited"],
)
def test_a_damaged_frame_is_written_again(store: TakeStore, folder: FrameFolder, how: str) -> None:
    """What is not whole, or not ours, is written from its take."""
    take = stored_take(store, take_spec(aspect=SMALL))
    [path] = folder.publish([take])
    whole = path.read_bytes()
    path.write_bytes(damaged(whole, how))

    folder.publish([take])

    assert path.read_bytes() == whole


def test_what_cannot_be_read_as_a_frame_is_written_again(store: TakeStore, folder: FrameFolder) -> None:
    """A folder in a frame's place, or a link that leads nowhere, gives way."""
    takes = [stored_take(store, take_spec(n, prompt=str(n), aspect=SMALL)) for n in range(2)]
    (folder.frames / "frame_0000.png").mkdir(parents=True)
    (folder.frames / "frame_0001.png").symlink_to("nowhere")

    paths = folder.publish(takes)

    assert [text_of(path)["prompt"] for path in paths] == ["0", "1"]


def test_a_take_that_lacks_its_last_checksum_becomes_a_sound_frame(store: TakeStore, folder: FrameFolder) -> None:
    """All its pixels are there, so it was kept; the frame is a PNG without fault, and known again."""
    spec = take_spec(aspect=SMALL, fit=Fit.ERROR)
    take = stored_take(store, spec, spec_picture(spec.frame)[:-2])

    [path] = folder.publish([take])

    inode = path.stat().st_ino
    assert (path.read_bytes()[-8:], colour_at(path, (0, 0))) == (b"IEND\xaeB`\x82", (0, 128, 128))
    assert folder.publish([take])[0].stat().st_ino == inode


def test_a_crash_while_publishing_leaves_the_old_frames(store: TakeStore, folder: FrameFolder) -> None:
    """A take that is gone is an error; the folder is as it was, and the next call removes what is left over."""
    takes = [stored_take(store, take_spec(n, prompt=str(n), aspect=SMALL)) for n in range(2)]
    folder.publish(takes[:1])
    before = (folder.frames / "frame_0000.png").read_bytes()
    takes[1].path.unlink()

    with pytest.raises(StorageError, match="frames: cannot be written: No such file or directory; free space"):
        folder.publish(takes)

    assert (names_in(folder.frames), (folder.frames / "frame_0000.png").read_bytes()) == (["frame_0000.png"], before)
    folder.publish(takes[:1])
    assert names_in(folder.folder) == ["frames", "takes"]


def test_a_full_disk_while_publishing_leaves_the_old_frames(
    store: TakeStore, folder: FrameFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the disk is reported with its cure."""
    take = stored_take(store, take_spec(aspect=SMALL))
    folder.publish([take])
    other = stored_take(store, take_spec(prompt="other", aspect=SMALL))
    monkeypatch.setattr(Path, "open", failing(errno.ENOSPC))

    with pytest.raises(StorageError, match="cannot be written: No space left on device; free space"):
        folder.publish([other])

    monkeypatch.undo()
    assert text_of(folder.frames / "frame_0000.png")["prompt"] == "a harbor at dawn"


@pytest.mark.parametrize("published_before", [True, False])
def test_a_swap_that_fails_puts_the_old_frames_back(
    store: TakeStore, folder: FrameFolder, monkeypatch: pytest.MonkeyPatch, published_before: bool
) -> None:
    """The old folder gives way only to a whole new one, in its place."""
    take = stored_take(store, take_spec(aspect=SMALL))
    if published_before:
        folder.publish([take])
    rename = Path.rename
    failed: list[Path] = []

    def fail_once(self: Path, target: Path) -> Path:
        if target == folder.frames and not failed:
            failed.append(self)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_once)
    with pytest.raises(StorageError, match="Input/output error"):
        folder.publish([take])

    assert (folder.frames.exists(), len(failed)) == (published_before, 1)
    assert not published_before or names_in(folder.frames) == ["frame_0000.png"]


def test_what_a_killed_run_left_is_removed(folder: FrameFolder) -> None:
    """Half-written folders do not pile up."""
    write(folder.folder / ".frames-dead" / "frame_0000.png", b"half")

    folder.publish([])

    assert names_in(folder.folder) == ["frames", "takes"]


def test_a_frame_beyond_four_digits_keeps_its_number(store: TakeStore, folder: FrameFolder) -> None:
    """Past 9,999 names grow longer, and are known again."""
    take = stored_take(store, take_spec(12345, aspect=SMALL))
    [path] = folder.publish([take])
    inode = path.stat().st_ino

    folder.publish([take])

    assert (path.name, path.stat().st_ino) == ("frame_12345.png", inode)


# --- takes that are shown as they came


@pytest.mark.parametrize(
    ("data", "as_requested"),
    [
        (spec_picture(take_spec(aspect=SMALL).frame), True),
        (picture_bytes("PNG", (64, 64)), False),
        (spec_picture(take_spec(aspect=SMALL).frame, "JPEG"), False),
        (spec_picture(take_spec(aspect=SMALL).frame)[:-2], False),
        (b"", False),
    ],
    ids=["whole", "of another size", "JPEG", "cut at the end", "empty"],
)
def test_a_whole_png_of_the_size_asked_for_is_shown_as_it_is(
    store: TakeStore, folder: FrameFolder, data: bytes, as_requested: bool
) -> None:
    """The film reads the take itself; of any other, its frame, which is another picture than the take."""
    take = replace(stored_take(store, take_spec(aspect=SMALL), data), sha256="a1")
    itself, frame = FramePicture(take.path, "a1"), folder.frames / "frame_0000.png"

    assert is_as_requested(take) is as_requested
    assert folder.picture(take) == (itself if as_requested else FramePicture(frame, "a1", (SMALL.size, Fit.COVER)))


def test_a_frame_made_of_a_take_that_no_ledger_knows_is_known_by_itself(store: TakeStore, folder: FrameFolder) -> None:
    """Its file is hashed where it must be known; the take's bytes are not what it holds."""
    take = stored_take(store, take_spec(aspect=SMALL), picture_bytes("PNG", (64, 64)))

    assert folder.picture(take) == FramePicture(folder.frames / "frame_0000.png")


def test_a_take_whose_file_is_gone_cannot_be_looked_at(store: TakeStore) -> None:
    """The error is the system's own."""
    take = stored_take(store, take_spec())
    take.path.unlink()

    with pytest.raises(FileNotFoundError):
        is_as_requested(take)
