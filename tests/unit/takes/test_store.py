"""The frame store: takes stay as they came, and frames are laid anew, whole, with their account in them."""

import errno
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from pipelines.common.errors import IncompleteError, StorageError, UsageError
from pipelines.common.geometry import AspectRatio, Fit, Size
from pipelines.common.imaging import fit_picture
from pipelines.storyboard.plan import FrameSpec
from pipelines.takes.models import Take
from pipelines.takes.store import TakeStore
from tests.support.builders import frame_spec
from tests.support.pictures import picture_bytes, spec_picture, write

SMALL = AspectRatio.CLASSIC_LANDSCAPE


@pytest.fixture
def store(tmp_path: Path) -> TakeStore:
    """A prepared store in a fresh folder."""
    store = TakeStore(tmp_path / "harbor")
    store.prepare()
    return store


def shown_take(
    store: TakeStore, spec: FrameSpec, data: bytes | None = None, *, suffix: str = ".png", prompt: str | None = None
) -> Take:
    """Put a take into the store and return how a frame shows it."""
    body = spec_picture(spec) if data is None else data
    path = write(store.takes / f"{spec.request_key}{suffix}", body)
    return Take(spec, path, spec.prompt if prompt is None else prompt, Decimal("0.000652"))


def text_of(path: Path) -> dict[str, str]:
    """Return the text chunks of a PNG, as Pillow reads them."""
    with PngImageFile(path) as image:
        image.load()
        return {str(key): str(value) for key, value in image.text.items()}


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder, hidden ones too, sorted."""
    return sorted(path.name for path in folder.iterdir())


def colour_at(path: Path, at: tuple[int, int]) -> object:
    """Return one pixel of a picture."""
    with Image.open(path) as image:
        return image.convert("RGB").getpixel(at)


# --- the takes


def test_preparing_makes_the_folder_and_leaves_nothing_else(store: TakeStore) -> None:
    """Preparing twice is as good as once."""
    store.prepare()

    assert (names_in(store.folder), names_in(store.takes)) == (["takes"], [])


def test_a_folder_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    """A file in the way is told before anything is sent, with the cure."""
    folder = write(tmp_path / "harbor", b"a file")

    with pytest.raises(UsageError, match=r"harbor: cannot be written to: .+; choose another --output$"):
        TakeStore(folder).prepare()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_kept_take_has_its_original_bytes_and_is_found(store: TakeStore, suffix: str) -> None:
    """What was bought is kept as it came, under its request key."""
    write(store.part_path(7), b"as it came")

    path, spare = store.keep(7, request_key="key", suffix=suffix)

    assert not spare
    assert (path, path.read_bytes(), store.find("key")) == (store.takes / f"key{suffix}", b"as it came", path)
    assert names_in(store.takes) == [f"key{suffix}"]


@pytest.mark.parametrize("name", ["key.txt", "key", "other.png", ".7.part", "key.png.tmp"])
def test_what_is_no_take_is_not_found(store: TakeStore, name: str) -> None:
    """Parts and foreign files are not taken for takes."""
    write(store.takes / name, b"no take")

    assert store.find("key") is None


def test_a_folder_named_like_a_take_is_none(store: TakeStore) -> None:
    """Only files are takes."""
    (store.takes / "key.png").mkdir()

    assert store.find("key") is None


def test_a_take_that_cannot_be_made_durable_is_a_storage_error(store: TakeStore) -> None:
    """Where the part is gone, so is the take, and it is said."""
    with pytest.raises(StorageError, match=r"key\.png: cannot be written: No such file or directory"):
        store.keep(7, request_key="key", suffix=".png")

    assert store.find("key") is None


def test_a_take_is_never_overwritten(store: TakeStore) -> None:
    """Whoever comes second, after waking up too late, has their image kept as a spare."""
    for attempt_id, body in ((7, b"the first"), (9, b"the second")):
        write(store.part_path(attempt_id), body)

    first, second = (store.keep(attempt_id, request_key="key", suffix=".png") for attempt_id in (7, 9))

    assert (first, second) == ((store.takes / "key.png", False), (store.takes / "spare" / "9.png", True))
    assert (first[0].read_bytes(), second[0].read_bytes()) == (b"the first", b"the second")
    assert names_in(store.takes) == ["key.png", "spare"]


def test_a_take_is_not_overwritten_where_links_do_not_work(store: TakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without them keeps the first of two all the same."""

    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    for attempt_id, body in ((7, b"the first"), (9, b"the second")):
        write(store.part_path(attempt_id), body)

    found = [store.keep(attempt_id, request_key="key", suffix=".png")[0].read_bytes() for attempt_id in (7, 9)]

    assert (found, (store.takes / "key.png").read_bytes()) == ([b"the first", b"the second"], b"the first")


def test_a_useless_body_is_set_aside_for_its_owner(store: TakeStore) -> None:
    """It was paid for: it is moved out of the way, not thrown away."""
    part = write(store.part_path(7), b"<html>")

    path = store.quarantine(7)

    assert path == store.takes / "unusable" / "7.bin"
    assert (path.read_bytes(), part.exists()) == (b"<html>", False)


@pytest.mark.parametrize("body", [b"", None])
def test_an_empty_or_absent_body_is_dropped(store: TakeStore, body: bytes | None) -> None:
    """Nothing is kept of nothing."""
    part = store.part_path(7)
    if body is not None:
        write(part, body)

    assert (store.quarantine(7), names_in(store.takes)) == (None, [])


def test_a_body_that_cannot_be_set_aside_is_a_storage_error(store: TakeStore) -> None:
    """A file in the way of the folder is said, and the body stays where it is."""
    part = write(store.part_path(7), b"<html>")
    write(store.takes / "unusable", b"in the way")

    with pytest.raises(StorageError, match="cannot be written"):
        store.quarantine(7)

    assert part.read_bytes() == b"<html>"


def other_take(tmp_path: Path) -> Take:
    """Return a take of another storyboard."""
    other = TakeStore(tmp_path / "other")
    other.prepare()
    return shown_take(other, frame_spec(), b"bought there")


def test_a_take_of_another_storyboard_is_adopted_as_a_link(store: TakeStore, tmp_path: Path) -> None:
    """It takes no room of its own, and outlives the other folder."""
    take = other_take(tmp_path)

    adopted = store.import_take(take)

    assert adopted == replace(take, path=store.takes / take.path.name)
    assert adopted.path.samefile(take.path)
    shutil.rmtree(take.path.parent)
    assert adopted.path.read_bytes() == b"bought there"


def test_a_take_is_copied_where_links_do_not_work(
    store: TakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another file system a whole copy serves."""
    take = other_take(tmp_path)
    monkeypatch.setattr(os, "link", failing(errno.EXDEV))

    adopted = store.import_take(take)

    assert (adopted.path.read_bytes(), adopted.path.samefile(take.path)) == (b"bought there", False)
    assert names_in(store.takes) == [take.path.name]


def test_adopting_what_is_there_changes_nothing(store: TakeStore, tmp_path: Path) -> None:
    """A take of one's own, or one adopted before, is only pointed to."""
    take = other_take(tmp_path)
    adopted = store.import_take(take)
    inode = adopted.path.stat().st_ino

    assert (store.import_take(take), store.import_take(adopted), adopted.path.stat().st_ino) == (
        adopted,
        adopted,
        inode,
    )


def test_a_damaged_copy_is_replaced_when_adopted_again(store: TakeStore, tmp_path: Path) -> None:
    """A truncated copy in this folder does not hide the sound take of the other."""
    take = other_take(tmp_path)
    write(store.takes / take.path.name, b"boug")

    assert store.import_take(take).path.read_bytes() == b"bought there"


def failing(number: int) -> object:
    """Return a stand-in for a system call that always fails."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


# --- laying frames


def test_frames_are_laid_in_order_with_their_pixels_untouched(store: TakeStore) -> None:
    """A PNG of the right size gets its account and nothing else: every byte of the take is in the frame."""
    specs = [frame_spec(0, prompt="a"), frame_spec(1, prompt="b")]
    takes = [
        shown_take(store, spec, spec_picture(spec, colour=c)) for spec, c in zip(specs, ["red", "navy"], strict=True)
    ]

    paths = store.publish_frames(takes)

    assert paths == [store.frames / "frame_0000.png", store.frames / "frame_0001.png"]
    assert [colour_at(path, (0, 0)) for path in paths] == [(255, 0, 0), (0, 0, 128)]
    data, original = paths[0].read_bytes(), takes[0].path.read_bytes()
    assert (data.startswith(original[:33]), data.endswith(original[33:])) == (True, True)
    assert names_in(store.folder) == ["frames", "takes"]


def test_a_frame_carries_its_account_as_text(store: TakeStore) -> None:
    """Prompt, steps, size, cost and request key can be read by anyone who opens the file."""
    spec = frame_spec(prompt="a harbor at dawn", steps=6, aspect=SMALL)

    [path] = store.publish_frames([shown_take(store, spec, prompt="a harbor, oil painting")])

    assert text_of(path) == {
        "prompt": "a harbor, oil painting",
        "steps": "6",
        "size": "1024x768",
        "fit": "cover",
        "cost_usd": "0.000652",
        "request_key": spec.request_key,
        "Software": "storyreel",
    }


def test_a_cost_that_is_not_known_is_called_unknown(store: TakeStore) -> None:
    """Never zero."""
    take = replace(shown_take(store, frame_spec()), cost_usd=None)

    [path] = store.publish_frames([take])

    assert text_of(path)["cost_usd"] == "unknown"


@pytest.mark.parametrize(
    "prompt", ["ท่าเรือยามรุ่งอรุณ", "港の夜明け 🌅", "é" * 2048, "𝄞" * 2048, "two\nlines", 'quotes " and <b>', "x"]
)
def test_a_prompt_in_any_script_survives(store: TakeStore, prompt: str) -> None:
    """The text is UTF-8, of any length that a prompt may have, and imageio reads the picture beside it."""
    spec = frame_spec(aspect=SMALL)

    [path] = store.publish_frames([shown_take(store, spec, prompt=prompt)])

    pixels = iio.imread(path)
    assert (text_of(path)["prompt"], pixels.shape) == (prompt, (768, 1024, 3))
    assert np.array_equal(np.unique(pixels), [0, 128])


def test_a_long_prompt_s_frame_is_known_again(store: TakeStore) -> None:
    """Even the longest account is read back, so that the frame is linked and not written twice."""
    take = shown_take(store, frame_spec(), prompt="𝄞" * 2048)
    [path] = store.publish_frames([take])
    inode = path.stat().st_ino

    store.publish_frames([take])

    assert path.stat().st_ino == inode


@pytest.mark.parametrize(("kind", "suffix"), [("JPEG", ".jpg"), ("WEBP", ".webp"), ("JPEG", ".png")])
@pytest.mark.parametrize("fit", list(Fit))
def test_a_take_in_another_format_becomes_a_real_png(store: TakeStore, kind: str, suffix: str, fit: Fit) -> None:
    """Whatever it is called, and however it is to be fitted: its size is right. The take stays as it came."""
    spec = frame_spec(aspect=SMALL, fit=fit)
    take = shown_take(store, spec, spec_picture(spec, kind), suffix=suffix)
    before = take.path.read_bytes()

    [path] = store.publish_frames([take])

    with Image.open(path) as image:
        assert (image.format, image.size, image.mode) == ("PNG", (1024, 768), "RGB")
    assert (text_of(path)["Software"], take.path.read_bytes() == before) == ("storyreel", True)


@pytest.mark.parametrize("mode", ["RGBA", "L", "P", "LA"])
def test_a_png_of_another_mode_is_fitted_as_rgb(store: TakeStore, mode: str) -> None:
    """Palette and transparency do not survive a change of size."""
    spec = frame_spec(aspect=SMALL)
    path = store.takes / f"{spec.request_key}.png"
    Image.new(mode, (64, 64)).save(path)

    [frame] = store.publish_frames([Take(spec, path, spec.prompt, None)])

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
def test_a_take_of_the_wrong_size_is_fitted(store: TakeStore, fit: Fit, corner: object, middle: object) -> None:
    """Cropped, on black, or stretched: the frame has the size asked for."""
    spec = frame_spec(aspect=SMALL, fit=fit)

    [path] = store.publish_frames([shown_take(store, spec, picture_bytes("PNG", (512, 512)))])

    with Image.open(path) as image:
        assert image.size == (1024, 768)
    assert (colour_at(path, (0, 0)), colour_at(path, (512, 384))) == (corner, middle)


def test_a_take_of_the_wrong_size_is_refused_where_fit_is_error(store: TakeStore) -> None:
    """The message names the frame, the size and the cure; the old frames stand."""
    good = shown_take(store, frame_spec(0, prompt="good"))
    store.publish_frames([good])
    spec = frame_spec(1, aspect=SMALL, fit=Fit.ERROR)
    bad = shown_take(store, spec, picture_bytes("PNG", (512, 512)))

    with pytest.raises(IncompleteError) as caught:
        store.publish_frames([good, bad])

    assert str(caught.value) == (
        "frame_0001 arrival/wide: its take is not of 1024x768 pixels and fit is error; choose cover, contain or stretch"
    )
    assert names_in(store.frames) == ["frame_0000.png"]


def half_and_half() -> Image.Image:
    """Return a picture twice as wide as high, its left half red, its right half white."""
    picture = Image.new("RGB", (200, 100), "white")
    picture.paste("red", (0, 0, 100, 100))
    return picture


@pytest.mark.parametrize(
    ("fit", "left", "right", "top"),
    [
        (Fit.COVER, (255, 0, 0), (255, 255, 255), (255, 0, 0)),
        (Fit.CONTAIN, (255, 0, 0), (255, 255, 255), (0, 0, 0)),
        (Fit.STRETCH, (255, 0, 0), (255, 255, 255), (255, 0, 0)),
    ],
)
def test_fitting_keeps_the_middle(fit: Fit, left: object, right: object, top: object) -> None:
    """Into a square, both halves stay to be seen around the middle."""
    fitted = fit_picture(half_and_half(), Size(50, 50), fit)

    assert (fitted.size, fitted.getpixel((5, 25)), fitted.getpixel((45, 25)), fitted.getpixel((5, 2))) == (
        (50, 50),
        left,
        right,
        top,
    )


@pytest.mark.parametrize("fit", list(Fit))
def test_a_picture_of_the_right_size_is_not_touched(fit: Fit) -> None:
    """Fitting it is returning it."""
    picture = half_and_half()

    assert fit_picture(picture, Size(200, 100), fit) is picture


def test_laying_anew_leaves_no_old_number(store: TakeStore) -> None:
    """A shorter storyboard has fewer frames, and nothing that someone put there stays."""
    takes = [shown_take(store, frame_spec(n, prompt=str(n), aspect=SMALL)) for n in range(3)]
    store.publish_frames(takes)
    write(store.frames / "notes.txt", b"mine")

    store.publish_frames(takes[:1])

    assert names_in(store.frames) == ["frame_0000.png"]


def test_laying_nothing_leaves_an_empty_folder(store: TakeStore) -> None:
    """No frames are no frames."""
    assert (store.publish_frames([]), names_in(store.frames)) == ([], [])


def renumbered(takes: Sequence[Take]) -> list[Take]:
    """Return the takes in reverse, numbered from 0."""
    return [replace(take, spec=replace(take.spec, number=n)) for n, take in enumerate(reversed(takes))]


def test_laid_frames_are_linked_under_their_new_numbers(store: TakeStore) -> None:
    """Reordering a storyboard writes no picture again: the same files, known by what they hold."""
    takes = [shown_take(store, frame_spec(n, prompt=str(n), aspect=SMALL)) for n in range(3)]
    inodes = [path.stat().st_ino for path in store.publish_frames(takes)]

    again = [path.stat().st_ino for path in store.publish_frames(renumbered(takes))]

    assert again == inodes[::-1]


def test_laid_frames_are_copied_where_links_do_not_work(store: TakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The frames are whole all the same, and nothing temporary is left."""
    takes = [shown_take(store, frame_spec(n, prompt=str(n), aspect=SMALL)) for n in range(2)]
    before = [path.read_bytes() for path in store.publish_frames(takes)]
    monkeypatch.setattr(os, "link", failing(errno.EPERM))

    after = [path.read_bytes() for path in store.publish_frames(takes)]

    assert (after, names_in(store.frames)) == (before, ["frame_0000.png", "frame_0001.png"])


def test_one_take_shown_by_two_frames_is_laid_twice(store: TakeStore) -> None:
    """Two numbers may show the same picture."""
    take = shown_take(store, frame_spec(0, aspect=SMALL))
    both = [take, replace(take, spec=replace(take.spec, number=1))]

    first, second = store.publish_frames(both)
    again = store.publish_frames(both)

    assert (first.read_bytes() == second.read_bytes(), again) == (True, [first, second])


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "another"},
        {"cost_usd": Decimal("0.001")},
        {"cost_usd": None},
    ],
)
def test_a_frame_whose_account_changed_is_laid_again(store: TakeStore, change: dict[str, object]) -> None:
    """The text in the file is never stale."""
    take = shown_take(store, frame_spec(aspect=SMALL))
    [path] = store.publish_frames([take])
    inode = path.stat().st_ino

    store.publish_frames([replace(take, **change)])  # type: ignore[arg-type]

    assert path.stat().st_ino != inode


def test_another_fit_lays_the_frame_again(store: TakeStore) -> None:
    """The same take, fitted otherwise, is another picture."""
    take = shown_take(store, frame_spec(aspect=SMALL), picture_bytes("PNG", (512, 512)))
    store.publish_frames([take])

    [path] = store.publish_frames([replace(take, spec=replace(take.spec, fit=Fit.CONTAIN))])

    assert (colour_at(path, (0, 0)), text_of(path)["fit"]) == ((0, 0, 0), "contain")


def test_a_take_that_was_bought_again_replaces_its_frame(store: TakeStore) -> None:
    """The account is the same, the picture is not: the frame shows the take that is there."""
    spec = frame_spec(aspect=SMALL)
    store.publish_frames([shown_take(store, spec)])
    bought_again = shown_take(store, spec, spec_picture(spec, colour="red"))
    later = bought_again.path.stat().st_mtime_ns + 1_000_000_000
    os.utime(bought_again.path, ns=(later, later))

    [path] = store.publish_frames([bought_again])

    assert colour_at(path, (0, 0)) == (255, 0, 0)


def damaged(data: bytes, how: str) -> bytes:
    """Return a frame's bytes after some misfortune."""
    match how:
        case "empty":
            return b""
        case "head only":
            return data[:40]
        case "cut in the account":
            return data[:120]
        case "cut in the pixels":
            return data[:-20]
        case "cut at the end":
            return data[:-1]
        case "account gone":
            return data[:33] + data[data.index(b"storyreel") + 13 :]
        case _:
            return data.replace(b"a harbor", b"a harbxr", 1)


@pytest.mark.parametrize(
    "how",
    ["empty", "head only", "cut in the account", "cut in the pixels", "cut at the end", "account gone", "edited"],
)
def test_a_damaged_frame_is_laid_again(store: TakeStore, how: str) -> None:
    """What is not whole, or not ours, is written from its take."""
    take = shown_take(store, frame_spec(aspect=SMALL))
    [path] = store.publish_frames([take])
    whole = path.read_bytes()
    path.write_bytes(damaged(whole, how))

    store.publish_frames([take])

    assert path.read_bytes() == whole


def test_what_cannot_be_read_as_a_frame_is_laid_again(store: TakeStore) -> None:
    """A folder in a frame's place, or a link that leads nowhere, gives way."""
    takes = [shown_take(store, frame_spec(n, prompt=str(n), aspect=SMALL)) for n in range(2)]
    (store.frames / "frame_0000.png").mkdir(parents=True)
    (store.frames / "frame_0001.png").symlink_to("nowhere")

    paths = store.publish_frames(takes)

    assert [text_of(path)["prompt"] for path in paths] == ["0", "1"]


def test_a_take_that_lacks_its_last_checksum_becomes_a_sound_frame(store: TakeStore) -> None:
    """All its pixels are there, so it was kept; the frame is a PNG without fault, and known again."""
    spec = frame_spec(aspect=SMALL, fit=Fit.ERROR)
    take = shown_take(store, spec, spec_picture(spec)[:-2])

    [path] = store.publish_frames([take])

    inode = path.stat().st_ino
    assert (path.read_bytes()[-8:], colour_at(path, (0, 0))) == (b"IEND\xaeB`\x82", (0, 128, 128))
    assert store.publish_frames([take])[0].stat().st_ino == inode


def test_a_crash_in_mid_lay_leaves_the_old_frames(store: TakeStore) -> None:
    """A take that is gone stops the laying; the folder is as it was, and the next laying sweeps up."""
    takes = [shown_take(store, frame_spec(n, prompt=str(n), aspect=SMALL)) for n in range(2)]
    store.publish_frames(takes[:1])
    before = (store.frames / "frame_0000.png").read_bytes()
    takes[1].path.unlink()

    with pytest.raises(StorageError, match="frames: cannot be written: No such file or directory; free space"):
        store.publish_frames(takes)

    assert (names_in(store.frames), (store.frames / "frame_0000.png").read_bytes()) == (["frame_0000.png"], before)
    store.publish_frames(takes[:1])
    assert names_in(store.folder) == ["frames", "takes"]


def test_a_full_disk_in_mid_lay_leaves_the_old_frames(store: TakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the disk is told with its cure."""
    take = shown_take(store, frame_spec(aspect=SMALL))
    store.publish_frames([take])
    other = shown_take(store, frame_spec(prompt="other", aspect=SMALL))
    monkeypatch.setattr(Path, "open", failing(errno.ENOSPC))

    with pytest.raises(StorageError, match="cannot be written: No space left on device; free space"):
        store.publish_frames([other])

    monkeypatch.undo()
    assert text_of(store.frames / "frame_0000.png")["prompt"] == "a harbor at dawn"


@pytest.mark.parametrize("laid_before", [True, False])
def test_a_swap_that_fails_puts_the_old_frames_back(
    store: TakeStore, monkeypatch: pytest.MonkeyPatch, laid_before: bool
) -> None:
    """The old folder gives way only to a whole new one, in its place."""
    take = shown_take(store, frame_spec(aspect=SMALL))
    if laid_before:
        store.publish_frames([take])
    rename = Path.rename
    failed: list[Path] = []

    def fail_once(self: Path, target: Path) -> Path:
        if target == store.frames and not failed:
            failed.append(self)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_once)
    with pytest.raises(StorageError, match="Input/output error"):
        store.publish_frames([take])

    assert (store.frames.exists(), len(failed)) == (laid_before, 1)
    assert not laid_before or names_in(store.frames) == ["frame_0000.png"]


def test_what_a_killed_run_left_is_swept(store: TakeStore) -> None:
    """Half-laid folders do not pile up."""
    write(store.folder / ".frames-dead" / "frame_0000.png", b"half")

    store.publish_frames([])

    assert names_in(store.folder) == ["frames", "takes"]


def test_a_frame_beyond_four_digits_keeps_its_number(store: TakeStore) -> None:
    """Past 9,999 names grow longer, and are known again."""
    take = shown_take(store, frame_spec(12345, aspect=SMALL))
    [path] = store.publish_frames([take])
    inode = path.stat().st_ino

    store.publish_frames([take])

    assert (path.name, path.stat().st_ino) == ("frame_12345.png", inode)
