"""Thumbnails made while takes are still being generated: where the film reads a picture anyway, of that one reading."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from PIL import Image

from pipelines.common.background import lower_priority
from pipelines.common.errors import StorageError
from pipelines.film.painting import read_frame
from pipelines.report.thumbnails import Thumbnails
from pipelines.takes.store import TakeStore


class ThumbnailPrefetcher:
    """Makes thumbnails while takes are still being generated, in a thread of its own.

    The report makes those that are still missing at the end of the block, or could not be made.
    """

    def __init__(self, store: TakeStore) -> None:
        self._takes = store.takes
        self._thumbnails = Thumbnails(store.folder / "thumbnails")
        self._thread = ThreadPoolExecutor(1, "thumbnails", initializer=lower_priority)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # No thumbnail is worth a wait at the end of a run.
        self._thread.shutdown(wait=False, cancel_futures=True)

    def arrived(self, take: Path) -> None:
        """Make the thumbnail of a take that the film does not read."""
        self._thread.submit(self._thumbnails.make_one, take)

    def read_frame(self, path: Path) -> Image.Image:
        """Read a frame for the film; if it is a take, make its thumbnail as well. For any thread.

        Raises:
            FilmError: it cannot be read.
        """
        changed_ns = 0
        with contextlib.suppress(OSError):
            # Before it is read: a file that changes meanwhile must not pass for the one that was read.
            changed_ns = path.stat().st_mtime_ns
        picture = read_frame(path)
        if path.parent == self._takes:
            with contextlib.suppress(StorageError):
                self._thumbnails.make_of(path, picture, changed_ns=changed_ns)
        return picture
