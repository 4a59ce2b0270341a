"""The numbered frames: a PNG for each frame, of the size asked for, with its metadata in its text chunks."""

import contextlib
import io
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.common.errors import IncompleteError
from pipelines.common.files import link_or_copy, share_file, storage_errors
from pipelines.common.geometry import Fit
from pipelines.common.imaging import decode, fit_picture, open_picture
from pipelines.common.picture_file import PictureFile, PictureFormat, UnreadablePictureError
from pipelines.common.png import IEND, IHDR_END, png_header
from pipelines.film.frame_picture import FramePicture
from pipelines.storyboard.plan import FrameSpec
from pipelines.takes.models import Take
from pipelines.takes.png_metadata import metadata_chunks, read_metadata, with_metadata

# Seconds without a write, after which a temporary file is nobody's.
_LEFTOVER_S = 3600


class UnreadableTakesError(IncompleteError):
    """Takes hold no picture any more; `request_keys` are theirs."""

    def __init__(self, unreadable: Mapping[str, str]) -> None:
        self.request_keys = tuple(unreadable)
        super().__init__(f"{'; '.join(unreadable.values())}; run again")


class FrameFolder:
    """The folder `frames/` of one storyboard; every run replaces it as a whole.

    Attributes:
        folder: the storyboard's.
        frames: the folder in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.frames = folder / "frames"

    def path(self, frame: FrameSpec) -> Path:
        """Return the path of a numbered frame."""
        return self.frames / f"{frame.name}.png"

    def picture(self, take: Take) -> FramePicture:
        """Return the picture that shows a take as its frame shows it: the take itself, else the numbered frame.

        Raises:
            OSError: the take's file cannot be read.
        """
        if is_as_requested(take):
            return FramePicture(take.path, take.sha256)
        fitted = (take.frame.aspect.size, take.frame.fit) if take.sha256 else None
        return FramePicture(self.path(take.frame), take.sha256, fitted)

    def shows(self, picture: Path, take: Take) -> bool:
        """Return whether a file is what shows a take: the take itself, or its numbered frame."""
        return picture in (self.path(take.frame), take.path, self.folder / "takes" / take.path.name)

    def discard(self, frame: Path) -> None:
        """Remove a numbered frame that was damaged; the next run writes it again.

        Raises:
            StorageError: it could not be removed.
        """
        if frame.parent == self.frames:
            with storage_errors(frame):
                frame.unlink(missing_ok=True)

    def publish(self, takes: Sequence[Take]) -> list[Path]:
        """Write a frame for each of `takes`, and nothing else, into the folder; return their paths, in that order.

        Frames that are there already are linked, not written again. The old folder gives way only to a whole new one.

        Raises:
            StorageError: a frame could not be written; the old folder is as it was.
            IncompleteError: a take is of another size than asked for, and the storyboard says that this is an error.
            UnreadableTakesError: takes hold no picture any more; the old folder is as it was.
        """
        self._remove_leftovers()
        # Before the swap: the frames that are there may be linked into the new folder.
        earlier = _frames_by_metadata(self.frames)
        new = self.folder / f".frames-{secrets.token_hex(4)}"
        try:
            with storage_errors(self.frames):
                new.mkdir()
                _publish_frames(takes, new, earlier)
                self._swap_in(new)
        except BaseException:
            # On a full disk it would hold the very space that is missing.
            shutil.rmtree(new, ignore_errors=True)
            raise
        return [self.path(take.frame) for take in takes]

    def _swap_in(self, new: Path) -> None:
        # Two steps, for no folder can be renamed over one that holds files; between them there is no `frames/`.
        old = self.folder / f".frames-{secrets.token_hex(4)}"
        if self.frames.exists():
            self.frames.rename(old)
        try:
            new.rename(self.frames)
        except OSError:
            # Rather the frames of the run before than none.
            if old.exists():
                old.rename(self.frames)
            raise
        shutil.rmtree(old, ignore_errors=True)

    def _remove_leftovers(self) -> None:
        """Remove what killed runs left half published or half written."""
        for leftover in self.folder.glob(".frames-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        # The temporary names of `atomic_path`. Other runs write here too, perhaps on machines whose clocks differ.
        temporary = f".{'[0-9a-f]' * 16}.*"
        now = _file_system_time(self.folder)
        for leftover in (*self.folder.glob(temporary), *(self.folder / "segments").glob(temporary)):
            with contextlib.suppress(OSError):
                if now - leftover.stat().st_mtime > _LEFTOVER_S:
                    leftover.unlink()


def _file_system_time(folder: Path) -> float:
    """Return the time by which the files of a folder are stamped, in seconds since 1970."""
    with tempfile.TemporaryFile(dir=folder) as probe:
        return os.fstat(probe.fileno()).st_mtime


def is_as_requested(take: Take) -> bool:
    """Return whether a take is a PNG of the size asked for, whose pixels its frame takes over as they are.

    Raises:
        OSError: its file cannot be read.
    """
    # Only its two ends are read: takes are megabytes long, and were checked as they arrived.
    with take.path.open("rb") as file:
        head = file.read(IHDR_END)
        file.seek(-min(len(IEND), take.path.stat().st_size), os.SEEK_END)
        return file.read() == IEND and _fits(head, take)


def _fits(png: bytes, take: Take) -> bool:
    try:
        header = png_header(png)
    except UnreadablePictureError:
        return False
    return header.is_plain and header.size == take.frame.aspect.size


def _publish_frames(takes: Sequence[Take], folder: Path, earlier: Mapping[bytes, Path]) -> None:
    unreadable: dict[str, str] = {}
    for take in takes:
        try:
            _publish_frame(take, folder / f"{take.frame.name}.png", earlier)
        except UnreadablePictureError as exc:
            # All are found at once, not one a run.
            unreadable[take.spec.request_key] = f"{take.spec.label}: {exc}"
    if unreadable:
        raise UnreadableTakesError(unreadable)


def _publish_frame(take: Take, target: Path, earlier: Mapping[bytes, Path]) -> None:
    metadata = metadata_chunks(take)
    same = earlier.get(metadata)
    # A take newer than its frame was generated again after it was lost, and is another picture.
    if same and same.stat().st_mtime_ns >= take.path.stat().st_mtime_ns:
        link_or_copy(same, target)
    else:
        _write_frame(take, metadata, target)


def _write_frame(take: Take, metadata: bytes, target: Path) -> None:
    """Write a frame that shows in any viewer what the film shows: pixels, and texts of ours."""
    # Every checksum is held against its chunk.
    picture = open_picture(take.path)
    as_it_is = picture.format is PictureFormat.PNG and _fits(picture.data, take)
    if as_it_is and _is_described(take.path, picture, metadata):
        share_file(take.path, target)
        return
    with target.open("wb") as file:
        file.writelines(with_metadata(picture.data if as_it_is else _fitted_png(picture, take), metadata))


def _is_described(take: Path, picture: PictureFile, metadata: bytes) -> bool:
    """Return whether a take's file holds its picture with exactly this metadata, and nothing else."""
    return take.stat().st_size == len(picture.data) + len(metadata) and read_metadata(take) == metadata


def _fitted_png(picture: PictureFile, take: Take) -> bytes:
    """Return the take as a PNG of the size asked for.

    Raises:
        IncompleteError: it is of another size, and the storyboard says that this is an error.
        UnreadablePictureError: it is damaged.
    """
    frame, size = take.frame, take.frame.aspect.size
    if frame.fit is Fit.ERROR and picture.size != size:
        raise IncompleteError(
            f"{frame.label}: its take is not of {size} pixels and fit is error; choose cover, contain or stretch"
        )
    png = io.BytesIO()
    fit_picture(decode(picture), size, frame.fit).save(png, "PNG")
    return png.getvalue()


def _frames_by_metadata(folder: Path) -> dict[bytes, Path]:
    """Return the whole frames of an earlier run by their metadata."""
    # It holds the request key, the size and the fit: all that a frame's pixels depend on.
    return {metadata: path for path in folder.glob("frame_*.png") if (metadata := read_metadata(path))}
