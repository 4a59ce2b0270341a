"""The body of a 2xx on its way to a file: a picture as it is, or one that stands as base64 in JSON."""

from collections.abc import Mapping
from typing import Any, BinaryIO, Protocol


class BrokenBodyError(Exception):
    """A body that can hold no picture, whatever may follow; the message says why."""


class Body(Protocol):
    """Takes a body as it arrives, and writes the picture in it to a file."""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of it.

        Raises:
            BrokenBodyError: it is too long, or is not what it should be.
        """
        ...

    def close(self) -> Mapping[str, Any] | None:
        """Take note that it is whole; return the JSON around its picture, None where there is none.

        Raises:
            BrokenBodyError: it broke off within.
        """
        ...

    @property
    def picture_bytes(self) -> int:
        """How many bytes were written to the file."""
        ...


class PictureBody:
    """A body that is the picture itself.

    Args:
        file: receives it.
        max_bytes: the longest that is taken.
    """

    def __init__(self, file: BinaryIO, *, max_bytes: int) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self.picture_bytes = 0

    def feed(self, chunk: bytes) -> None:
        """Write the next bytes; see `Body`."""
        self.picture_bytes += len(chunk)
        require_within(self.picture_bytes, self._max_bytes)
        self._file.write(chunk)

    def close(self) -> None:
        """Do nothing: whether the picture is whole is seen in its file."""


def require_within(size: int, max_bytes: int) -> None:
    """Require that a body is no longer than what is taken.

    Raises:
        BrokenBodyError: it is longer.
    """
    if size > max_bytes:
        raise BrokenBodyError(f"a body of more than {max_bytes >> 20} MiB; raise max_body_mib")
