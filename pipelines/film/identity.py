"""Names and marks that say what a piece or a film was made of: what would come out the same is not made again.

They are hashes of `repr`. So the names of the dataclasses that go into them, and of their fields, must stay as they
are: with another name every piece would be encoded again.
"""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.common.errors import FilmError
from pipelines.film.encoding import encoder_arguments
from pipelines.film.segments import FramePaths, Segment
from pipelines.storyboard.model import SoundMix
from pipelines.storyboard.presets import encoding_of
from pipelines.storyboard.timeline import Timeline

_MARK = "storyreel:"
_MARKED = re.compile(rb"storyreel:([0-9a-f]{64})")
# The mark is in the headers, which take a few bytes a video frame, or at the very end.
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
        raise FilmError(f"{frame}: cannot be read: {exc.strerror}; render again to recreate it") from exc
    # Not its bytes: reading thousands of frames would take longer than joining a film that is otherwise unchanged.
    return f"{frame.name} {stat.st_size} {stat.st_mtime_ns}"


def piece_name(segment: Segment, timeline: Timeline, frames: FramePaths) -> str:
    """Return the file name of a segment's piece: a hash of all that goes into it.

    Args:
        segment: the segment.
        timeline: its film's size, rate, codec, quality and captions count; the name of the output does not.
        frames: the pictures of the segment's frames, by the frames' numbers.

    Raises:
        FilmError: one of the pictures is gone.
    """
    output, style = replace(timeline.output, name=""), timeline.captions
    captioned = style.burn and any(text for _, text in segment.captions)
    arguments = encoder_arguments(output, transition_quality=segment.is_transition)
    identities = {frame: frame_identity(frames[frame]) for frame in segment.frames}
    key = segment.key(identities, (output, arguments, style if captioned else None))
    return f"{key}.{encoding_of(output.codec).piece}"


def film_identity(timeline: Timeline, pieces: Sequence[Path], sound: Path | None) -> str:
    """Return the hex sha-256 of all that goes into a film: its timeline and its pieces, each named by its own key."""
    names = [piece.name for piece in pieces], sound.name if sound else None
    # The sound's own name says what is heard; the folders of its source files don't count.
    ingredients = replace(timeline, sound=SoundMix()), encoding_of(timeline.output.codec), names
    return hashlib.sha256(repr(ingredients).encode()).hexdigest()


def identity_mark(identity: str) -> str:
    """Return the comment that a film has in its metadata."""
    return f"{_MARK}{identity}"


def mark_end(path: Path, mark: str) -> None:
    """Append the mark to a film whose format has no place for a comment; decoders stop before it."""
    with path.open("ab") as file:
        file.write(mark.encode())


def read_identity(path: Path) -> str | None:
    """Return the identity of the film at `path`; None where there is no film, or one without a mark."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEADERS_MAX_BYTES)
            file.seek(-min(_MARK_BYTES, path.stat().st_size), os.SEEK_END)
            marked = _MARKED.search(head) or _MARKED.search(file.read())
    except OSError:
        return None
    return marked[1].decode() if marked else None
