"""Write whole or not at all; hash; link. Every byte that storyreel keeps goes through here."""

import contextlib
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from pipelines.common.errors import StorageError


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on a clean exit it is fsynced and renamed onto `path`, else removed.

    The temporary name keeps the suffix, for programs that choose a format by it. An OSError from writing to it is
    translated too.

    Raises:
        StorageError: the file could not be made, written or renamed; `path` is as it was.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{secrets.token_hex(8)}{path.suffix}")
        # Not mkstemp: its files are private to their owner, and a film should follow the user's umask.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        try:
            yield temporary
            settle(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all.

    Raises:
        StorageError: it could not be written; `path` is as it was.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def settle(temporary: Path, path: Path) -> None:
    """Move a written file onto its final path so that it survives a power cut: fsync, rename, fsync the folder.

    Raises:
        OSError: one of the three failed; `path` holds either its old content or the whole of the new.
    """
    _sync(temporary)
    temporary.replace(path)
    _sync_folder(path.parent)


def make_durable_as_new(temporary: Path, path: Path) -> None:
    """Move a written file onto its final path as `settle` does, but never in the place of another.

    Raises:
        FileExistsError: there is a file of this name; both are as they were.
        OSError: the file could not be made durable.
    """
    _sync(temporary)
    try:
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
    """Make `target` another name of `source`; where links don't work, a whole copy of it.

    Raises:
        StorageError: neither could be made.
    """
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:
            with atomic_path(target) as temporary:
                shutil.copyfile(source, temporary)


def hash_file(path: Path) -> str:
    """Return the hex sha-256 of the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Translate an OSError in the block into a StorageError that names `path` and the cure."""
    try:
        yield
    except OSError as exc:
        reason = exc.strerror or str(exc)
        raise StorageError(f"{path}: cannot be written: {reason}; free space or choose another --output") from exc


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
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
