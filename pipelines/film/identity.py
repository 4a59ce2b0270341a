"""What a film is made of, as a mark in it: a film that would come out the same is not made again."""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.common.errors import FilmError
from pipelines.storyboard.model import SoundMix
from pipelines.storyboard.presets import encoding_of
from pipelines.storyboard.timeline import Timeline

_MARK = "storyreel:"
_MARKED = re.compile(rb"storyreel:([0-9a-f]{64})")
# The mark stands in the headers, which take a few bytes a video frame, or at the very end.
_HEADERS_MAX_BYTES = 32 << 20
_MARK_BYTES = len(_MARK) + 64


def frame_identity(frame: Path) -> str:
    """Return what tells this picture from any other: its file's name, size and time of change.

    Raises:
        FilmError: it is gone.
    """
    try:
        stat = frame.stat()
    except OSError as exc:
        raise FilmError(f"{frame}: cannot be read: {exc.strerror}; render again to lay it anew") from exc
    return f"{frame.name} {stat.st_size} {stat.st_mtime_ns}"


def film_identity(timeline: Timeline, pieces: Sequence[Path], sound: Path | None) -> str:
    """Return the hex sha-256 of all that goes into a film: its timeline and its pieces, each named by its own key."""
    made_of = [piece.name for piece in pieces], sound.name if sound else None
    # The sound's own name says what is heard; where its files are named does not count.
    told = replace(timeline, sound=SoundMix()), encoding_of(timeline.output.codec), made_of
    return hashlib.sha256(repr(told).encode()).hexdigest()


def identity_mark(identity: str) -> str:
    """Return the comment that a film bears in its metadata."""
    return f"{_MARK}{identity}"


def mark_end(path: Path, mark: str) -> None:
    """Set the mark behind a film whose format has no room for a comment; decoders stop before it."""
    with path.open("ab") as file:
        file.write(mark.encode())


def read_identity(path: Path) -> str | None:
    """Return the identity of the film at `path`; None where there is no film, or one that bears none."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEADERS_MAX_BYTES)
            file.seek(-min(_MARK_BYTES, path.stat().st_size), os.SEEK_END)
            marked = _MARKED.search(head) or _MARKED.search(file.read())
    except OSError:
        return None
    return marked[1].decode() if marked else None
