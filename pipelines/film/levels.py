"""Levels of H.264: what a decoder must be able to do for a film (ITU-T H.264, A.3)."""

from fractions import Fraction
from math import ceil

from pipelines.common.geometry import Size

# Table A-1: macroblocks a second, macroblocks in a picture, and thousands of bits a second, each at most. In the high
# profile a quarter more bits (table A-2).
_LEVELS = (
    ("1.1", 3_000, 396, 192),
    ("1.2", 6_000, 396, 384),
    ("1.3", 11_880, 396, 768),
    ("2", 11_880, 396, 2_000),
    ("2.1", 19_800, 792, 4_000),
    ("2.2", 20_250, 1_620, 4_000),
    ("3", 40_500, 1_620, 10_000),
    ("3.1", 108_000, 3_600, 14_000),
    ("3.2", 216_000, 5_120, 20_000),
    ("4", 245_760, 8_192, 20_000),
    ("4.1", 245_760, 8_192, 50_000),
    ("4.2", 522_240, 8_704, 50_000),
    ("5", 589_824, 22_080, 135_000),
    ("5.1", 983_040, 36_864, 240_000),
    ("5.2", 2_073_600, 36_864, 240_000),
    ("6", 4_177_920, 139_264, 240_000),
    ("6.1", 8_355_840, 139_264, 480_000),
)
_HIGHEST = "6.2"
_MACROBLOCK = 16
# Of the high profile, in bits.
_KILOBIT = 1_250


def level_of(size: Size, fps: Fraction, *, bitrate: int) -> str:
    """Return the lowest level that a film keeps to, as ffmpeg's `-level` reads it; the highest there is, if none does.

    Args:
        size: of its pictures, in pixels.
        fps: video frames a second.
        bitrate: bits a second, at most.
    """
    width, height = (ceil(side / _MACROBLOCK) for side in (size.width, size.height))
    area = width * height
    for level, per_second, per_picture, kilobits in _LEVELS:
        # A.3.1: neither side may be longer than the root of eight times the area.
        fits = area <= per_picture and max(width, height) ** 2 <= 8 * per_picture
        if fits and area * fps <= per_second and bitrate <= kilobits * _KILOBIT:
            return level
    return _HIGHEST
