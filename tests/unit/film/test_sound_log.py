"""ffmpeg's log of a sound file is read line by line, however it comes."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.film.sound_log import SoundLog

HEADER = """\
[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:a.m4a':
[info]   Metadata:
[info]     title           : Input #0, flac, from 'b':
[info]                     :   Duration: 00:00:01.00, start: 0.000000, bitrate: 9 kb/s
[info]   Duration: 01:02:03.45, start: 0.000000, bitrate: 128 kb/s
[info]   Stream #0:0[0x1](und): Audio: aac (LC), 44100 Hz, stereo, fltp, 127 kb/s (default)
[info]   Stream #0:1[0x0]: Video: png, rgb24, 64x48, 90k tbr (attached pic)
"""
PICTURE = "[info]   Stream #0:2[0x2](und): Video: h264, yuv420p, 64x48, 25 fps (default)\n"
MAPPED = """\
[info] Stream mapping:
[info]   Stream #0:0 -> #0:0 (aac (native) -> pcm_u8 (native))
[info]   Stream #0:0: Audio: pcm_u8, 48000 Hz, mono, u8, 384 kb/s
"""
COMPLAINT = "[aac @ 0x55aedbb14300] [error] channel element 0.0 is not allocated\n"
GAVE_UP = "[in#0/ogg @ 0x55b86b0aed40] [error] Error during demuxing: Not yet implemented\n"
ESTIMATED = "[in#0/mp3 @ 0x5] [warning] Estimating duration from bitrate, this may be inaccurate\n"
STATED_S = 3723 + Fraction(45, 100)


def log_of(text: str) -> SoundLog:
    log = SoundLog()
    log.feed(text.encode())
    return log


@pytest.mark.parametrize(
    ("text", "stated_s"),
    [
        (HEADER + MAPPED, STATED_S),
        (HEADER + PICTURE + MAPPED, None),
        (HEADER + PICTURE + MAPPED + COMPLAINT, STATED_S),
        (ESTIMATED + HEADER + MAPPED, None),
        (HEADER.replace("01:02:03.45", "N/A") + MAPPED, None),
        ("", None),
    ],
    ids=["sound", "film", "damaged film", "estimated", "not stated", "not opened"],
)
def test_the_header_states_a_length(text: str, stated_s: Fraction | None) -> None:
    """Not if ffmpeg guessed it, nor if it may be that of a picture; a cover is none."""
    assert log_of(text).stated_s == stated_s


def test_complaints_are_kept() -> None:
    """The last few of them, and whether reading ended with one."""
    log = log_of(HEADER + MAPPED + COMPLAINT * 1000 + GAVE_UP)

    assert log.complaints[-2:] == [
        "channel element 0.0 is not allocated",
        "Error during demuxing: Not yet implemented",
    ]
    assert len(log.complaints) == 20
    assert [log.gave_up, log_of(HEADER + COMPLAINT).gave_up] == [True, False]


def test_a_tag_is_no_header() -> None:
    """Whatever it says, and however long it is."""
    log = SoundLog()
    log.feed(b"[info]     lyrics          : " + b"la " * 1_000_000)
    log.feed(b"la\n" + (HEADER + MAPPED).encode())

    assert (log.container.demuxer, log.stated_s) == ("mov", STATED_S)


@given(st.lists(st.integers(0, len(HEADER + MAPPED + COMPLAINT))))
def test_lines_may_come_in_any_parts(cuts: list[int]) -> None:
    """A part may begin and end within a line."""
    text = (HEADER + MAPPED + COMPLAINT).encode()
    log = SoundLog()
    edges = [0, *sorted(cuts), len(text)]
    for begin, end in itertools.pairwise(edges):
        log.feed(text[begin:end])

    assert (log.container.demuxer, log.stated_s, len(log.complaints)) == ("mov", STATED_S, 1)
