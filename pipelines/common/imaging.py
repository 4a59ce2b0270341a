"""What Pillow raises on files that are no picture, or no whole one."""

import struct
import zlib

from PIL import Image, ImageOps

from pipelines.common.geometry import Fit, Size

# Pillow documents no common base; each of these was seen.
DECODE_ERRORS = (
    OSError, SyntaxError, ValueError, EOFError, OverflowError, IndexError, KeyError, struct.error, zlib.error,
    Image.DecompressionBombError,
)  # fmt: skip


_BLACK = (0, 0, 0)


def fit_picture(picture: Image.Image, size: Size, fit: Fit) -> Image.Image:
    """Lay an RGB picture into `size` pixels: cropped (cover), on black (contain), or stretched."""
    wanted = (size.width, size.height)
    if picture.size == wanted:
        return picture
    match fit:
        case Fit.CONTAIN:
            return ImageOps.pad(picture, wanted, Image.Resampling.LANCZOS, color=_BLACK)
        case Fit.STRETCH:
            return picture.resize(wanted, Image.Resampling.LANCZOS)
        case _:
            return ImageOps.fit(picture, wanted, Image.Resampling.LANCZOS)
