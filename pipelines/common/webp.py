"""WebP files, chunk by chunk (RFC 9649): the one still picture in them, without its metadata."""

import struct
from collections.abc import Iterator

from pipelines.common.geometry import Size
from pipelines.common.picture_file import (
    MAX_PARTS,
    PictureFile,
    PictureFormat,
    UnreadablePictureError,
    read_orientation,
)

_LOSSY, _LOSSLESS = b"VP8 ", b"VP8L"
_ANIMATION = (b"ANIM", b"ANMF")
_ANIMATED = 0x02
_CUT_SHORT = "a damaged WEBP: it is cut short"


def is_webp(head: bytes) -> bool:
    """Return whether a file that begins so is WebP."""
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def open_webp(data: bytes) -> PictureFile:
    """Take the picture out of a WebP's bytes.

    Raises:
        UnreadablePictureError: it is damaged, cut short, or an animation.
    """
    orientation, picture = 1, None
    for kind, chunk in _chunks(data):
        # Pillow makes room for the whole canvas of an animation before anything is decoded.
        if kind in _ANIMATION or (kind == b"VP8X" and chunk[8:9] and chunk[8] & _ANIMATED):
            raise UnreadablePictureError("an animation, where one picture was asked for")
        if kind == b"EXIF":
            # Some writers leave JPEG's prefix in.
            orientation = read_orientation(chunk[8:].removeprefix(b"Exif\0\0"))
        if kind in (_LOSSY, _LOSSLESS):
            picture = picture or chunk
    if picture is None:
        raise UnreadablePictureError("a damaged WEBP: it holds no picture")
    body = b"WEBP" + picture + b"\0" * (len(picture) % 2)
    return PictureFile(PictureFormat.WEBP, _size(picture), b"RIFF" + struct.pack("<I", len(body)) + body, orientation)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the type of each chunk, and the whole of it."""
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data) + 1:
        raise UnreadablePictureError(_CUT_SHORT)
    at = 12
    for _ in range(MAX_PARTS):
        if at + 8 > end:
            return
        after = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        if after > len(data):
            raise UnreadablePictureError(_CUT_SHORT)
        yield data[at : at + 4], data[at:after]
        at = after + (after - at) % 2
    raise UnreadablePictureError(f"a WEBP of more than {MAX_PARTS} chunks")


def _size(picture: bytes) -> Size:
    """Return the size that the picture's own header states (RFC 6386, 9.1; RFC 9649, 3.4)."""
    body = picture[8:]
    if picture[:4] == _LOSSY and len(body) >= 10 and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", body, 6)
        return Size(width & 0x3FFF, height & 0x3FFF)
    if picture[:4] == _LOSSLESS and len(body) >= 5 and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return Size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    raise UnreadablePictureError("a damaged WEBP: its size is missing")
