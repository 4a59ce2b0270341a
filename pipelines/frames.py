"""The frame store: takes kept under their request key as they came, and numbered frames laid anew from them."""

import contextlib
import io
import os
import secrets
import shutil
import struct
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from PIL import Image, ImageOps

from pipelines.aspect import Fit, Size
from pipelines.errors import IncompleteError, UsageError
from pipelines.files import link_or_copy, settle, settle_new, storage_errors
from pipelines.plan import FrameSpec
from pipelines.pricing import plain

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_IHDR_END = len(_PNG_SIGNATURE) + 25
_TAKE_SUFFIXES = (".png", ".jpg", ".webp")
_IEND = b"\x00\x00\x00\x00IEND\xaeB`\x82"
# The last text chunk of ours; where it stands, the account is complete.
_SEAL = ("Software", "storyreel")
# Room for a prompt of 2,048 characters of four bytes each, and the rest.
_ACCOUNT_MAX_BYTES = 16 << 10
_BLACK = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Take:
    """One generation of a frame: its file, the prompt that made it, and what it cost where that is known."""

    spec: FrameSpec
    path: Path
    prompt: str
    cost_usd: Decimal | None


class FrameStore:
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
                settle_new(part, path)
            except FileExistsError:
                spare = self.takes / "spare" / f"{attempt_id}{suffix}"
                spare.parent.mkdir(exist_ok=True)
                settle(part, spare)
                return spare, True
        return path, False

    def set_aside(self, attempt_id: int) -> Path | None:
        """Keep a paid body that is no usable image, for its owner to look at; an empty one is dropped."""
        part = self.part_path(attempt_id)
        path = self.takes / "unusable" / f"{attempt_id}.bin"
        with storage_errors(path):
            if not part.is_file() or not part.stat().st_size:
                part.unlink(missing_ok=True)
                return None
        self._move_aside(part, path)
        return path

    def clear_damaged(self, path: Path) -> None:
        """Move a take that is no longer whole out of the way of the one that will be bought in its place."""
        self._move_aside(path, self.takes / "unusable" / path.name)

    def _move_aside(self, path: Path, aside: Path) -> None:
        with storage_errors(aside):
            aside.parent.mkdir(exist_ok=True)
            settle(path, aside)

    def adopt(self, take: Take) -> Take:
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

    def lay(self, shown: Sequence[Take]) -> list[Path]:
        """Lay `frames/` anew: one numbered PNG a frame, of the size asked for, its account in its text chunks.

        Frames that are already laid are linked, not written again. The old folder gives way only to a whole new one.
        Returns their paths in the order of `shown`.

        Raises:
            StorageError: a frame could not be written; the old folder stands.
        """
        self._sweep()
        laid = _laid_frames(self.frames)
        fresh = self.folder / f".frames-{secrets.token_hex(4)}"
        try:
            with storage_errors(self.frames):
                fresh.mkdir()
                for take in shown:
                    _lay_frame(take, fresh / f"{take.spec.name}.png", laid)
                self._swap_in(fresh)
        except BaseException:
            # On a full disk it would hold the very space that is missing.
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        return [self.frame(take.spec) for take in shown]

    def picture(self, take: Take) -> Path:
        """Return where a take's picture can be read as its frame shows it: the take itself, else the laid frame."""
        return take.path if is_as_asked(take) else self.frame(take.spec)

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


def is_as_asked(take: Take) -> bool:
    """Say whether a take is a whole PNG of the size asked for, so that its frame shows it as it came."""
    with take.path.open("rb") as file:
        head = file.read(_IHDR_END)
        file.seek(-min(len(_IEND), take.path.stat().st_size), os.SEEK_END)
        return _shows(take, head, file.read())


def _shows(take: Take, head: bytes, tail: bytes) -> bool:
    sound = len(head) >= _IHDR_END and head.startswith(_PNG_SIGNATURE) and tail.endswith(_IEND)
    return sound and _png_size(head) == take.spec.aspect.size


def _lay_frame(take: Take, target: Path, laid: Mapping[bytes, Path]) -> None:
    account = _account_chunks(take)
    same = laid.get(account)
    # A take newer than its frame was bought again after it was lost, and is another picture.
    if same and same.stat().st_mtime_ns >= take.path.stat().st_mtime_ns:
        link_or_copy(same, target)
    else:
        _write_frame(take, account, target)


def _write_frame(take: Take, account: bytes, target: Path) -> None:
    data = take.path.read_bytes()
    if not _shows(take, data[:_IHDR_END], data[_IHDR_END:]):
        data = _redrawn(take)
    with target.open("wb") as file:
        file.write(data[:_IHDR_END] + account + data[_IHDR_END:])


def _redrawn(take: Take) -> bytes:
    """Return the take as a PNG of the size asked for.

    Raises:
        IncompleteError: it is of another size, and the storyboard says that this is an error.
    """
    size = take.spec.aspect.size
    with Image.open(take.path) as image:
        picture = image.convert("RGB")
    if take.spec.fit is Fit.ERROR and picture.size != (size.width, size.height):
        raise IncompleteError(
            f"{take.spec.label}: its take is not of {size} pixels and fit is error; choose cover, contain or stretch"
        )
    fitted = fit_picture(picture, size, take.spec.fit)
    png = io.BytesIO()
    fitted.save(png, "PNG")
    return png.getvalue()


def fit_picture(picture: Image.Image, size: Size, fit: Fit) -> Image.Image:
    """Lay an RGB picture into `size` pixels: cropped (cover), on black (contain), or stretched."""
    wanted = (size.width, size.height)
    if picture.size == wanted:
        return picture
    match fit:
        case Fit.CONTAIN:
            return ImageOps.pad(picture, wanted, Image.Resampling.LANCZOS, color=_BLACK)
        case Fit.STRETCH:
            return picture.resize(wanted, Image.Resampling.LANCZOS)
        case _:
            return ImageOps.fit(picture, wanted, Image.Resampling.LANCZOS)


def _account_chunks(take: Take) -> bytes:
    """Return the frame's account as PNG text chunks (iTXt: UTF-8, uncompressed; PNG specification, 11.3.3.4)."""
    spec = take.spec
    account = {
        "prompt": take.prompt,
        "steps": str(spec.steps),
        "size": str(spec.aspect.size),
        "fit": spec.fit.value,
        "cost_usd": "unknown" if take.cost_usd is None else plain(take.cost_usd),
        "request_key": spec.request_key,
    }
    return b"".join(_text_chunk(keyword, text) for keyword, text in [*account.items(), _SEAL])


def _text_chunk(keyword: str, text: str) -> bytes:
    # Keyword, no compression (two zeros), no language, no translated keyword, text.
    data = b"iTXt" + keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode()
    return struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))


def _png_size(data: bytes) -> Size:
    return Size(*struct.unpack(">II", data[16:24]))


def _laid_frames(folder: Path) -> dict[bytes, Path]:
    """Return the whole frames of an earlier run by their account."""
    return {account: path for path in folder.glob("frame_*.png") if (account := _read_account(path))}


def _read_account(path: Path) -> bytes | None:
    """Return a frame's account; None where there is none, or the file cannot be read or does not end as a PNG does."""
    seal = _text_chunk(*_SEAL)
    try:
        with path.open("rb") as file:
            head = file.read(_IHDR_END + _ACCOUNT_MAX_BYTES)
            file.seek(-min(len(_IEND), path.stat().st_size), os.SEEK_END)
            whole = file.read() == _IEND
    except OSError:
        return None
    end = head.find(seal, _IHDR_END)
    return head[_IHDR_END : end + len(seal)] if whole and end > 0 else None
