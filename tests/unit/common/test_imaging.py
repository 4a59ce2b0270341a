"""Every kind of picture is read as the same, or refused, and fitted into a frame of another size."""

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from pipelines.common.geometry import Fit, Size
from pipelines.common.imaging import fit_picture, open_picture, read_picture, require_whole
from pipelines.common.picture_file import UnreadablePictureError
from tests.support.pictures import PNG_MAGIC, png_chunk, write


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


def png(depth: int, colour: int, rows: bytes, *, size: tuple[int, int] = (8, 4), interlace: int = 0) -> bytes:
    """Return a PNG of any kind around rows, each with its filter before it."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, interlace))
    palette = png_chunk(b"PLTE", bytes([0, 0, 0, 255, 255, 255])) if colour == 3 else b""
    return PNG_MAGIC + header + palette + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("depth", "colour", "dark", "light"),
    [
        (1, 0, b"\x0f", b""),
        (2, 0, b"\0", b"\xff"),
        (4, 0, b"\0\0", b"\xff\xff"),
        (8, 0, b"\0" * 4, b"\xff" * 4),
        (16, 0, b"\0" * 8, b"\xff" * 8),
        (8, 2, b"\0" * 12, b"\xff" * 12),
        (16, 2, b"\0" * 24, b"\xff" * 24),
        (1, 3, b"\x0f", b""),
        (2, 3, b"\0", b"\x55"),
        (4, 3, b"\0\0", b"\x11\x11"),
        (8, 3, b"\0" * 4, b"\1" * 4),
        (8, 4, b"\0\x80" * 4, b"\xff\0" * 4),
        (16, 4, b"\0\0\0\0" * 4, b"\xff\xff\0\0" * 4),
        (8, 6, b"\0\0\0\0" * 4, b"\xff\xff\xff\0" * 4),
        (16, 6, b"\0" * 32, (b"\xff" * 6 + b"\0\0") * 4),
    ],
)
def test_every_kind_of_png_reads_as_eight_bits_of_rgb(
    tmp_path: Path, depth: int, colour: int, dark: bytes, light: bytes
) -> None:
    """Black at the left and white at the right, however deep, and however transparent."""
    path = write(tmp_path / "picture", png(depth, colour, (b"\0" + dark + light) * 4))

    picture = read_picture(path)

    assert (picture.mode, picture.getpixel((0, 3)), picture.getpixel((7, 3))) == ("RGB", (0, 0, 0), (255, 255, 255))


def test_greys_of_16_bits_are_scaled(tmp_path: Path) -> None:
    """The middle of 65,535 is the middle of 255."""
    path = write(tmp_path / "picture", png(16, 0, (b"\0" + struct.pack(">8H", *[32_896] * 8)) * 4))

    assert read_picture(path).getpixel((0, 0)) == (128, 128, 128)


def test_an_interlaced_png_is_read_to_its_last_pass(tmp_path: Path) -> None:
    """Eight by eight pixels are seven passes; without the last one it is no picture."""
    passes = [(1, 1), (1, 1), (2, 1), (2, 2), (4, 2), (4, 4), (8, 4)]
    rows = [(b"\0" + b"\xc8" * width) * height for width, height in passes]
    whole = write(tmp_path / "whole", png(8, 0, b"".join(rows), size=(8, 8), interlace=1))
    cut = write(tmp_path / "cut", png(8, 0, b"".join(rows[:-1]), size=(8, 8), interlace=1))

    assert require_whole(open_picture(whole)) == "#c8c8c8"
    with pytest.raises(UnreadablePictureError, match="a damaged PNG"):
        require_whole(open_picture(cut))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_that_was_cut_and_closed_again_is_no_picture(
    tmp_path: Path, mode: str, options: dict[str, object]
) -> None:
    """A decoder would fill up what is missing with grey."""
    data = io.BytesIO()
    Image.effect_noise((320, 200), 60).convert("RGB").convert(mode).save(data, "JPEG", **options)
    whole = write(tmp_path / "whole", data.getvalue())
    cut = write(tmp_path / "cut", data.getvalue()[: len(data.getvalue()) * 2 // 3] + b"\xff\xd9")

    assert read_picture(whole).size == (320, 200)
    with pytest.raises(UnreadablePictureError, match="a damaged JPEG"):
        read_picture(cut)


def test_a_file_that_is_gone_is_not_called_unreadable(tmp_path: Path) -> None:
    """Nothing is known of what it held."""
    with pytest.raises(FileNotFoundError):
        read_picture(tmp_path / "gone.png")
