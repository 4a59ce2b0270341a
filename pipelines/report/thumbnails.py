"""Thumbnails: small JPEGs of takes, made once and kept, each under the name of its take's file.

A take is read as the film reads it: its orientation tag and its transparency are ignored. JPEGs are decoded at a
fraction of their size, which is fast; a PNG has to be decoded whole.
"""

import io
import os
import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from pipelines.common.files import storage_errors
from pipelines.common.geometry import Size
from pipelines.common.imaging import decode_reduced, open_picture
from pipelines.common.picture_file import UnreadablePictureError

# The longest side, in pixels.
THUMBNAIL_SIDE = 320

_QUALITY = 80
# Pillow's reducing_gap: larger pictures are first reduced by a whole factor, to no less than the size itself.
# Measured at 1344x768: a PSNR of 44 dB to a thumbnail made without it, in a fifth of the time; as a JPEG, each has 31
# dB to it.
_REDUCING_GAP = 1.0
_END_OF_JPEG = b"\xff\xd9"


class Thumbnails:
    """The folder of one storyboard's thumbnails.

    Each is replaced as a whole, so several threads and processes may make them at once. `prune` is for the one run that
    holds the storyboard's lock.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, take: Path) -> Path:
        """Return the path of a take's thumbnail, whether it is there yet or not."""
        return self._folder / f"{take.stem}.jpg"

    def make(self, takes: Iterable[Path]) -> dict[Path, Path | None]:
        """Return the thumbnail of each take, None where the take cannot be read as a picture.

        Only those are made that are missing, broken, or of a file that has since been replaced.

        Raises:
            StorageError: one could not be written; those that were made are kept.
        """
        thumbnails: dict[Path, Path | None] = {take: self.path(take) for take in takes}
        outdated = [take for take, path in thumbnails.items() if path and not _is_current(path, take)]
        if outdated:
            # Threads are enough: Pillow releases the interpreter's lock while it decodes and resizes.
            with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="thumbnails") as pool:
                thumbnails.update(zip(outdated, pool.map(self.make_one, outdated), strict=True))
        return thumbnails

    def make_one(self, take: Path) -> Path | None:
        """Make the thumbnail of a take; return it, None where the take cannot be read as a picture.

        Raises:
            StorageError: it could not be written.
        """
        try:
            # Taken before the picture is read: if the file is replaced meanwhile, the thumbnail counts as outdated.
            changed_ns = take.stat().st_mtime_ns
            thumbnail = _shrink(take)
        except (UnreadablePictureError, OSError):
            return None
        path = self.path(take)
        _write(path, thumbnail, changed_ns)
        return path

    def make_of(self, take: Path, picture: Image.Image, *, changed_ns: int) -> None:
        """Make the thumbnail of a take from its picture, if it is outdated; that saves reading the file again.

        Args:
            take: the take's file.
            picture: the whole of it, as RGB.
            changed_ns: the file's modification time in nanoseconds, taken before it was read.

        Raises:
            StorageError: it could not be written.
        """
        path = self.path(take)
        if not _is_current(path, take):
            _write(path, _as_jpeg(picture, fitting_size(picture.size)), changed_ns)

    def prune(self, takes: Iterable[Path]) -> None:
        """Remove the thumbnails of all takes but these, and what a killed run left half written.

        Raises:
            StorageError: one could not be removed.
        """
        kept = {self.path(take) for take in takes}
        with storage_errors(self._folder):
            for path in set(self._folder.glob("*.jpg")) - kept:
                path.unlink(missing_ok=True)


def _is_current(path: Path, take: Path) -> bool:
    """Return whether a thumbnail is complete and has the modification time of its take's file."""
    try:
        if path.stat().st_mtime_ns != take.stat().st_mtime_ns:
            return False
        with path.open("rb") as file:
            file.seek(-len(_END_OF_JPEG), os.SEEK_END)
            return file.read() == _END_OF_JPEG
    except OSError:
        return False


def _write(path: Path, thumbnail: bytes, changed_ns: int) -> None:
    """Write a thumbnail whole or not at all, but without fsync: after a power cut it is simply made again."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{secrets.token_hex(8)}{path.suffix}")
        try:
            temporary.write_bytes(thumbnail)
            os.utime(temporary, ns=(changed_ns, changed_ns))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _shrink(take: Path) -> bytes:
    picture = open_picture(take)
    size = fitting_size((picture.size.width, picture.size.height))
    # Of JPEGs a draft. Measured at 1344x768: a PSNR of 42 dB to a thumbnail of the picture decoded whole, in a third of
    # the time.
    rgb, box = decode_reduced(picture, Size(*size))
    return _as_jpeg(rgb, size, box)


def _as_jpeg(rgb: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float] | None = None) -> bytes:
    small = rgb.resize(size, Image.Resampling.LANCZOS, box, _REDUCING_GAP)
    jpeg = io.BytesIO()
    # Pillow would copy a comment of the take, such as its prompt.
    small.save(jpeg, "JPEG", quality=_QUALITY, comment=b"")
    return jpeg.getvalue()


def fitting_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size at which a picture's longest side is a thumbnail's; small pictures stay as they are."""
    scale = min(1.0, THUMBNAIL_SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
