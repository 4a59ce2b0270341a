"""The numbers that H.264 gives its pictures (frame_num, ITU-T H.264, 7.4.3), read and written in their headers.

A picture is numbered by how many others were decoded since the keyframe, so one that is spliced in behind more of them
than it was encoded behind needs another number. Nothing else in it changes, not even its length but for the bytes that
keep start codes out of it.
"""

import re

from pipelines.common.errors import FilmError

_START_CODE = b"\0\0\1"
# Types of a slice that needs other pictures, and of a sequence parameter set (table 7-1); in a unit's lowest five bits.
_SLICE, _SEQUENCE = 1, 7
# Profiles whose parameter sets tell their chroma format (7.3.2.1.1).
_HIGH_PROFILES = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)
# 4:2:0, at eight bits of light and of colour; neither a lossless transform nor matrices of its own.
_PLAIN_FORMAT = [1, 0, 0, 0]
# What tells the order of pictures is not in their headers.
_ORDER_OF_DECODING = 2
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


def number_bits(parameter_sets: tuple[bytes, ...]) -> int:
    """Return in how many bits pictures are numbered.

    Raises:
        FilmError: they are numbered in another way than storyreel's pieces are.
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
    count = bits.read_ue() + 4
    if bits.read_ue() != _ORDER_OF_DECODING:
        raise FilmError(_UNKNOWN)
    return count


def renumbered(picture: bytes, number: int, *, bits: int) -> bytes:
    """Return a picture as one that follows so many others behind a keyframe.

    Args:
        picture: an access unit; a keyframe is left as it is.
        number: how many pictures there are between the keyframe's first and this one.
        bits: see `number_bits`.
    """
    units = picture.split(_START_CODE)
    return _START_CODE.join(_renumbered_unit(unit, number, bits) if _is_slice(unit) else unit for unit in units)


def _is_slice(unit: bytes) -> bool:
    return bool(unit) and unit[0] & 0x1F == _SLICE


def _renumbered_unit(unit: bytes, number: int, count: int) -> bytes:
    # Zeros at a unit's end belong to the next start code.
    slice_, rest = _unescaped(unit.rstrip(b"\0")), unit[len(unit.rstrip(b"\0")) :]
    bits = _Bits(slice_)
    bits.read(8)
    # Its first block, its type and its parameter set (7.3.3); then comes the number.
    for _ in range(3):
        bits.read_ue()
    shift = 8 * _HEADER_BYTES - bits.place - count
    head = _head_of(slice_) & ~(((1 << count) - 1) << shift) | (number % (1 << count)) << shift
    written = head.to_bytes(_HEADER_BYTES, "big")[: len(slice_)] + slice_[_HEADER_BYTES:]
    return _escaped(written) + rest


def _head_of(unit: bytes) -> int:
    """Return a unit's first bytes as one number."""
    return int.from_bytes(unit[:_HEADER_BYTES].ljust(_HEADER_BYTES, b"\0"), "big")


def _unescaped(unit: bytes) -> bytes:
    """Return a unit without the bytes that keep start codes out of it (emulation prevention, 7.4.1)."""
    return unit.replace(b"\0\0\3", b"\0\0")


def _escaped(unit: bytes) -> bytes:
    return re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\0\0\3", unit)
