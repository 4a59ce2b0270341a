"""The numbers that H.264 gives its pictures (ITU-T H.264, 7.4.3), read and written in their headers.

A picture is numbered by how many references were decoded since the keyframe (frame_num), and by its place among all
that are shown since (pic_order_cnt_lsb, which x264 counts in steps of two). So one that is spliced in behind more of
them than it was encoded behind needs other numbers. Nothing else in it changes, not even its length but for the bytes
that keep start codes out of it.
"""

import re
from dataclasses import dataclass

from pipelines.common.errors import FilmError

_START_CODE = b"\0\0\1"
# Types of a slice that needs other pictures, and of a sequence parameter set (table 7-1); in a unit's lowest five bits.
_SLICE, _SEQUENCE = 1, 7
# Profiles whose parameter sets tell their chroma format (7.3.2.1.1).
_HIGH_PROFILES = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)
# 4:2:0, at eight bits of light and of colour; neither a lossless transform nor matrices of its own.
_PLAIN_FORMAT = [1, 0, 0, 0]
# The type of order in which each picture's header has its place (7.3.2.1.1); x264 counts places so.
_PLACES, _STEP = 0, 2
# More than a header takes, in bytes.
_HEADER_BYTES = 32
_UNKNOWN = "this ffmpeg's x264 numbers pictures in another way; reinstall imageio-ffmpeg"


class _Bits:
    """The bits of the beginning of a unit in which nothing keeps start codes out of it."""

    def __init__(self, unit: bytes) -> None:
        self._bits = _head_of(unit)
        self.place = 0

    def read(self, count: int) -> int:
        """Return the next bits as a number."""
        self.place += count
        return self._bits >> (8 * _HEADER_BYTES - self.place) & ((1 << count) - 1)

    def read_ue(self) -> int:
        """Return the next number of those written in as many bits as they need (ue(v), 9.1)."""
        zeros = 0
        while not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)


@dataclass(frozen=True, slots=True)
class Numbering:
    """How pictures are numbered.

    Attributes:
        decoding_bits: in how many bits they are counted as they are decoded.
        showing_bits: in how many bits they are counted as they are shown.
    """

    decoding_bits: int
    showing_bits: int

    @property
    def bits(self) -> int:
        """In how many bits both numbers are, one behind the other."""
        return self.decoding_bits + self.showing_bits

    def written(self, number: int) -> int:
        """Return both numbers of a picture that follows so many others behind a keyframe, all of them references."""
        decoding = number % (1 << self.decoding_bits)
        return decoding << self.showing_bits | _STEP * number % (1 << self.showing_bits)


def read_numbering(parameter_sets: tuple[bytes, ...]) -> Numbering:
    """Return how the pictures with these parameter sets are numbered.

    Raises:
        FilmError: in another way than storyreel's pieces are.
    """
    [sequence] = (unit for unit in parameter_sets if unit[0] & 0x1F == _SEQUENCE)
    bits = _Bits(_unescaped(sequence))
    bits.read(8)
    profile = bits.read(8)
    # Constraints and the level, then the set's own number.
    bits.read(16)
    bits.read_ue()
    if profile in _HIGH_PROFILES and [bits.read_ue(), bits.read_ue(), bits.read_ue(), bits.read(2)] != _PLAIN_FORMAT:
        raise FilmError(_UNKNOWN)
    decoding_bits = bits.read_ue() + 4
    if bits.read_ue() != _PLACES:
        raise FilmError(_UNKNOWN)
    showing_bits = bits.read_ue() + 4
    # How many references are kept, whether numbers may be left out, width and height.
    bits.read_ue()
    bits.read(1)
    bits.read_ue()
    bits.read_ue()
    # Fields would have numbers of their own.
    if not bits.read(1):
        raise FilmError(_UNKNOWN)
    return Numbering(decoding_bits, showing_bits)


def renumbered(picture: bytes, number: int, numbering: Numbering) -> bytes:
    """Return a picture as one that follows so many others behind a keyframe, all of them references.

    Args:
        picture: an access unit; a keyframe is left as it is.
        number: how many pictures there are between the keyframe's first and this one.
        numbering: see `read_numbering`.
    """
    units = picture.split(_START_CODE)
    return _START_CODE.join(_renumbered_unit(unit, number, numbering) if _is_slice(unit) else unit for unit in units)


def _is_slice(unit: bytes) -> bool:
    return bool(unit) and unit[0] & 0x1F == _SLICE


def _renumbered_unit(unit: bytes, number: int, numbering: Numbering) -> bytes:
    # Zeros at a unit's end belong to the next start code.
    slice_, rest = _unescaped(unit.rstrip(b"\0")), unit[len(unit.rstrip(b"\0")) :]
    bits = _Bits(slice_)
    bits.read(8)
    # Its first block, its type and its parameter set (7.3.3); then come the numbers.
    for _ in range(3):
        bits.read_ue()
    shift = 8 * _HEADER_BYTES - bits.place - numbering.bits
    head = _head_of(slice_) & ~(((1 << numbering.bits) - 1) << shift) | numbering.written(number) << shift
    written = head.to_bytes(_HEADER_BYTES, "big")[: len(slice_)] + slice_[_HEADER_BYTES:]
    return _escaped(written) + rest


def _head_of(unit: bytes) -> int:
    """Return a unit's first bytes as one number."""
    return int.from_bytes(unit[:_HEADER_BYTES].ljust(_HEADER_BYTES, b"\0"), "big")


def _unescaped(unit: bytes) -> bytes:
    """Return a unit without the bytes that keep start codes out of it (emulation prevention, 7.4.1)."""
    return unit.replace(b"\0\0\3", b"\0\0")


def _escaped(unit: bytes) -> bytes:
    # A unit may not end with zeros either (x264 fills small ones up with them).
    return re.sub(rb"\x00\x00(?=[\x00-\x03]|\Z)", b"\0\0\3", unit)
