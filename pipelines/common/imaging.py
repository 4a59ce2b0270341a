"""Pictures from elsewhere: the one way to read them, and fitting one picture into a size.

A picture is its pixels as eight bits of red, green and blue. Greys of 16 bits are scaled; transparency, orientation,
colour profiles and gamma are left out, though a viewer may follow them. Before a decoder runs, the file is taken apart
here, and bounded: by its pixels, its shape, its scans; of an animation nothing is decoded.
"""

import io
import struct
import zlib
from pathlib import Path
from typing import assert_never

from PIL import Image, ImageOps, ImageSequence
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from pipelines.common.geometry import Fit, Size
from pipelines.common.jpeg import JPEG_START, open_jpeg, require_scans
from pipelines.common.picture_file import PictureFile, PictureFormat, UnreadablePictureError
from pipelines.common.png import PNG_SIGNATURE, open_png, require_rows
from pipelines.common.printable import one_line
from pipelines.common.webp import is_webp, open_webp

# 32 megapixels, 128 MiB once decoded: far above any frame, and no danger to memory.
MAX_PIXELS = 32 << 20
# Of the pixels that were asked for: no endpoint is that far off.
_MAX_TIMES_ASKED = 4
# The longer side of a picture, in shorter ones; a thinner one cannot be fitted whole into a frame.
_MAX_SHAPE = 64
# By so much may the values of a channel differ in a flat picture: JPEG and its like seldom keep one to the digit.
_FLAT_SPREAD = 4
_BLACK = (0, 0, 0)
# Of what stands in an image's place: enough to see what it is.
_QUOTED_BYTES = 80
# The control characters, but for tab, line feed, form feed and carriage return.
_NEVER_IN_TEXT = frozenset(range(32)) - frozenset(b"\t\n\f\r")

# Left, top, right and bottom, in pixels; fractions count.
Box = tuple[float, float, float, float]

# Pillow documents no common base class; each of these was seen.
_DECODE_ERRORS = (
    OSError, SyntaxError, ValueError, EOFError, OverflowError, IndexError, KeyError, struct.error, zlib.error,
    Image.DecompressionBombError,
)  # fmt: skip


def open_picture(path: Path, *, asked: Size | None = None) -> PictureFile:
    """Take the picture out of a file, without decoding it.

    Args:
        path: the file; its name decides nothing.
        asked: the size in pixels that was asked for; one of far more is refused. None for 32 megapixels.

    Raises:
        UnreadablePictureError: it is no PNG, JPEG or WebP, damaged, an animation, or beyond a bound.
        OSError: the file could not be read; what it holds is not known.
    """
    picture = _take_apart(path.read_bytes())
    _require_bounds(picture, asked)
    return picture


def read_picture(path: Path) -> Image.Image:
    """Read a picture to its last row, as RGB.

    Raises:
        UnreadablePictureError: it is no picture that can be read to its end; see `open_picture`.
        OSError: the file could not be read.
    """
    return decode(open_picture(path))


def decode(picture: PictureFile) -> Image.Image:
    """Decode a picture to its last row, as RGB.

    Raises:
        UnreadablePictureError: it is damaged, or rows are missing.
    """
    try:
        if picture.format is PictureFormat.PNG:
            return _decode_png(picture)
        if picture.format is PictureFormat.JPEG:
            require_scans(picture.data)
        # Here and not above: with numpy it takes longer to import than all else here, and few pictures need it.
        import imageio.v3 as imageio

        # Takes that are no PNG are encoded again as frames; beside that the detour over an array costs little.
        pixels = imageio.imread(picture.data, plugin="pillow", extension=f".{picture.format}", index=0, mode="RGB")
        return Image.fromarray(pixels)
    except UnreadablePictureError:
        raise
    except _DECODE_ERRORS as exc:
        raise _damaged(picture, exc) from exc


def decode_reduced(picture: PictureFile, size: Size) -> tuple[Image.Image, Box]:
    """Decode a picture as RGB; a JPEG, which is fast, at a fraction of its size, though at no less than `size`.

    Returns:
        The picture, and the box of its pixels that is the whole of it: fractions are rounded up to whole pixels.

    Raises:
        UnreadablePictureError: it is damaged, or rows are missing.
    """
    if picture.format is not PictureFormat.JPEG:
        return decode(picture), (0, 0, picture.size.width, picture.size.height)
    try:
        with JpegImageFile(io.BytesIO(picture.data)) as jpeg:
            _, box = jpeg.draft(None, (size.width, size.height)) or (None, (0, 0, *jpeg.size))
            return jpeg.convert("RGB"), box
    except _DECODE_ERRORS as exc:
        raise _damaged(picture, exc) from exc


def require_whole(picture: PictureFile) -> str | None:
    """Require that a picture is whole to its last row, in less time than decoding takes where that can be.

    Returns:
        Its colour, as `#rrggbb`, where the whole of it is one.

    Raises:
        UnreadablePictureError: it is damaged, or rows are missing.
    """
    match picture.format:
        case PictureFormat.PNG:
            to_decode = require_rows(picture.data)
        case PictureFormat.JPEG:
            to_decode = require_scans(picture.data)
        case PictureFormat.WEBP:
            # Only a decoder can tell.
            to_decode = True
        case _:
            assert_never(picture.format)
    return _flat_colour(decode(picture)) if to_decode else None


def measure_animation(path: Path) -> tuple[Size, int]:
    """Decode every picture of an animation of our own; return their size and for how many milliseconds they show.

    Raises:
        UnreadablePictureError: it is no animation, or damaged.
    """
    try:
        with Image.open(path) as animation:
            size, shown_ms = Size(*animation.size), 0
            for picture in ImageSequence.Iterator(animation):
                picture.load()
                shown_ms += int(picture.info.get("duration", 0))
    except _DECODE_ERRORS as exc:
        raise UnreadablePictureError(str(exc)) from exc
    return size, shown_ms


def fit_picture(picture: Image.Image, size: Size, fit: Fit) -> Image.Image:
    """Return an RGB picture of `size` pixels: cropped (cover), whole on black (contain), or stretched.

    `Fit.ERROR` is treated as cover; it is for the caller to refuse other sizes.
    """
    target = (size.width, size.height)
    # As it is: resampling to its own size would still change its pixels a little.
    if picture.size == target:
        return picture
    match fit:
        case Fit.CONTAIN:
            return ImageOps.pad(picture, target, Image.Resampling.LANCZOS, color=_BLACK)
        case Fit.STRETCH:
            return picture.resize(target, Image.Resampling.LANCZOS)
        case _:
            return ImageOps.fit(picture, target, Image.Resampling.LANCZOS)


def _take_apart(data: bytes) -> PictureFile:
    """Take the picture out of a file's bytes by the format that they begin with."""
    if data.startswith(PNG_SIGNATURE):
        return open_png(data)
    if data.startswith(JPEG_START):
        return open_jpeg(data)
    if is_webp(data):
        return open_webp(data)
    if not data:
        raise UnreadablePictureError("an empty file")
    text = _beginning_of_text(data)
    if text.startswith("<"):
        raise UnreadablePictureError("a web page, not an image")
    if text.startswith(("{", "[")):
        raise UnreadablePictureError(f"JSON, not an image: {one_line(text)}")
    raise UnreadablePictureError(f"not an image: it starts with {data[:16]!r}")


def _beginning_of_text(data: bytes) -> str:
    """Return how a text begins, without leading space, whatever its encoding; empty if the bytes are no text."""
    beginning = data[:_QUOTED_BYTES]
    return "" if _NEVER_IN_TEXT.intersection(beginning) else beginning.decode(errors="replace").lstrip()


def _require_bounds(picture: PictureFile, asked: Size | None) -> None:
    size = picture.size
    pixels = size.width * size.height
    shorter, longer = sorted((size.width, size.height))
    if not pixels:
        raise UnreadablePictureError(f"a damaged {picture.format.name}: {size} pixels")
    if asked and longer > _MAX_SHAPE * shorter:
        raise UnreadablePictureError(f"{size} pixels, a strip that fits no frame")
    if asked and pixels > _MAX_TIMES_ASKED * asked.width * asked.height:
        raise UnreadablePictureError(f"{size} pixels, more than {_MAX_TIMES_ASKED} times the {asked} asked for")
    if pixels > MAX_PIXELS:
        raise UnreadablePictureError(f"{size} pixels, more than the {MAX_PIXELS >> 20} megapixels that are decoded")


def _decode_png(picture: PictureFile) -> Image.Image:
    # By its class, not through imageio or Image.open: films read thousands of these.
    with PngImageFile(io.BytesIO(picture.data)) as png:
        png.load()
        if png.mode == "RGB":
            return png
        # Pillow's own conversion cuts greys of 16 bits off at 255; 257 brings 65,535 to it.
        return (png.point(lambda grey: grey / 257, "L") if png.mode.startswith("I") else png).convert("RGB")


def _flat_colour(picture: Image.Image) -> str | None:
    extrema = picture.getextrema()
    if any(most - least > _FLAT_SPREAD for least, most in extrema):  # type: ignore[misc]
        return None
    mean = picture.resize((1, 1), Image.Resampling.BOX).tobytes()
    return f"#{mean.hex()}"


def _damaged(picture: PictureFile, cause: BaseException) -> UnreadablePictureError:
    return UnreadablePictureError(f"a damaged {picture.format.name}: {cause}")
