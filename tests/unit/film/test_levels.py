"""The level that a film states is the one that x264 would choose for it."""

from fractions import Fraction

import pytest

from pipelines.common.geometry import Size
from pipelines.film.levels import level_of
from tests.support.film_samples import ask_ffmpeg


@pytest.mark.parametrize(
    ("size", "fps", "bitrate", "level"),
    [
        ("160x96", 24, 200_000, "1.1"),
        ("640x360", 30, 8_000_000, "3"),
        ("1344x768", 24, 2_000_000, "3.2"),
        ("1080x1920", 30, 25_000_000, "4"),
        ("1080x1920", 30, 25_100_000, "4.1"),
        ("1920x1080", 60, 25_000_000, "4.2"),
        ("3840x2160", 24, 50_000_000, "5.1"),
        # Narrow: few blocks, but long sides.
        ("4096x32", 24, 2_000_000, "4"),
    ],
)
def test_it_is_the_one_of_x264(size: str, fps: int, bitrate: int, level: str) -> None:
    """By the blocks in a picture and in a second, by the sides and by the bitrate."""
    source = f"color=size={size}:rate={fps}:duration=0.01"
    bound = ["-maxrate", str(bitrate), "-bufsize", str(bitrate // 2)]
    encoding = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-profile:v", "high", "-preset", "superfast", "-refs", "1"]
    stream = ask_ffmpeg("-f", "lavfi", "-i", source, *encoding, "-bf", "2", *bound, "-f", "h264", "-")
    # Profile, constraints, level, at the head of the parameter set (H.264, 7.3.2.1.1).
    stated = stream[stream.index(b"\0\0\1\x67") + 6]

    assert level_of(Size.parse(size), Fraction(fps), bitrate=bitrate) == level
    assert stated == round(float(level) * 10)


def test_there_is_always_one() -> None:
    """What no level allows has the highest."""
    assert level_of(Size(16384, 16384), Fraction(240), bitrate=200_000_000) == "6.2"
