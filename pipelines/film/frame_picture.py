"""The pictures of a film's frames, told apart by what they hold, not by where they lie or when they were written."""

import asyncio
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.common.errors import FilmError
from pipelines.common.files import hash_file
from pipelines.common.geometry import Fit, Size

# More files than a long film has frames; each takes a few hundred bytes of memory.
_MAX_KNOWN_FILES = 100_000


@dataclass(frozen=True, slots=True)
class FramePicture:
    """The picture that a frame shows.

    Attributes:
        path: its file.
        sha256: of the bytes that it was made of, in hex; None where that is not known: then the file itself counts.
        fitted: the size and the fit that were asked for, where these bytes had to be made into another picture.
    """

    path: Path
    sha256: str | None = None
    fitted: tuple[Size, Fit] | None = None

    def hashed(self) -> "FramePicture":
        """Return the picture with its hash. Blocking: its file is read, where that is not known.

        Raises:
            FilmError: its file cannot be read.
        """
        try:
            return self if self.sha256 else replace(self, sha256=content_of(self.path))
        except OSError as exc:
            raise FilmError(f"{self.path}: cannot be read: {exc.strerror}; render again to recreate it") from exc

    def identity(self) -> str:
        """Return what tells it from any other picture, on every machine. Blocking; see `hashed`."""
        return " ".join((str(self.hashed().sha256), *map(str, self.fitted or ())))


# By the frames' numbers: of all frames, or of those that are there.
FramePictures = Sequence[FramePicture] | Mapping[int, FramePicture]


async def hash_pictures(pictures: Iterable[FramePicture]) -> list[FramePicture]:
    """Return pictures with their hashes; files that must be read for that are read in a thread.

    Raises:
        FilmError: a file cannot be read.
    """
    return await asyncio.to_thread(lambda: [picture.hashed() for picture in pictures])


def content_of(file: Path) -> str:
    """Return the sha-256 of a file's bytes in hex; one that has not changed since is not read again. Blocking.

    Raises:
        OSError: it cannot be read.
    """
    stat = file.stat()
    # These only say whether it may have changed: what tells files apart is their content.
    return _content(file, stat.st_ino, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=_MAX_KNOWN_FILES)
def _content(file: Path, *_state: int) -> str:
    return hash_file(file)
