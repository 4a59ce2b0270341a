"""Pieces of H.264 as one stream in IVF, a container that gives each picture its time and nothing else.

A picture that is predicted from later ones (a B picture) comes behind them in a stream, and no other picture is
predicted from it. So a reference that k of them follow is shown k video frames after its place in the stream, and each
of them one video frame before.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from pipelines.common.geometry import Size
from pipelines.film.access_units import is_reference, units_of_file

# Signature, version, length of this header, codec, width, height, the clock's rate and scale, pictures, unused.
_HEADER = struct.Struct("<4sHH4sHHIIII")
# Bytes, and the time at which it is shown.
_PICTURE = struct.Struct("<IQ")


def ivf_of(pieces: Sequence[Path], *, size: Size, fps: Fraction) -> Iterator[memoryview]:
    """Yield the pictures of pieces, in the order of decoding, each with the number of its video frame. Blocking.

    Args:
        pieces: files of raw H.264 with delimiters; each begins with a picture that needs no other.
        size: in pixels.
        fps: video frames a second.
    """
    clock = fps.numerator, fps.denominator
    yield memoryview(_HEADER.pack(b"DKIF", 0, _HEADER.size, b"H264", size.width, size.height, *clock, 0, 0))
    shown = 0
    for reference, *between in (group for piece in pieces for group in _groups(units_of_file(piece))):
        for unit, number in [(reference, len(between)), *zip(between, range(len(between)), strict=True)]:
            yield memoryview(_PICTURE.pack(len(unit), shown + number))
            yield memoryview(unit)
        shown += 1 + len(between)


def _groups(units: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield each reference with the pictures behind it that are shown before it."""
    group: list[bytes] = []
    for unit in units:
        if group and is_reference(unit):
            yield group
            group = []
        group.append(unit)
    if group:
        yield group
