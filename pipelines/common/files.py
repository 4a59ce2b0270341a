"""Files that are written whole or not at all, linked and hashed; everything that storyreel keeps is written here."""

import contextlib
import hashlib
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from pipelines.common.errors import StorageError

# ioctl_ficlone(2), a request of Linux alone.
_FICLONE = 0x40049409
_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


@contextlib.contextmanager
def scratch_path(path: Path) -> Iterator[Path]:
    """Yield the path of a new, empty file beside `path`, with its suffix; the file is removed as the block ends.

    Folders that are missing are made.

    Raises:
        OSError: the file could not be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder: a rename within a file system is one step, across two it is a copy.
    temporary = path.with_name(f".{secrets.token_hex(8)}{path.suffix}")
    # Not mkstemp: its files are private to their owner, and a film should follow the user's umask.
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; publish its file as `path` if the block ends without an error.

    Else the file is removed. The temporary name keeps the suffix, for programs that choose a format by it. Folders that
    are missing are made. An OSError in the block is translated too.

    Raises:
        StorageError: the file could not be made, written or renamed; `path` is as it was.
    """
    with storage_errors(path), scratch_path(path) as temporary:
        yield temporary
        publish_file(temporary, path)


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all.

    Raises:
        StorageError: it could not be written; `path` is as it was.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def publish_file(temporary: Path, path: Path) -> None:
    """Give a written file its final name so that it survives a power cut; a file of that name is replaced.

    Raises:
        OSError: it could not be done; `path` holds either its old content or the whole of the new.
    """
    # In this order: the content before the name that promises it, then the folder, which holds the name.
    _sync(temporary)
    temporary.replace(path)
    _sync_folder(path.parent)


def publish_new_file(temporary: Path, path: Path) -> None:
    """Give a written file its final name as `publish_file` does, but never replace a file of that name.

    Raises:
        FileExistsError: there is a file of this name; both are as they were.
        OSError: it could not be done.
    """
    _sync(temporary)
    try:
        # A link fails where the name is taken, in one step; a rename would replace.
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links: between this look and the rename another could come, as nowhere else.
        if path.exists():
            raise FileExistsError(path) from None
        temporary.rename(path)
    else:
        temporary.unlink()
    _sync_folder(path.parent)


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` another name of `source`'s file; where that cannot be, a whole copy that replaces it.

    Raises:
        StorageError: neither could be made.
    """
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:
            # The name is taken, the two are on different file systems, or this one has no links.
            with atomic_path(target) as temporary:
                shutil.copyfile(source, temporary)


def share_file(source: Path, target: Path) -> None:
    """Make `target` a file of the bytes of `source` that takes no room beside it, where the file system can do that.

    It is a clone, which parts from `source` as soon as either is written to; else a second name of `source`'s file,
    which is then read-only, for what is written to one is written to both; else a copy.

    Raises:
        OSError: it could not be made, or there is a file of that name.
    """
    if _clone(source, target):
        return
    try:
        source.chmod(stat.S_IMODE(source.stat().st_mode) & ~_WRITABLE)
        os.link(source, target)
    except OSError:
        # Another file system, one without links, or a file that is someone else's to protect.
        shutil.copyfile(source, target)


def _clone(source: Path, target: Path) -> bool:
    """Make `target` a clone of `source`; return False, and leave nothing, where the file system has none."""
    if sys.platform != "linux":
        return False
    # Not at the top of the file: Windows has no such module.
    import fcntl

    with source.open("rb") as original, target.open("xb") as clone:
        try:
            fcntl.ioctl(clone, _FICLONE, original.fileno())
        except OSError:
            target.unlink()
            return False
    return True


def hash_file(path: Path) -> str:
    """Return the sha-256 of the file's bytes in hexadecimal, as sha256sum prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Translate an OSError in the block into a StorageError that names `path` and the cure.

    Raises:
        StorageError: in place of the OSError.
    """
    try:
        yield
    except OSError as exc:
        reason = exc.strerror or str(exc)
        raise StorageError(f"{path}: cannot be written: {reason}; free space or choose another --output") from exc


def _sync(path: Path) -> None:
    # For reading only: a take that shares its file with a frame is protected from being written to. Windows syncs no
    # file that is open so.
    with path.open("rb+" if sys.platform == "win32" else "rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        # Windows cannot open a folder, and needs no fsync of it.
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
