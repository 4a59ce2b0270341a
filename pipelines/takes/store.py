"""The frame store: takes kept under their request key as they came, and numbered frames laid anew from them."""

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.common.errors import UsageError
from pipelines.common.files import hash_file, link_or_copy, publish_file, publish_new_file, storage_errors
from pipelines.common.geometry import Size
from pipelines.endpoints.image_check import UnusablePictureError, inspect_picture
from pipelines.ledger.models import NewTake
from pipelines.storyboard.plan import FrameSpec
from pipelines.takes.frame_folder import is_as_requested, publish_frame, published_frames
from pipelines.takes.models import Take

_TAKE_SUFFIXES = (".png", ".jpg", ".webp")


class TakeStore:
    """The folder of one storyboard: `takes/` and `frames/` in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.takes = folder / "takes"
        self.frames = folder / "frames"

    def prepare(self) -> None:
        """Make the folder, if it is not there.

        Raises:
            UsageError: it cannot be made or written to.
        """
        try:
            self.takes.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.takes):
                pass
        except OSError as exc:
            reason = exc.strerror or str(exc)
            raise UsageError(f"{self.folder}: cannot be written to: {reason}; choose another --output") from exc

    def part_path(self, attempt_id: int) -> Path:
        """Return where the body of an attempt is written while it arrives."""
        return self.takes / f".{attempt_id}.part"

    def find(self, request_key: str) -> Path | None:
        """Return the take of a request. Takes get their name only when they are whole."""
        candidates = (self.takes / f"{request_key}{suffix}" for suffix in _TAKE_SUFFIXES)
        return next((path for path in candidates if path.is_file()), None)

    def found(self) -> dict[str, Path]:
        """Return every take in the folder by its request key; looking once is quicker than asking for each."""
        paths = self.takes.glob("[!.]*") if self.takes.is_dir() else ()
        return {path.stem: path for path in paths if path.suffix in _TAKE_SUFFIXES}

    def keep(self, attempt_id: int, *, request_key: str, suffix: str) -> tuple[Path, bool]:
        """Make the checked body of an attempt the take of its request: fsynced, then named.

        A take that is there already is never overwritten: then the body is kept beside it, as a spare.

        Returns:
            Where it is, and whether it is a spare.

        Raises:
            StorageError: it could not be made durable.
        """
        part = self.part_path(attempt_id)
        path = self.takes / f"{request_key}{suffix}"
        with storage_errors(path):
            try:
                publish_new_file(part, path)
            except FileExistsError:
                spare = self.takes / "spare" / f"{attempt_id}{suffix}"
                spare.parent.mkdir(exist_ok=True)
                publish_file(part, spare)
                return spare, True
        return path, False

    def quarantine(self, attempt_id: int) -> Path | None:
        """Keep a paid body that is no usable image, for its owner to look at; an empty one is dropped."""
        part = self.part_path(attempt_id)
        path = self.takes / "unusable" / f"{attempt_id}.bin"
        with storage_errors(path):
            if not part.is_file() or not part.stat().st_size:
                part.unlink(missing_ok=True)
                return None
        self._move_aside(part, path)
        return path

    def quarantine_damaged(self, path: Path) -> None:
        """Move a take that is no longer whole out of the way of the one that will be bought in its place."""
        self._move_aside(path, self.takes / "unusable" / path.name)

    def _move_aside(self, path: Path, aside: Path) -> None:
        with storage_errors(aside):
            aside.parent.mkdir(exist_ok=True)
            publish_file(path, aside)

    def import_take(self, take: Take) -> Take:
        """Make a take of another storyboard one of this one's too, so that this folder stands on its own.

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

    def publish_frames(self, shown: Sequence[Take]) -> list[Path]:
        """Lay `frames/` anew: one numbered PNG a frame, of the size asked for, its account in its text chunks.

        Frames that are already laid are linked, not written again. The old folder gives way only to a whole new one.
        Returns their paths in the order of `shown`.

        Raises:
            StorageError: a frame could not be written; the old folder stands.
        """
        self._sweep()
        laid = published_frames(self.frames)
        fresh = self.folder / f".frames-{secrets.token_hex(4)}"
        try:
            with storage_errors(self.frames):
                fresh.mkdir()
                for take in shown:
                    publish_frame(take, fresh / f"{take.spec.name}.png", laid)
                self._swap_in(fresh)
        except BaseException:
            # On a full disk it would hold the very space that is missing.
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        return [self.frame(take.spec) for take in shown]

    def picture(self, take: Take) -> Path:
        """Return where a take's picture can be read as its frame shows it: the take itself, else the laid frame."""
        return take.path if is_as_requested(take) else self.frame(take.spec)

    def frame(self, spec: FrameSpec) -> Path:
        """Return where the numbered frame is laid."""
        return self.frames / f"{spec.name}.png"

    def _swap_in(self, fresh: Path) -> None:
        old = self.folder / f".frames-{secrets.token_hex(4)}"
        if self.frames.exists():
            self.frames.rename(old)
        try:
            fresh.rename(self.frames)
        except OSError:
            if old.exists():
                old.rename(self.frames)
            raise
        shutil.rmtree(old, ignore_errors=True)

    def _sweep(self) -> None:
        """Clear what a killed run left half laid or half cut."""
        for leftover in self.folder.glob(".frames-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        unnamed = f".{'[0-9a-f]' * 16}.*"
        for leftover in (*self.folder.glob(unnamed), *(self.folder / "segments").glob(unnamed)):
            with contextlib.suppress(OSError):
                leftover.unlink()


def store_take(store: TakeStore, attempt_id: int, request_key: str, *, required: Size | None = None) -> NewTake:
    """Check the body of an attempt, as it arrived, and make it the take of its request.

    Args:
        store: the storyboard's takes.
        attempt_id: whose body.
        request_key: what was asked.
        required: the only size that will do; None where any can be fitted.

    Raises:
        UnusablePictureError: it is no usable image; it stays where it is.
        StorageError: it could not be made durable.
    """
    part = store.part_path(attempt_id)
    picture = inspect_picture(part)
    if required not in (None, picture.size):
        raise UnusablePictureError(f"{picture.size} pixels where {required} were asked for, and fit is error")
    sha256, size = hash_file(part), part.stat().st_size
    path, spare = store.keep(attempt_id, request_key=request_key, suffix=f".{picture.format}")
    file = path.relative_to(store.folder).as_posix()
    remark = "its take had been bought meanwhile: kept as a spare" if spare else None
    return NewTake(file, size, sha256, picture.size.width, picture.size.height, remark)
