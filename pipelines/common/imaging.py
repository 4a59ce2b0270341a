"""Pictures as Pillow reads them: the errors that it raises on broken files, and fitting one picture into a size."""

import struct
import zlib

from PIL import Image, ImageOps

from pipelines.common.geometry import Fit, Size

# Pillow documents no common base class; each of these was seen.
DECODE_ERRORS = (
    OSError, SyntaxError, ValueError, EOFError, OverflowError, IndexError, KeyError, struct.error, zlib.error,
    Image.DecompressionBombError,
)  # fmt: skip

_BLACK = (0, 0, 0)


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
