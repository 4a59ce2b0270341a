"""The file that leads a browser to the review page, whose address is a secret.

Every user of a machine can read the command lines of all its processes, and a browser is started with what it is to
open. So it is started with a file that only its owner can read, and that names the address.
"""

import contextlib
import fcntl
import os
import secrets
from html import escape
from pathlib import Path
from typing import BinaryIO

# Not hidden, and not in /tmp: a browser in a sandbox of its own, as snap makes them, could not read it.
_PATTERN = "review-*.html"
_TEXT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={address}">
<title>The cutting room</title>
<p><a href="{address}" rel="noreferrer">The cutting room</a>
"""


class OpeningFile:
    """A file that leads a browser to an address, until it is removed."""

    def __init__(self, folder: Path, address: str) -> None:
        """Describe the file, which is not there yet.

        Args:
            folder: where it will be.
            address: where it leads.
        """
        self._folder = folder
        self._address = address
        self._file: BinaryIO | None = None

    def write(self) -> Path:
        """Write the file, and remove those that killed reviews have left; return its path.

        Raises:
            OSError: it cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in self._folder.glob(_PATTERN):
            _remove_left(left)
        path = self._folder / _PATTERN.replace("*", secrets.token_hex(8))
        self._file = open(path, "xb", opener=_open_private)  # noqa: SIM115 - until it is removed
        # Held as long as the file is there, by which others know that the review runs; a killed one holds none.
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._file.write(_TEXT.format(address=escape(self._address)).encode())
        self._file.flush()
        return path

    def remove(self) -> None:
        """Remove the file, if it is there."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                Path(self._file.name).unlink(missing_ok=True)
            # May be done twice, also by two threads.
            self._file.close()


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _remove_left(path: Path) -> None:
    # Another user's, or one that has just gone: it is not ours to remove.
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        finally:
            os.close(descriptor)
