"""JPEG files, segment by segment (ITU-T T.81, annex B), and the check that all their rows are there."""

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

JPEG_START = b"\xff\xd8\xff"
# A progressive JPEG has about ten scans. Each is a walk over all pixels, though it may be only a few bytes long.
MAX_SCANS = 40

_SOF_BASELINE, _SOF_EXTENDED, _SOF_PROGRESSIVE = 0xC0, 0xC1, 0xC2
_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_EOI, _SOS, _APP0, _APP1, _APP14, _COM = 0xD9, 0xDA, 0xE0, 0xE1, 0xEE, 0xFE
# Markers without a segment.
_BARE = {0x01, *range(0xD0, 0xD8)}
# JFIF's and Adobe's say which colours the components are. Everything else is metadata.
_METADATA = {*range(0xE0, 0xF0), _COM} - {_APP0, _APP14}
_EXIF = b"Exif\0\0"
# Of the values of a channel, at an eighth of the size; far more in any photograph.
_NEARLY_FLAT = 8


def open_jpeg(data: bytes) -> PictureFile:
    """Take the picture out of a JPEG's bytes.

    Raises:
        UnreadablePictureError: it is damaged before its first scan, has far too many scans, or is of a rare kind that
            is not read: arithmetic coding, lossless, 12 bits.
    """
    # Within a scan every 0xFF of the data is followed by a zero, so these two bytes begin a scan, or are metadata.
    if data.count(bytes((0xFF, _SOS))) > MAX_SCANS:
        raise UnreadablePictureError(f"a JPEG of more than {MAX_SCANS} scans")
    kept, orientation, size = [data[:2]], 1, None
    for marker, segment in _segments(data):
        if marker in _START_OF_FRAME:
            size = _frame_size(marker, segment)
        if marker == _APP1 and segment[4:10] == _EXIF:
            orientation = read_orientation(segment[10:])
        if marker not in _METADATA:
            kept.append(segment)
    if size is None:
        raise UnreadablePictureError("a damaged JPEG: its size is missing")
    return PictureFile(PictureFormat.JPEG, size, b"".join(kept), orientation)


def require_scans(jpeg: bytes) -> bool:
    """Require that a JPEG's scans decode to the last block; libjpeg alone fills with grey what is missing.

    Decoded at an eighth of its size, which takes half of the time.

    Returns:
        Whether it may be one flat colour.

    Raises:
        UnreadablePictureError: they do not.
    """
    # Only here: it imports NumPy, and few commands look at a picture.
    import simplejpeg

    try:
        small = simplejpeg.decode_jpeg(jpeg, min_height=1, min_width=1, strict=True)
    except ValueError as exc:
        raise UnreadablePictureError(f"a damaged JPEG: {exc}") from exc
    return int((small.max(axis=(0, 1)) - small.min(axis=(0, 1))).max()) <= _NEARLY_FLAT


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the marker and the bytes of each segment before the first scan; in the end that scan and all after it."""
    at = 2
    for _ in range(MAX_PARTS):
        # A marker may begin with any number of 0xFF.
        start = at
        while data[at : at + 1] == b"\xff":
            at += 1
        marker = data[at] if start < at < len(data) else _EOI
        if marker == _SOS:
            yield marker, data[at - 1 :]
            return
        if marker in _BARE:
            at += 1
            continue
        (length,) = struct.unpack_from(">H", data, at + 1) if at + 3 <= len(data) else (0,)
        end = at + 1 + length
        if marker == _EOI or length < 2 or end > len(data):
            raise UnreadablePictureError("a damaged JPEG: it ends before its first row")
        yield marker, data[at - 1 : end]
        at = end
    raise UnreadablePictureError(f"a JPEG of more than {MAX_PARTS} segments")


def _frame_size(marker: int, segment: bytes) -> Size:
    """Return the size that a start of frame states."""
    if len(segment) < 10:
        raise UnreadablePictureError("a damaged JPEG: its size is missing")
    precision, height, width, components = struct.unpack_from(">BHHB", segment, 4)
    if marker not in (_SOF_BASELINE, _SOF_EXTENDED, _SOF_PROGRESSIVE) or precision != 8 or components not in (1, 3, 4):
        raise UnreadablePictureError("a JPEG of a rare kind: not 8 bits, or arithmetic coding, or lossless")
    return Size(width, height)
