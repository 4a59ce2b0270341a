"""The check that a body is a whole, usable picture. Its format is read from its bytes, never from its label."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from PIL import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from pipelines.common.geometry import Size
from pipelines.common.imaging import DECODE_ERRORS

# 32 megapixels, 128 MiB once decoded: far above any frame, and no danger to memory.
MAX_PIXELS = 32 << 20
# Photographs take a byte or two a pixel as PNG, sketches half a byte. With more pixels a byte than this, a PNG is
# decoded to see whether any are missing.
_MOST_PIXELS_A_BYTE = 20


class PictureFormat(StrEnum):
    """A format that the API is known to send, whatever its label; the value is the suffix of such files."""

    PNG = "png"
    JPEG = "jpg"
    WEBP = "webp"


@dataclass(frozen=True, slots=True)
class Picture:
    """The format and the size, in pixels, of a body that is a whole picture."""

    format: PictureFormat
    size: Size


class UnusablePictureError(ValueError):
    """The body is no usable picture; the message says why."""


_OPENERS: dict[PictureFormat, Callable[[Path], ImageFile.ImageFile]] = {
    PictureFormat.PNG: PngImageFile,
    PictureFormat.JPEG: JpegImageFile,
    PictureFormat.WEBP: WebPImageFile,
}


def inspect_picture(path: Path) -> Picture:
    """Return the format and the size of the picture in a file, once it is known to be whole.

    Raises:
        UnusablePictureError: it is empty, not PNG, JPEG or WebP, damaged, cut short, or beyond 32 megapixels.
    """
    picture_format = _sniff(path)
    try:
        size = _measure_whole(path, picture_format)
    except UnusablePictureError:
        raise
    except DECODE_ERRORS as exc:
        raise UnusablePictureError(f"a damaged {picture_format.name}: {exc}") from exc
    return Picture(picture_format, size)


def _sniff(path: Path) -> PictureFormat:
    """Return the format to which the file's first bytes belong."""
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PictureFormat.PNG
    if head.startswith(b"\xff\xd8\xff"):
        return PictureFormat.JPEG
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return PictureFormat.WEBP
    if not head:
        raise UnusablePictureError("an empty body")
    if head.lstrip()[:1] == b"<":
        raise UnusablePictureError("a web page, not an image")
    raise UnusablePictureError(f"not an image: it starts with {head[:16]!r}")


def _measure_whole(path: Path, picture_format: PictureFormat) -> Size:
    """Return the picture's size; raise one of DECODE_ERRORS where it is not whole."""
    # Opened by class, not through Image.open, whose guard against bombs only warns up to 179 megapixels.
    opener = _OPENERS[picture_format]
    with opener(path) as image:
        size = Size(*image.size)
        pixels = size.width * size.height
        if pixels > MAX_PIXELS:
            raise UnusablePictureError(f"{size} pixels, more than the {MAX_PIXELS >> 20} megapixels that are decoded")
        whole = picture_format is PictureFormat.PNG and _is_whole_by_checksums(image, path, pixels)
    if not whole:
        # Opened again: Pillow cannot load a picture that it has verified.
        with opener(path) as image:
            image.load()
    return size


def _is_whole_by_checksums(png: ImageFile.ImageFile, path: Path, pixels: int) -> bool:
    """Return whether a PNG's checksums, once they are found right, are proof enough.

    They cover every byte from its first chunk to IEND, so it is known to be as it was made in a sixtieth of the time
    that decoding takes. But a maker may have left pixels out: one of hardly any bytes must be decoded to know.
    """
    png.verify()
    return path.stat().st_size * _MOST_PIXELS_A_BYTE >= pixels
