"""Files are written whole or not at all, whichever step fails."""

import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import BinaryIO

import pytest

from pipelines.common.errors import FilmError, StorageError
from pipelines.common.files import (
    atomic_path,
    hash_file,
    link_or_copy,
    publish_file,
    publish_new_file,
    share_file,
    storage_errors,
    write_atomic,
)

CURE = "free space or choose another --output"


def failing(code: int):  # type: ignore[no-untyped-def]
    """Return a system call that fails with this error."""

    def fail(*_args: object, **_options: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def test_a_file_is_written_with_its_folders(tmp_path: Path) -> None:
    """Missing folders are made; nothing but the file is left."""
    path = tmp_path / "a" / "b" / "file.txt"

    write_atomic(path, b"whole")

    assert path.read_bytes() == b"whole"
    assert list(path.parent.iterdir()) == [path]


def test_an_existing_file_is_replaced(tmp_path: Path) -> None:
    """The new content stands under the old name."""
    path = tmp_path / "file.txt"
    path.write_text("a longer old content")

    write_atomic(path, b"new")

    assert path.read_text() == "new"


def test_the_final_name_shows_only_whole_files(tmp_path: Path) -> None:
    """While it is written, the file has another name with the same suffix, in the same folder."""
    path = tmp_path / "film.mp4"

    with atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        during = path.exists()
        temporary.write_bytes(b"whole")

    assert not during
    assert (temporary.parent, temporary.suffix) == (path.parent, ".mp4")
    assert path.read_bytes() == b"whole"


def test_two_writers_never_share_a_temporary_name(tmp_path: Path) -> None:
    """Both may write at once; the last one wins, whole."""
    path = tmp_path / "file.txt"

    with atomic_path(path) as one, atomic_path(path) as two:
        one.write_text("one")
        two.write_text("two")

    assert one != two
    assert path.read_text() == "one"


@pytest.mark.parametrize("error", [FilmError("no film"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_a_failing_block_leaves_everything_as_it_was(tmp_path: Path, error: BaseException) -> None:
    """The block's own error passes through; the old file stands and no temporary file is left."""
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write_half() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(type(error)):
        write_half()

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("call", "code"),
    [("fsync", errno.EIO), ("fsync", errno.ENOSPC), ("replace", errno.EACCES), ("open", errno.EROFS)],
)
def test_a_failing_system_call_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    """Whichever step fails, the old file stands, and the error names the file and the cure."""
    path = tmp_path / "file.txt"
    path.write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(code))

        with pytest.raises(StorageError) as caught:
            write_atomic(path, b"new")

    assert str(caught.value) == f"{path}: cannot be written: {os.strerror(code)}; {CURE}"
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_while_writing_is_a_storage_error(tmp_path: Path) -> None:
    """An error of the block's own writing is reported in the same words."""
    path = tmp_path / "file.txt"

    with pytest.raises(StorageError) as caught, atomic_path(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert str(caught.value) == f"{path}: cannot be written: No space left on device; {CURE}"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_files_place_is_a_storage_error(tmp_path: Path) -> None:
    """A folder is never replaced by a file."""
    (tmp_path / "file.txt").mkdir()

    with pytest.raises(StorageError, match=r"file\.txt: cannot be written: Is a directory"):
        write_atomic(tmp_path / "file.txt", b"new")

    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


def test_an_error_without_words_of_the_system_keeps_its_own() -> None:
    """Not every OSError has a number."""
    with pytest.raises(StorageError, match=rf"^here: cannot be written: odd; {CURE}$"), storage_errors(Path("here")):
        raise OSError("odd")


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_files_follow_the_users_umask(tmp_path: Path, umask: int) -> None:
    """A file is as readable to others as any that its user makes."""
    before = os.umask(umask)
    try:
        write_atomic(tmp_path / "file.txt", b"new")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "file.txt").stat().st_mode) == 0o666 & ~umask


def test_content_and_name_are_both_made_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is fsynced before it gets its name, its folder after."""
    path, temporary = tmp_path / "file.txt", tmp_path / "temporary"
    temporary.write_text("new")
    synced: list[tuple[bool, bool]] = []

    def record(descriptor: int) -> None:
        synced.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), path.exists()))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", record)
        publish_file(temporary, path)

    assert synced == [(False, False), (True, True)]


def test_a_folder_that_cannot_be_opened_needs_no_fsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where folders cannot be opened as files, the rename is all there is."""
    (tmp_path / "temporary").write_text("new")
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", failing(errno.EACCES))
        publish_file(tmp_path / "temporary", tmp_path / "file.txt")

    assert (tmp_path / "file.txt").read_text() == "new"


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_new_file_never_replaces_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    """A name that is taken is an error, on any file system, and both files are as they were."""
    path, temporary = tmp_path / "take.png", tmp_path / "temporary"
    path.write_text("first")
    temporary.write_text("second")
    with monkeypatch.context() as patch, pytest.raises(FileExistsError):
        if not links:
            patch.setattr(os, "link", failing(errno.EPERM))
        publish_new_file(temporary, path)

    assert (path.read_text(), temporary.read_text()) == ("first", "second")


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_new_file_takes_a_free_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    """Nothing is left under its temporary name."""
    path, temporary = tmp_path / "take.png", tmp_path / "temporary"
    temporary.write_text("picture")
    with monkeypatch.context() as patch:
        if not links:
            patch.setattr(os, "link", failing(errno.EPERM))
        publish_new_file(temporary, path)

    assert path.read_text() == "picture"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_another_name_of_the_same_file(tmp_path: Path) -> None:
    """No byte is copied where links work; the folder is made."""
    source, target = tmp_path / "source.png", tmp_path / "frames" / "target.png"
    source.write_text("picture")

    link_or_copy(source, target)

    assert target.samefile(source)


@pytest.mark.parametrize("code", [errno.EPERM, errno.EXDEV, errno.EMLINK], ids=errno.errorcode.get)
def test_where_links_do_not_work_a_whole_copy_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Other file systems and full link counts get a copy, and nothing else is left."""
    source, target = tmp_path / "source.png", tmp_path / "target.png"
    source.write_text("picture")
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", failing(code))
        link_or_copy(source, target)

    assert target.read_text() == "picture"
    assert not target.samefile(source)
    assert sorted(tmp_path.iterdir()) == [source, target]


def test_a_link_takes_the_place_of_an_older_file(tmp_path: Path) -> None:
    """A name that is taken is replaced, whole."""
    source, target = tmp_path / "source.png", tmp_path / "target.png"
    source.write_text("picture")
    target.write_text("older")

    link_or_copy(source, target)

    assert target.read_text() == "picture"


@pytest.mark.usefixtures("no_clones")
def test_a_shared_file_takes_no_room_and_is_protected(tmp_path: Path) -> None:
    """Another name of the same file, which nobody is to write into any more under either."""
    source, target = tmp_path / "source.png", tmp_path / "target.png"
    source.write_text("picture")
    source.chmod(0o664)

    share_file(source, target)

    assert target.read_text() == "picture"
    assert (target.samefile(source), stat.filemode(target.stat().st_mode)) == (True, "-r--r--r--")


def test_where_files_can_be_cloned_each_stays_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written into one never shows in the other: neither needs protection."""
    source, target = tmp_path / "source.png", tmp_path / "target.png"
    source.write_text("picture")
    source.chmod(0o664)

    def clone(new: BinaryIO, _: int, original: int) -> int:
        return new.write(os.pread(original, 100, 0))

    monkeypatch.setattr(fcntl, "ioctl", clone)
    share_file(source, target)

    assert target.read_text() == "picture"
    assert (target.samefile(source), stat.filemode(source.stat().st_mode)) == (False, "-rw-rw-r--")


@pytest.mark.usefixtures("no_clones")
@pytest.mark.parametrize("call", ["link", "chmod"])
def test_what_cannot_be_shared_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """A file system without links, and a file that is someone else's to protect."""
    source, target = tmp_path / "source.png", tmp_path / "target.png"
    source.write_text("picture")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(errno.EPERM))
        share_file(source, target)

    assert target.read_text() == "picture"
    assert not target.samefile(source)


def test_linking_what_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    """Neither link nor copy can be made; no half file is left."""
    with pytest.raises(StorageError, match=r"target\.png: cannot be written: No such file or directory"):
        link_or_copy(tmp_path / "nothing.png", tmp_path / "target.png")

    assert list(tmp_path.iterdir()) == []


def test_a_hash_is_of_the_files_bytes(tmp_path: Path) -> None:
    """The hex sha-256, as sha256sum prints it."""
    (tmp_path / "file.txt").write_bytes(b"abc")

    assert hash_file(tmp_path / "file.txt") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
