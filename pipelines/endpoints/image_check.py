"""Is this body a whole, usable picture? Sniffed by its bytes, never by its label."""

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

MAX_PIXELS = 32 << 20
# Photographs take a byte or two a pixel as PNG, sketches half a byte; with less than 1/20 something may be missing.
_LEAST_SHARE = 20


class PictureFormat(StrEnum):
    """The formats that the API is known to send, whatever its label says."""

    PNG = "png"
    JPEG = "jpg"
    WEBP = "webp"


@dataclass(frozen=True, slots=True)
class Picture:
    """A body that was found to be a whole picture."""

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
    """Check that the file is a whole picture, and measure it.

    Raises:
        UnusablePictureError: it is empty, not PNG, JPEG or WebP, damaged, cut short, or beyond 32 megapixels.
    """
    picture_format = _sniff(path)
    try:
        size = _decode(path, picture_format)
    except UnusablePictureError:
        raise
    except DECODE_ERRORS as exc:
        raise UnusablePictureError(f"a damaged {picture_format.name}: {exc}") from exc
    return Picture(picture_format, size)


def _sniff(path: Path) -> PictureFormat:
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


def _decode(path: Path, picture_format: PictureFormat) -> Size:
    # Opened by class, not through Image.open, whose guard against bombs only warns up to 179 megapixels.
    opener = _OPENERS[picture_format]
    decode = picture_format is not PictureFormat.PNG
    with opener(path) as image:
        size = Size(*image.size)
        if size.width * size.height > MAX_PIXELS:
            raise UnusablePictureError(f"{size} pixels, more than the {MAX_PIXELS >> 20} megapixels that are decoded")
        if picture_format is PictureFormat.PNG:
            # A PNG has checksums over every byte, from its first chunk to IEND: it is known to be whole, and as it was
            # made, in a sixtieth of the time that decoding takes. The other formats must be decoded to know, and so
            # must a PNG of hardly any bytes, which no camera and no model makes.
            image.verify()
            decode = path.stat().st_size * _LEAST_SHARE < size.width * size.height
    if decode:
        with opener(path) as image:
            image.load()
    return size
