"""The kinds of file that sounds are read from: ffmpeg opens these and no others.

ffmpeg reads far more. Among it are playlists, scripts and manifests, which name further files and addresses that it
would open in turn; pictures; and raw data, for which nearly anything could be taken.
"""

import enum
from dataclasses import dataclass


class Clock(enum.Enum):
    """What the times in a file say of sound that is missing."""

    # There are none: pieces are numbered on, and what is skipped between them is given the time of one, whatever it is.
    NONE = "none"
    # Each piece of sound says when it is heard, and one begins where the one before ends.
    EXACT = "exact"
    # So it is in films; but they may have pauses that are meant.
    LOOSE = "loose"


@dataclass(frozen=True, slots=True)
class Container:
    """A kind of file.

    Attributes:
        demuxer: the first of the names that ffmpeg has for what reads it.
        clock: what its times say.
        piece_max_bytes: without a clock, the most that a piece of sound can have; what is over holds something else.
    """

    demuxer: str
    clock: Clock
    piece_max_bytes: int = 0


CONTAINERS = (
    Container("wav", Clock.EXACT),
    # Layer II and III.
    Container("mp3", Clock.NONE, 1729),
    Container("flac", Clock.EXACT),
    # Vorbis, Opus, FLAC and Speex.
    Container("ogg", Clock.EXACT),
    # M4A, MP4, MOV and 3GP.
    Container("mov", Clock.LOOSE),
    Container("aac", Clock.NONE, 8191),
    Container("aiff", Clock.EXACT),
    # MKV, MKA and WebM.
    Container("matroska", Clock.LOOSE),
    Container("w64", Clock.EXACT),
    Container("caf", Clock.EXACT),
    Container("au", Clock.EXACT),
    Container("wv", Clock.EXACT),
    Container("ape", Clock.EXACT),
    Container("tta", Clock.EXACT),
    Container("ac3", Clock.NONE, 3840),
    Container("eac3", Clock.NONE, 4096),
    Container("amr", Clock.NONE, 61),
    # WMA and WMV.
    Container("asf", Clock.LOOSE),
    Container("avi", Clock.LOOSE),
    Container("flv", Clock.LOOSE),
    Container("mpeg", Clock.LOOSE),
    Container("mpegts", Clock.LOOSE),
)
# For people: what is at hand on most machines.
USUAL_CONTAINERS = "WAV, MP3, FLAC, OGG or M4A"
