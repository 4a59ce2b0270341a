"""What a film was made of, written into it: a film that would come out the same is not made again."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from pipelines.errors import FilmError
from pipelines.film.encoding import encoder_arguments, picture_filter
from pipelines.plan import Timeline

_MARK = "storyreel:"
_MARKED = re.compile(rb"storyreel:([0-9a-f]{64})")
# The headers stand first (faststart) and take a few bytes a video frame.
_HEADERS_MAX_BYTES = 32 << 20


def film_identity(timeline: Timeline, frames: Sequence[Path]) -> str:
    """Return the hex sha-256 of all that goes into a film: timeline, encoding, each frame's size and time of change.

    Raises:
        FilmError: a frame is gone.
    """
    digest = hashlib.sha256(repr((timeline, picture_filter(timeline.output))).encode())
    digest.update(repr(encoder_arguments(timeline.output)).encode())
    for frame in frames:
        try:
            stat = frame.stat()
        except OSError as exc:
            raise FilmError(f"{frame}: cannot be read: {exc.strerror}; render again to lay it anew") from exc
        digest.update(f"{stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def identity_mark(identity: str) -> str:
    """Return the comment that a film bears in its metadata."""
    return f"{_MARK}{identity}"


def read_identity(path: Path) -> str | None:
    """Return the identity of the film at `path`; None where there is no film, or one that bears none."""
    try:
        with path.open("rb") as file:
            marked = _MARKED.search(file.read(_HEADERS_MAX_BYTES))
    except OSError:
        return None
    return marked[1].decode() if marked else None
