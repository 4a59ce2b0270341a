"""MP4 and MOV files, as far as ffmpeg does not write them as they should be (ISO/IEC 14496-12)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_HEADER_BYTES = 8
_SUBTITLES = (b"sbtl", b"text", b"subt")
_TRACK_ENABLED = 0x000001


@dataclass(frozen=True, slots=True)
class _Box:
    """A box: its kind, and where its content begins and ends in the file."""

    kind: bytes
    start: int
    end: int


def disable_subtitles(path: Path) -> None:
    """Clear the flag of the subtitle track by which players show it though it is no default.

    ffmpeg's muxer always sets it for the first track of a kind (movenc.c, `enable_tracks`).
    """
    with path.open("r+b") as file:
        for movie in _boxes(file, 0, path.stat().st_size, b"moov"):
            for track in _boxes(file, movie.start, movie.end, b"trak"):
                if _handler(file, track) in _SUBTITLES:
                    _disable(file, track)


def _handler(file: BinaryIO, track: _Box) -> bytes:
    """Return the kind of a track's media (8.4.3, "hdlr")."""
    for media in _boxes(file, track.start, track.end, b"mdia"):
        for handler in _boxes(file, media.start, media.end, b"hdlr"):
            # After version and flags, and a field that was of another use once.
            file.seek(handler.start + 8)
            return file.read(4)
    return b""


def _disable(file: BinaryIO, track: _Box) -> None:
    for header in _boxes(file, track.start, track.end, b"tkhd"):
        file.seek(header.start)
        (version_and_flags,) = struct.unpack(">I", file.read(4))
        file.seek(header.start)
        file.write(struct.pack(">I", version_and_flags & ~_TRACK_ENABLED))


def _boxes(file: BinaryIO, start: int, end: int, kind: bytes) -> Iterator[_Box]:
    """Yield the boxes of a kind between two places of a file (4.2)."""
    while start + _HEADER_BYTES <= end:
        file.seek(start)
        size, found = struct.unpack(">I4s", file.read(_HEADER_BYTES))
        content = start + _HEADER_BYTES
        if size == 1:
            # The size is in a field of its own.
            (size,) = struct.unpack(">Q", file.read(8))
            content += 8
        elif size == 0:
            # To the end.
            size = end - start
        if size < content - start:
            return
        if found == kind:
            yield _Box(found, content, start + size)
        start += size
