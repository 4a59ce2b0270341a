"""Thumbnails: small JPEGs of takes, made once and kept, each under its take's request key.

A take is shrunk as the film reads it: neither its orientation mark nor its transparency counts. JPEGs are decoded at a
fraction of their size at once; a PNG has to be read to its end.
"""

import io
import os
import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from pipelines.common.files import storage_errors
from pipelines.common.imaging import DECODE_ERRORS

# The longest side, in pixels.
THUMBNAIL_SIDE = 320

_FORMATS = ("PNG", "JPEG", "WEBP")
_QUALITY = 80
# Larger pictures are shrunk by whole numbers first, to no less than one and a half times the size. Measured at
# 1024x1024: 50 dB from one that is not, in six tenths of the time.
_GAP = 1.5
_END_OF_JPEG = b"\xff\xd9"


class Thumbnails:
    """The folder of one storyboard's thumbnails. Whoever writes to it holds the storyboard's lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, take: Path) -> Path:
        """Return where a take's thumbnail is, or will be."""
        return self._folder / f"{take.stem}.jpg"

    def make(self, takes: Iterable[Path]) -> dict[Path, Path | None]:
        """Return the thumbnail of each take, None where the take cannot be read as a picture.

        Only those are made that are missing, broken, or of another file than the take is now.

        Raises:
            StorageError: one could not be written; those that were made are kept.
        """
        made: dict[Path, Path | None] = {take: self.path(take) for take in takes}
        wanting = [take for take, path in made.items() if path and not _is_of(path, take)]
        if wanting:
            # Pillow decodes and shrinks without keeping other threads waiting.
            with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="thumbnails") as pool:
                made.update(zip(wanting, pool.map(self.make_one, wanting), strict=True))
        return made

    def make_one(self, take: Path) -> Path | None:
        """Make the thumbnail of a take anew; return it, None where the take cannot be read as a picture.

        Raises:
            StorageError: it could not be written.
        """
        try:
            # Looked at before the picture is read: should it be replaced meanwhile, the thumbnail is of an older one.
            changed_ns = take.stat().st_mtime_ns
            thumbnail = _shrunk(take)
        except DECODE_ERRORS:
            return None
        path = self.path(take)
        _write(path, thumbnail, changed_ns)
        return path

    def make_of(self, take: Path, picture: Image.Image, *, changed_ns: int) -> None:
        """Make the thumbnail of a take that somebody has read, if it is missing; that saves reading it twice.

        Args:
            take: the take's file.
            picture: the whole of it, as RGB.
            changed_ns: when the file was last changed, as told before it was read.

        Raises:
            StorageError: it could not be written.
        """
        path = self.path(take)
        if not _is_of(path, take):
            _write(path, _as_jpeg(picture, fitting_size(picture.size)), changed_ns)

    def prune(self, takes: Iterable[Path]) -> None:
        """Remove the thumbnails of all other takes, and what a killed run left half written.

        Raises:
            StorageError: one could not be removed.
        """
        kept = {self.path(take) for take in takes}
        with storage_errors(self._folder):
            for path in set(self._folder.glob("*.jpg")) - kept:
                path.unlink(missing_ok=True)


def _is_of(path: Path, take: Path) -> bool:
    """Say whether a thumbnail is whole and of the take as it is now: it bears the take's own time."""
    try:
        if path.stat().st_mtime_ns != take.stat().st_mtime_ns:
            return False
        with path.open("rb") as file:
            file.seek(-len(_END_OF_JPEG), os.SEEK_END)
            return file.read() == _END_OF_JPEG
    except OSError:
        return False


def _write(path: Path, thumbnail: bytes, changed_ns: int) -> None:
    """Write a thumbnail whole or not at all, but without fsync: after a power cut it is made anew."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{secrets.token_hex(8)}{path.suffix}")
        try:
            temporary.write_bytes(thumbnail)
            os.utime(temporary, ns=(changed_ns, changed_ns))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _shrunk(take: Path) -> bytes:
    with Image.open(take, formats=_FORMATS) as picture:
        width, height = fitting_size(picture.size)
        # JPEGs only. Measured at 1344x768: 42 dB from one that is decoded whole, in a third of the time.
        drafted = picture.draft(None, (width, height))
        # Draft rounds sides up: the picture itself may end within the last pixel.
        box = drafted[1] if drafted else None
        rgb = _as_rgb(picture)
    return _as_jpeg(rgb, (width, height), box)


def _as_jpeg(rgb: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float] | None = None) -> bytes:
    small = rgb.resize(size, Image.Resampling.LANCZOS, box, reducing_gap=_GAP)
    jpeg = io.BytesIO()
    # Else a comment in the take would go along.
    small.save(jpeg, "JPEG", quality=_QUALITY, comment=b"")
    return jpeg.getvalue()


def _as_rgb(picture: Image.Image) -> Image.Image:
    # Pillow would cut grays of 16 bits off at 255.
    narrow = picture.point(lambda gray: gray / 257, "L") if picture.mode.startswith("I") else picture
    return narrow.convert("RGB")


def fitting_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size at which a picture's longest side is a thumbnail's; small pictures stay as they are."""
    scale = min(1.0, THUMBNAIL_SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
