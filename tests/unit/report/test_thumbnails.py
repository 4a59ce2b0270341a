"""Thumbnails: small pictures of takes, made once and kept, from every kind of file."""

import errno
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.common.errors import StorageError
from pipelines.common.geometry import Size
from pipelines.film.painting import read_frame
from pipelines.report.thumbnails import Thumbnails
from tests.support.film_samples import noisy_gradient
from tests.support.full_disk import files_of_at_most
from tests.support.pictures import picture_bytes, write

# A JPEG's flat colour is a level or two off.
NEAR = 3


@pytest.fixture
def thumbnails(tmp_path: Path) -> Thumbnails:
    """Return the thumbnails of a storyboard that has none yet."""
    return Thumbnails(tmp_path / "thumbnails")


def take_in(folder: Path, name: str, data: bytes) -> Path:
    """Write a take."""
    return write(folder / "takes" / name, data)


def made_of(thumbnails: Thumbnails, take: Path) -> Image.Image:
    """Make a take's thumbnail and read it."""
    path = thumbnails.make([take])[take]
    assert path is not None
    with Image.open(path) as picture:
        picture.load()
    return picture


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    """Return a picture as a file of a format that Pillow names."""
    data = io.BytesIO()
    picture.save(data, kind, **options)
    return data.getvalue()


def colour(picture: Image.Image, place: tuple[int, int]) -> tuple[int, ...]:
    """Return the colour of one pixel."""
    found = picture.getpixel(place)
    assert isinstance(found, tuple)
    return found


def test_a_thumbnail_is_named_after_its_take(tmp_path: Path, thumbnails: Thumbnails) -> None:
    """The request key is its name; nothing but the thumbnails is left in their folder."""
    takes = [take_in(tmp_path, "0a1b.png", picture_bytes()), take_in(tmp_path, "2c3d.jpg", picture_bytes("JPEG"))]

    made = thumbnails.make(takes)

    folder = tmp_path / "thumbnails"
    assert made == {takes[0]: folder / "0a1b.jpg", takes[1]: folder / "2c3d.jpg"}
    assert sorted(folder.iterdir()) == [folder / "0a1b.jpg", folder / "2c3d.jpg"]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize(
    ("size", "small"),
    [
        ((1344, 768), (320, 183)),
        ((768, 1344), (183, 320)),
        ((1024, 1024), (320, 320)),
        ((641, 479), (320, 239)),
        ((1344, 1), (320, 1)),
        ((320, 200), (320, 200)),
        ((12, 9), (12, 9)),
    ],
)
def test_the_longest_side_is_320(
    tmp_path: Path, thumbnails: Thumbnails, kind: str, size: tuple[int, int], small: tuple[int, int]
) -> None:
    """Whatever the format: decoding a JPEG at a fraction of its size changes nothing. Small takes stay as they are."""
    thumbnail = made_of(thumbnails, take_in(tmp_path, "take.bin", picture_bytes(kind, size, (200, 60, 30), flat=True)))

    assert (thumbnail.size, thumbnail.mode) == (small, "RGB")
    assert colour(thumbnail, (small[0] // 2, small[1] // 2)) == pytest.approx((200, 60, 30), abs=NEAR)


def test_a_jpeg_read_at_a_fraction_looks_like_one_read_whole(tmp_path: Path, thumbnails: Thumbnails) -> None:
    """No edge moves, nothing is lost that the eye would see."""
    picture = noisy_gradient(Size(1344, 768))
    whole = picture.resize((320, 183), Image.Resampling.LANCZOS)

    thumbnail = made_of(thumbnails, take_in(tmp_path, "take.jpg", encoded(picture, "JPEG", quality=95)))

    difference = np.abs(np.asarray(thumbnail, float) - np.asarray(whole, float))
    assert difference.mean() < 1.5


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1", "I;16"])
def test_a_take_is_shrunk_as_the_film_reads_it(tmp_path: Path, thumbnails: Thumbnails, mode: str) -> None:
    """Transparency, palettes and grays of 16 bits come out as on screen."""
    if mode == "I;16":
        picture = Image.fromarray(np.linspace(0, 65535, 640 * 360).reshape(360, 640).astype(np.uint16))
    else:
        picture = noisy_gradient(Size(640, 360)).convert(mode)
    if mode in {"RGBA", "LA"}:
        picture.putalpha(Image.linear_gradient("L").resize((640, 360)))
    transparency = {"transparency": 7} if mode == "P" else {}
    take = take_in(tmp_path, "take.png", encoded(picture, "PNG", **transparency))

    thumbnail = made_of(thumbnails, take)

    # Compared by patches: what is dithered is rough.
    patches = (16, 9)
    on_screen = np.asarray(read_frame(take).resize(patches, Image.Resampling.BOX), float)
    assert np.abs(np.asarray(thumbnail.resize(patches, Image.Resampling.BOX), float) - on_screen).max() < 8


def test_metadata_of_a_take_is_left_behind(tmp_path: Path, thumbnails: Thumbnails) -> None:
    """A picture is not turned as its EXIF says, since the film does not turn it either; comments are dropped."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.new("RGB", (640, 320)), "JPEG", exif=exif, comment=b"secret", icc_profile=b"profile")

    thumbnail = made_of(thumbnails, take_in(tmp_path, "take.jpg", data))

    assert thumbnail.size == (320, 160)
    assert set(thumbnail.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_thumbnails_are_made_once(tmp_path: Path, thumbnails: Thumbnails) -> None:
    """The second time no take is opened: one that became rubbish with the same time still has its thumbnail."""
    take = take_in(tmp_path, "take.png", picture_bytes())
    first = thumbnails.make([take])
    stamp = take.stat().st_mtime_ns
    take.write_bytes(b"rubbish")
    os.utime(take, ns=(stamp, stamp))

    assert thumbnails.make([take]) == first == {take: thumbnails.path(take)}


@pytest.mark.parametrize("later_s", [60, -60], ids=["newer", "older"])
def test_the_thumbnail_of_a_replaced_take_is_made_again(tmp_path: Path, thumbnails: Thumbnails, later_s: int) -> None:
    """Even where the file in its place is an older one."""
    take = take_in(tmp_path, "take.png", picture_bytes(colour=(250, 0, 0)))
    thumbnails.make([take])
    stamp = take.stat().st_mtime_ns + later_s * 10**9
    take.write_bytes(picture_bytes(colour=(0, 0, 250)))
    os.utime(take, ns=(stamp, stamp))

    assert colour(made_of(thumbnails, take), (4, 4)) == pytest.approx((0, 0, 250), abs=NEAR)


@pytest.mark.parametrize("left", [0, 1, 200])
def test_a_thumbnail_that_lost_its_end_is_made_again(tmp_path: Path, thumbnails: Thumbnails, left: int) -> None:
    """They are not fsynced: after a power cut a file may lack its bytes."""
    take = take_in(tmp_path, "take.png", picture_bytes())
    path, stamp = thumbnails.path(take), take.stat().st_mtime_ns
    thumbnails.make([take])
    whole = path.read_bytes()
    path.write_bytes(whole[:left])
    os.utime(path, ns=(stamp, stamp))

    thumbnails.make([take])

    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        picture_bytes("PNG", (640, 640))[:400],
        picture_bytes("JPEG", (640, 640))[:400],
        picture_bytes("GIF"),
    ],
    ids=["empty", "page", "cut PNG", "cut JPEG", "GIF"],
)
def test_a_take_that_is_no_picture_has_no_thumbnail(tmp_path: Path, thumbnails: Thumbnails, data: bytes) -> None:
    """None stands for it; the others have theirs."""
    broken, sound = take_in(tmp_path, "broken.png", data), take_in(tmp_path, "sound.png", picture_bytes())

    made = thumbnails.make([broken, sound])

    assert made == {broken: None, sound: thumbnails.path(sound)}
    assert list((tmp_path / "thumbnails").iterdir()) == [thumbnails.path(sound)]


def test_a_take_that_is_gone_has_no_thumbnail(tmp_path: Path, thumbnails: Thumbnails) -> None:
    """Nor does a folder in its place."""
    (tmp_path / "folder.png").mkdir()
    takes = [tmp_path / "gone.png", tmp_path / "folder.png"]

    assert thumbnails.make(takes) == dict.fromkeys(takes)


def test_no_takes_need_no_folder(tmp_path: Path, thumbnails: Thumbnails) -> None:
    """Nothing is written for nothing."""
    assert thumbnails.make([]) == {}
    assert list(tmp_path.iterdir()) == []


def test_pruning_leaves_the_thumbnails_of_the_takes_named(tmp_path: Path, thumbnails: Thumbnails) -> None:
    """Those of takes that are gone go, and what a killed run left half written."""
    takes = [take_in(tmp_path, f"{number}.png", picture_bytes()) for number in range(3)]
    thumbnails.make(takes)
    write(tmp_path / "thumbnails" / ".0123456789abcdef.jpg", b"half")

    thumbnails.prune(takes[:2])

    assert sorted((tmp_path / "thumbnails").iterdir()) == [thumbnails.path(take) for take in takes[:2]]


def test_pruning_a_folder_that_is_not_there_does_nothing(thumbnails: Thumbnails) -> None:
    """It is made with the first thumbnail."""
    thumbnails.prune([])


def test_a_full_disk_leaves_no_half_thumbnail(tmp_path: Path, thumbnails: Thumbnails) -> None:
    """The error names the file and the cure; it is made as soon as there is space."""
    take = take_in(tmp_path, "take.png", encoded(noisy_gradient(Size(640, 360)), "PNG"))

    with files_of_at_most(512), pytest.raises(StorageError) as caught:
        thumbnails.make([take])

    path = thumbnails.path(take)
    reason = os.strerror(errno.EFBIG)
    assert str(caught.value) == f"{path}: cannot be written: {reason}; free space or choose another --output"
    assert list(path.parent.iterdir()) == []
    assert thumbnails.make([take]) == {take: path}


@pytest.mark.parametrize("call", ["replace", "utime"])
def test_a_failing_system_call_leaves_the_old_thumbnail(
    tmp_path: Path, thumbnails: Thumbnails, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Whichever step fails, the old file is still whole."""
    take = take_in(tmp_path, "take.png", picture_bytes())
    path = thumbnails.path(take)
    thumbnails.make([take])
    old = path.read_bytes()
    os.utime(take, ns=(0, 0))

    def fail(*_args: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(StorageError, match="No space left on device"):
            thumbnails.make([take])

    assert path.read_bytes() == old
    assert list(path.parent.iterdir()) == [path]
