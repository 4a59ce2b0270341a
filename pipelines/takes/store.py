"""The store of takes: a folder in which each take lies under its request key, its picture as it came."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pipelines.common.errors import StorageError, UsageError
from pipelines.common.files import hash_file, link_or_copy, publish_file, publish_new_file, storage_errors
from pipelines.common.geometry import Size
from pipelines.common.picture_file import PictureFormat
from pipelines.endpoints.image_check import Picture, UnusablePictureError, inspect_picture
from pipelines.ledger.models import NewTake, Remark, RemarkKind
from pipelines.takes.models import Take
from pipelines.takes.place import NO_PLACE, Place
from pipelines.takes.png_metadata import describe

_SUFFIXES = tuple(f".{picture_format}" for picture_format in PictureFormat)


class BodyTakenError(Exception):
    """The body of an attempt is no more where it arrived: another run has recovered it, and took its run for dead."""


class TakeStore:
    """The takes of one storyboard, in `takes/` of its folder.

    Attributes:
        folder: the storyboard's.
        takes: where takes lie, and bodies while they arrive.
        place: the output folder that it is in, as the ledger is to know it; without an id where no takes are kept.
    """

    def __init__(self, folder: Path, place: Place = NO_PLACE) -> None:
        self.folder = folder
        self.place = place
        self.takes = folder / "takes"

    def prepare(self) -> None:
        """Make the folder, if it is not there.

        Raises:
            UsageError: it cannot be made or written to.
        """
        try:
            self.takes.mkdir(parents=True, exist_ok=True)
            # Permissions alone don't tell: a full or read-only disk shows only when it is written to.
            with tempfile.TemporaryFile(dir=self.takes):
                pass
        except OSError as exc:
            reason = exc.strerror or str(exc)
            raise UsageError(f"{self.folder}: cannot be written to: {reason}; choose another --output") from exc

    def part_path(self, attempt_id: int) -> Path:
        """Return where the body of an attempt is written while it arrives."""
        # Hidden, so that it never counts as a take; by attempt, so that two runs never write one file.
        return self.takes / f".{attempt_id}.part"

    def describe(self, attempt_id: int, metadata: bytes) -> bool:
        """Put its frame's metadata into the checked body of an attempt, if that makes it the frame's file.

        Returns:
            Whether it was done. Where it cannot be written, the body stays as it came: it was paid for.
        """
        part, described = self.part_path(attempt_id), self._described_path(attempt_id)
        try:
            if not describe(part, metadata, described):
                return False
            described.replace(part)
        except OSError:
            with contextlib.suppress(OSError):
                described.unlink(missing_ok=True)
            return False
        return True

    def _described_path(self, attempt_id: int) -> Path:
        return self.takes / f".{attempt_id}.described"

    def remove_leftovers(self, attempt_id: int) -> None:
        """Remove what a run left half written that was killed beside the body of an attempt.

        Raises:
            StorageError: it could not be removed.
        """
        described = self._described_path(attempt_id)
        with storage_errors(described):
            described.unlink(missing_ok=True)

    def find(self, request_key: str) -> Path | None:
        """Return the take of a request. Takes get their name only when they are whole."""
        candidates = (self.takes / f"{request_key}{suffix}" for suffix in _SUFFIXES)
        return next((path for path in candidates if path.is_file()), None)

    def find_all(self) -> dict[str, Path]:
        """Return every take in the folder by its request key: quicker than `find` for each."""
        paths = self.takes.glob("[!.]*") if self.takes.is_dir() else ()
        return {path.stem: path for path in paths if path.suffix in _SUFFIXES}

    def store(self, attempt_id: int, *, request_key: str, suffix: str) -> tuple[Path, bool]:
        """Make the checked body of an attempt the take of its request: fsynced, then named.

        A take that is there already is never overwritten: then the body is kept beside it, as a spare.

        Returns:
            Its path, and whether it is a spare.

        Raises:
            StorageError: it could not be made durable.
        """
        part = self.part_path(attempt_id)
        path = self.takes / f"{request_key}{suffix}"
        with storage_errors(path):
            try:
                publish_new_file(part, path)
            except FileExistsError:
                # Another run has generated the same take; both are paid for, so both are kept.
                spare = self.takes / "spare" / f"{attempt_id}{suffix}"
                spare.parent.mkdir(exist_ok=True)
                publish_file(part, spare)
                return spare, True
        return path, False

    def quarantine(self, attempt_id: int) -> Path | None:
        """Keep a body that was paid for and is no usable image, and return its path; delete an empty one.

        Raises:
            StorageError: it could not be moved.
        """
        part = self.part_path(attempt_id)
        path = self.takes / "unusable" / f"{attempt_id}.bin"
        with storage_errors(path):
            if not part.is_file() or not part.stat().st_size:
                part.unlink(missing_ok=True)
                return None
        _move(part, path)
        return path

    def quarantine_damaged(self, path: Path) -> None:
        """Move a damaged take out of the way of the one that will be generated in its place.

        Raises:
            StorageError: it could not be moved.
        """
        _move(path, self.takes / "unusable" / path.name)

    def import_take(self, take: Take) -> Take:
        """Make a take of another storyboard one of this one's too, so that this folder is complete in itself.

        Raises:
            StorageError: it could neither be linked nor copied.
        """
        path = self.takes / f"{take.spec.request_key}{take.path.suffix}"
        with storage_errors(path):
            there = path.is_file() and path.stat().st_size == take.path.stat().st_size
        # One of another size is a copy that was damaged: replaced by the sound one.
        if not there:
            link_or_copy(take.path, path)
        return replace(take, path=path)


def check_and_store(
    store: TakeStore,
    attempt_id: int,
    request_key: str,
    *,
    asked: Size,
    must_fit: bool = False,
    metadata: bytes = b"",
) -> NewTake:
    """Check the body of an attempt, as it arrived, and make it the take of its request.

    Args:
        store: the storyboard's takes.
        attempt_id: the attempt.
        request_key: identifies what was asked.
        asked: the size in pixels that was asked for; a picture of far more is refused.
        must_fit: whether only that size is usable; if not, others are fitted, with a remark.
        metadata: of its frame, which a plain PNG of that size carries from now on; none where nothing is known.

    Raises:
        UnusablePictureError: it is no usable image; it stays where it is.
        StorageError: it could not be made durable.
        BodyTakenError: another run has recovered it meanwhile.
    """
    part = store.part_path(attempt_id)
    try:
        return _check_and_store(store, attempt_id, request_key, asked=asked, must_fit=must_fit, metadata=metadata)
    except (OSError, StorageError):
        if part.is_file():
            raise
        raise BodyTakenError(f"{part}: recovered by another run") from None


def _check_and_store(
    store: TakeStore, attempt_id: int, request_key: str, *, asked: Size, must_fit: bool, metadata: bytes
) -> NewTake:
    part = store.part_path(attempt_id)
    picture = inspect_picture(part, asked=asked)
    if must_fit and picture.size != asked:
        raise UnusablePictureError(f"{picture.size} pixels where {asked} were asked for, and fit is error")
    # Read back from the file: the ledger vouches for what the disk has kept, not for what was received.
    sha256, body_sha256 = hash_file(part), None
    if metadata and picture.size == asked and store.describe(attempt_id, metadata):
        sha256, body_sha256 = hash_file(part), sha256
    size = part.stat().st_size
    path, spare = store.store(attempt_id, request_key=request_key, suffix=f".{picture.format}")
    file = path.relative_to(store.folder).as_posix()
    remarks = tuple(_remarks(picture, asked=asked, spare=spare))
    return NewTake(file, size, sha256, picture.size.width, picture.size.height, remarks, store.place.id, body_sha256)


def _remarks(picture: Picture, *, asked: Size, spare: bool) -> Iterator[Remark]:
    # A larger one of the same shape has all that was asked for.
    if picture.size != asked and (picture.size.width < asked.width or asked.share_of(picture.size) < 1):
        yield Remark(RemarkKind.SIZE, f"was made at {picture.size} instead of {asked}")
    if picture.flat_colour:
        yield Remark(RemarkKind.FLAT, f"is one flat colour ({picture.flat_colour})")
    if picture.orientation:
        yield Remark(RemarkKind.ORIENTATION, "had an orientation in its EXIF data, which is dropped")
    if spare:
        yield Remark(RemarkKind.SPARE, "had been generated meanwhile: kept as a spare")


def _move(path: Path, target: Path) -> None:
    with storage_errors(target):
        target.parent.mkdir(exist_ok=True)
        publish_file(path, target)
