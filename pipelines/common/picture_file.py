"""A picture's file, as it is known before a decoder sees it: its format, its size, and the picture without the rest."""

import struct
from dataclasses import dataclass
from enum import StrEnum

from pipelines.common.geometry import Size

# Far more segments or chunks than any writer makes; a file of nothing else takes long to walk through.
MAX_PARTS = 1 << 16

_ORIENTATION = 0x0112
_SHORT = 3
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}


class UnreadablePictureError(ValueError):
    """A file holds no picture that is read here; the message says why, and names no file."""


class PictureFormat(StrEnum):
    """A format that is read, whatever a file is called; the value is the suffix of such files."""

    PNG = "png"
    JPEG = "jpg"
    WEBP = "webp"


@dataclass(frozen=True, slots=True)
class PictureFile:
    """One picture, taken out of its file.

    Attributes:
        format: the format.
        size: in pixels, as its decoder will see it.
        data: a file of the picture alone: no profile, no metadata, no transparency beside the pixels.
        orientation: by EXIF, from 1 to 8, which nothing here follows; 1 where there is none.
    """

    format: PictureFormat
    size: Size
    data: bytes
    orientation: int = 1


def read_orientation(exif: bytes) -> int:
    """Return the orientation that EXIF data state for their picture; 1 where they state none (EXIF 3.0, 4.6.5)."""
    order = _BYTE_ORDERS.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for entry in range(count):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, start + 2 + 12 * entry)
            if (tag, kind) == (_ORIENTATION, _SHORT):
                return value if 1 <= value <= 8 else 1
    # Cut short: what comes before an orientation is of no interest.
    except struct.error:
        pass
    return 1
