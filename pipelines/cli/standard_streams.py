"""The standard streams as a terminal command needs them, however it was started."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def dependable_streams() -> Iterator[None]:
    """Let messages for people be lost where nothing takes them, for as long as the block lasts.

    A full disk under a log, or a reader that has gone, must not end a run that was paid for. Standard output is left
    as it is: what a program asked for is there, or the command fails.
    """
    _open_closed_descriptors()
    before = sys.stderr
    encoding = before.encoding if before else "utf-8"
    # Line by line, as Python's own.
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(_LossyFile(2, "w", closefd=False)), encoding, "backslashreplace", line_buffering=True
    )
    try:
        yield
    finally:
        sys.stderr = before


class _LossyFile(io.FileIO):
    """A file in which what cannot be written is lost, without an error."""

    def write(self, data: Any) -> int:
        with contextlib.suppress(OSError):
            return super().write(data) or 0
        return memoryview(data).nbytes


def _open_closed_descriptors() -> None:
    """Open what the command was started without; the next file or socket would get its number, and what is printed."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest that is free: this one, as those below it are open by now.
            os.open(os.devnull, os.O_RDWR)
