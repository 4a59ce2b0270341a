"""Small pictures of takes, made once and kept: the contact sheet, the report and the cutting room all show them."""

import contextlib
import os
import secrets
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from pipelines.files import storage_errors

SIDE = 320
_QUALITY = 80
_MOST_WORKERS = 8
_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


class Thumbnails:
    """A folder of JPEGs, 320 pixels at their longer side, each named as its take is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, take: Path) -> Path:
        """Return where the thumbnail of a take is, or will be."""
        return self._folder / f"{take.stem}.jpg"

    def make(self, takes: Iterable[Path]) -> dict[Path, Path | None]:
        """Make those that are not there; return each take's, None where the take cannot be read as a picture.

        Raises:
            StorageError: one could not be written.
        """
        with storage_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        each = dict.fromkeys(takes)
        # Pillow lets go of Python's lock while it decodes, scales and encodes.
        with ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_WORKERS), "thumbnails") as threads:
            return dict(zip(each, threads.map(self.made, each), strict=True))

    def made(self, take: Path) -> Path | None:
        """Return the thumbnail of a take, made if it is not there; None where the take cannot be read as a picture.

        Raises:
            StorageError: it could not be written.
        """
        path = self.path(take)
        if _is_fresh(path, take):
            return path
        try:
            small = _read_small(take)
        except _UNREADABLE:
            return None
        with storage_errors(path):
            # Not fsynced, as what is paid for is: it can be made again at any time.
            temporary = path.with_name(f".{secrets.token_hex(8)}.jpg")
            try:
                small.save(temporary, "JPEG", quality=_QUALITY)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
        return path

    def prune(self, takes: Collection[Path]) -> None:
        """Remove the thumbnails of all takes but these."""
        wanted = {self.path(take) for take in takes}
        for path in self._folder.glob("*.jpg"):
            if path not in wanted:
                with contextlib.suppress(OSError):
                    path.unlink()


def _is_fresh(path: Path, take: Path) -> bool:
    try:
        return path.stat().st_mtime_ns >= take.stat().st_mtime_ns
    except OSError:
        return False


def _read_small(take: Path) -> Image.Image:
    with Image.open(take) as picture:
        # A JPEG is decoded at an eighth, a quarter or a half of its size, whichever is just large enough.
        picture.draft("RGB", (SIDE, SIDE))
        # Pillow would cut grays of 16 bits off at 255.
        narrow = picture.point(lambda gray: gray / 257, "L") if picture.mode.startswith("I") else picture
        small = narrow.convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return small
