"""A take is one picture to everything that shows it: the frame in any viewer, the film, the thumbnail."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngImageFile, PngInfo

from pipelines.common.geometry import AspectRatio, Fit
from pipelines.common.imaging import read_picture
from pipelines.film.painting import read_frame
from pipelines.report.thumbnails import Thumbnails
from pipelines.takes.frame_folder import FrameFolder
from tests.support.builders import take_spec
from tests.support.pictures import png_chunk
from tests.support.takes import prepared_store, stored_take

AS_ASKED, SMALLER = (1024, 768), (512, 384)
Pixels = npt.NDArray[np.float64]


def ramp(mode: str, size: tuple[int, int]) -> Image.Image:
    """Return a picture that gets lighter to the right: the left half of a grey, the right half of another."""
    width, height = size
    dark, light = np.full((height, width // 2), 64), np.full((height, width - width // 2), 192)
    grey = np.hstack([dark, light])
    if mode == "I;16":
        return Image.fromarray((grey * 257).astype(np.uint16))
    return Image.fromarray(grey.astype(np.uint8)).convert("RGBA" if mode in ("LA", "RGBA") else mode).convert(mode)


def see_through(picture: Image.Image) -> Image.Image:
    """Return a picture whose upper half is transparent."""
    alpha = Image.new("L", picture.size)
    alpha.paste(255, (0, picture.height // 2, picture.width, picture.height))
    picture.putalpha(alpha)
    return picture


def turned() -> Image.Exif:
    """Return EXIF data that ask a viewer to turn the picture upside down."""
    exif = Image.Exif()
    exif[0x0112] = 3
    return exif


def profiled() -> dict[str, Any]:
    """Return what makes a viewer darken a PNG."""
    info = PngInfo()
    info.add(b"gAMA", (20_000).to_bytes(4, "big"))
    return {"pnginfo": info, "icc_profile": b"not a profile"}


def saved(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Return a picture's file."""
    data = io.BytesIO()
    picture.save(data, kind, **options)
    return data.getvalue()


def takes_of(size: tuple[int, int]) -> dict[str, bytes]:
    """Return a take of every kind, in that size."""
    rgb = ramp("RGB", size)
    return {
        "RGB": saved(rgb),
        "grey": saved(ramp("L", size)),
        "palette": saved(ramp("P", size)),
        "1 bit": saved(ramp("L", size).point(lambda grey: 255 if grey > 100 else 0).convert("1")),
        "16-bit grey": saved(ramp("I;16", size)),
        "alpha": saved(see_through(ramp("RGB", size))),
        "grey and alpha": saved(see_through(ramp("L", size))),
        "tRNS": saved(rgb, transparency=(64, 64, 64)),
        "grey with tRNS": saved(ramp("L", size), transparency=192),
        "palette with tRNS": saved(ramp("P", size), transparency=bytes(256)),
        "profile and gamma": saved(rgb, **profiled()),
        "upside down": saved(rgb, exif=turned()),
        "JPEG": saved(rgb, "JPEG", quality=95),
        "JPEG upside down": saved(rgb, "JPEG", quality=95, exif=turned()),
        "progressive JPEG": saved(rgb, "JPEG", quality=95, progressive=True),
        "CMYK JPEG": saved(ramp("CMYK", size), "JPEG", quality=95),
        "grey JPEG": saved(ramp("L", size), "JPEG", quality=95),
        "WebP": saved(rgb, "WEBP", quality=95),
        "WebP with alpha upside down": saved(
            see_through(ramp("RGB", size)), "WEBP", lossless=True, exact=True, exif=turned()
        ),
    }


def in_a_viewer(path: Path) -> Pixels:
    """Return a PNG's pixels as a viewer shows them: turned as it asks, on white where it is see-through."""
    with PngImageFile(path) as png:
        png.load()
        assert {"gamma", "icc_profile", "srgb", "transparency", "exif"}.isdisjoint(png.info)
        shown = ImageOps.exif_transpose(png).convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown).convert("RGB"), float)


@pytest.mark.parametrize("size", [AS_ASKED, SMALLER])
@pytest.mark.parametrize("kind", takes_of(SMALLER))
def test_frame_film_and_thumbnail_show_the_same(tmp_path: Path, kind: str, size: tuple[int, int]) -> None:
    """Dark at the left and light at the right, top and bottom alike, whatever a viewer makes of the take itself."""
    store = prepared_store(tmp_path / "harbor")
    frames, thumbnails = FrameFolder(store.folder), Thumbnails(store.folder / "thumbnails")
    spec = take_spec(aspect=AspectRatio.CLASSIC_LANDSCAPE, fit=Fit.STRETCH)
    take = stored_take(store, spec, takes_of(size)[kind])

    [frame] = frames.publish([take])
    thumbnail = thumbnails.make_one(take.path)

    shown = in_a_viewer(frame)
    in_film = np.asarray(read_frame(frames.picture(take).path), float)
    assert np.array_equal(shown, in_film)
    left, right = (0, 255) if kind == "1 bit" else (64, 192)
    assert thumbnail is not None
    for pixels in (shown, np.asarray(read_picture(thumbnail), float)):
        height, width, _ = pixels.shape
        for row in (height // 4, 3 * height // 4):
            assert np.abs(pixels[row, width // 4] - left).max() <= 3
            assert np.abs(pixels[row, 3 * width // 4] - right).max() <= 3


def test_a_frame_of_an_older_version_is_written_again(tmp_path: Path) -> None:
    """It has our texts, and an orientation that the film does not follow: once, it gives way."""
    store = prepared_store(tmp_path / "harbor")
    folder = FrameFolder(store.folder)
    spec = take_spec(aspect=AspectRatio.CLASSIC_LANDSCAPE)
    take = stored_take(store, spec, takes_of(AS_ASKED)["upside down"])
    [frame] = folder.publish([take])
    older = frame.read_bytes().replace(png_chunk(b"iTXt", b"picture\0\0\0\0\0as the film shows it"), b"")
    frame.write_bytes(older)

    [again] = folder.publish([take])
    inode = again.stat().st_ino

    assert again.read_bytes() != older
    assert folder.publish([take])[0].stat().st_ino == inode
