"""Takes stay in the store as they came, but for a text; none is overwritten, and no paid body is thrown away."""

import errno
import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.common.errors import StorageError, UsageError
from pipelines.common.geometry import Size
from pipelines.endpoints.image_check import UnusablePictureError
from pipelines.ledger.models import NewTake, Remark, RemarkKind
from pipelines.takes.models import Take
from pipelines.takes.png_metadata import metadata_chunks
from pipelines.takes.store import TakeStore, check_and_store
from tests.support.builders import take_spec
from tests.support.faults import failing
from tests.support.pictures import picture_bytes, png_chunk, write
from tests.support.takes import names_in, prepared_store, stored_take


@pytest.fixture
def store(tmp_path: Path) -> TakeStore:
    """A prepared store in a fresh folder."""
    return prepared_store(tmp_path / "harbor")


def sha256(data: bytes) -> str:
    """Return the hex sha-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()


def test_preparing_makes_the_folder_and_leaves_nothing_else(store: TakeStore) -> None:
    """Preparing twice is as good as once."""
    store.prepare()

    assert (names_in(store.folder), names_in(store.takes)) == (["takes"], [])


def test_a_folder_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    """A file in the way is reported before anything is sent, with the cure."""
    folder = write(tmp_path / "harbor", b"a file")

    with pytest.raises(UsageError, match=r"harbor: cannot be written to: .+; choose another --output$"):
        TakeStore(folder).prepare()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_stored_take_has_its_original_bytes_and_is_found(store: TakeStore, suffix: str) -> None:
    """What was generated is kept as it came, under its request key."""
    write(store.part_path(7), b"as it came")

    path, spare = store.store(7, request_key="key", suffix=suffix)

    assert not spare
    assert (path, path.read_bytes(), store.find("key")) == (store.takes / f"key{suffix}", b"as it came", path)
    assert store.find_all() == {"key": path}
    assert names_in(store.takes) == [f"key{suffix}"]


@pytest.mark.parametrize("name", ["key.txt", "key", ".7.part", "key.png.tmp"])
def test_what_is_no_take_is_not_found(store: TakeStore, name: str) -> None:
    """Parts and foreign files are not taken for takes."""
    write(store.takes / name, b"no take")

    assert (store.find("key"), store.find_all()) == (None, {})


def test_a_take_of_another_request_is_not_found(store: TakeStore) -> None:
    """Its name says what it answers."""
    other = write(store.takes / "other.png", b"another take")

    assert (store.find("key"), store.find_all()) == (None, {"other": other})


def test_where_there_is_no_folder_there_are_no_takes(tmp_path: Path) -> None:
    """Looking makes none."""
    store = TakeStore(tmp_path / "harbor")

    assert (store.find("key"), store.find_all(), store.folder.exists()) == (None, {}, False)


def test_a_folder_named_like_a_take_is_none(store: TakeStore) -> None:
    """Only files are takes."""
    (store.takes / "key.png").mkdir()

    assert store.find("key") is None


def test_a_take_that_cannot_be_made_durable_is_a_storage_error(store: TakeStore) -> None:
    """Where the part is gone, so is the take, and the error says so."""
    with pytest.raises(StorageError, match=r"key\.png: cannot be written: No such file or directory"):
        store.store(7, request_key="key", suffix=".png")

    assert store.find("key") is None


def test_a_take_is_never_overwritten(store: TakeStore) -> None:
    """An attempt that comes second, of a run that was suspended for too long, has its image kept as a spare."""
    for attempt_id, body in ((7, b"the first"), (9, b"the second")):
        write(store.part_path(attempt_id), body)

    first, second = (store.store(attempt_id, request_key="key", suffix=".png") for attempt_id in (7, 9))

    assert (first, second) == ((store.takes / "key.png", False), (store.takes / "spare" / "9.png", True))
    assert (first[0].read_bytes(), second[0].read_bytes()) == (b"the first", b"the second")
    assert names_in(store.takes) == ["key.png", "spare"]


def test_a_take_is_not_overwritten_where_links_do_not_work(store: TakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without them keeps the first of two all the same."""
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    for attempt_id, body in ((7, b"the first"), (9, b"the second")):
        write(store.part_path(attempt_id), body)

    found = [store.store(attempt_id, request_key="key", suffix=".png")[0].read_bytes() for attempt_id in (7, 9)]

    assert (found, (store.takes / "key.png").read_bytes()) == ([b"the first", b"the second"], b"the first")


# --- bodies that are no takes


def test_a_useless_body_is_quarantined(store: TakeStore) -> None:
    """It was paid for: it is moved out of the way, not thrown away."""
    part = write(store.part_path(7), b"<html>")

    path = store.quarantine(7)

    assert path == store.takes / "unusable" / "7.bin"
    assert (path.read_bytes(), part.exists()) == (b"<html>", False)


@pytest.mark.parametrize("body", [b"", None])
def test_an_empty_or_absent_body_is_dropped(store: TakeStore, body: bytes | None) -> None:
    """Nothing is kept of nothing."""
    part = store.part_path(7)
    if body is not None:
        write(part, body)

    assert (store.quarantine(7), names_in(store.takes)) == (None, [])


def test_a_body_that_cannot_be_quarantined_is_a_storage_error(store: TakeStore) -> None:
    """A file in the way of the folder is named, and the body stays where it is."""
    part = write(store.part_path(7), b"<html>")
    write(store.takes / "unusable", b"in the way")

    with pytest.raises(StorageError, match="cannot be written"):
        store.quarantine(7)

    assert part.read_bytes() == b"<html>"


def test_a_damaged_take_makes_room_under_its_own_name(store: TakeStore) -> None:
    """The one that is generated in its place finds its name free; the rest of the old one can be looked at."""
    path = write(store.takes / "key.png", b"half")

    store.quarantine_damaged(path)

    assert (store.find("key"), (store.takes / "unusable" / "key.png").read_bytes()) == (None, b"half")


# --- takes of other storyboards


def other_take(tmp_path: Path) -> Take:
    """Return a take of another storyboard."""
    return stored_take(prepared_store(tmp_path / "other"), take_spec(), b"generated there")


def test_a_take_of_another_storyboard_is_imported_as_a_link(store: TakeStore, tmp_path: Path) -> None:
    """It takes no room of its own, and outlives the other folder."""
    take = other_take(tmp_path)

    imported = store.import_take(take)

    assert imported == replace(take, path=store.takes / take.path.name)
    assert imported.path.samefile(take.path)
    shutil.rmtree(take.path.parent)
    assert imported.path.read_bytes() == b"generated there"


def test_a_take_is_copied_where_links_do_not_work(
    store: TakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another file system a whole copy serves."""
    take = other_take(tmp_path)
    monkeypatch.setattr(os, "link", failing(errno.EXDEV))

    imported = store.import_take(take)

    assert (imported.path.read_bytes(), imported.path.samefile(take.path)) == (b"generated there", False)
    assert names_in(store.takes) == [take.path.name]


def test_importing_what_is_there_changes_nothing(store: TakeStore, tmp_path: Path) -> None:
    """A take of one's own, or one imported before, is only pointed to."""
    take = other_take(tmp_path)
    imported = store.import_take(take)
    inode = imported.path.stat().st_ino

    assert (store.import_take(take), store.import_take(imported), imported.path.stat().st_ino) == (
        imported,
        imported,
        inode,
    )


def test_a_damaged_copy_is_replaced_when_imported_again(store: TakeStore, tmp_path: Path) -> None:
    """A truncated copy in this folder does not hide the sound take of the other."""
    take = other_take(tmp_path)
    write(store.takes / take.path.name, b"gene")

    assert store.import_take(take).path.read_bytes() == b"generated there"


# --- an attempt's body, checked


@pytest.mark.parametrize(("kind", "suffix"), [("PNG", ".png"), ("JPEG", ".jpg"), ("WEBP", ".webp")])
def test_a_checked_body_becomes_the_take_that_it_is(store: TakeStore, kind: str, suffix: str) -> None:
    """The suffix is that of its format; size, hash and pixels are those of the file."""
    body = picture_bytes(kind, (16, 8))
    write(store.part_path(7), body)

    take = check_and_store(store, 7, "key", asked=Size(16, 8))

    assert take == NewTake(f"takes/key{suffix}", len(body), take.sha256, 16, 8)
    assert names_in(store.takes) == [f"key{suffix}"]


TEXT = metadata_chunks(Take(take_spec(), Path("take.png"), "a harbor at dawn", None))


def test_a_plain_png_gets_its_text_before_it_is_kept(store: TakeStore) -> None:
    """Its own bytes stand around the text; the ledger vouches for the file, and knows what came."""
    body = picture_bytes("PNG", (16, 8))
    write(store.part_path(7), body)

    take = check_and_store(store, 7, "key", asked=Size(16, 8), metadata=TEXT)

    kept = (store.takes / "key.png").read_bytes()
    assert kept == body[:33] + TEXT + body[33:]
    assert take == NewTake("takes/key.png", len(kept), sha256(kept), 16, 8, body_sha256=sha256(body))
    assert names_in(store.takes) == ["key.png"]


@pytest.mark.parametrize(
    "body",
    [
        picture_bytes("JPEG", (16, 8)),
        picture_bytes("PNG", (8, 8)),
        picture_bytes("PNG", (16, 8), (9, 9, 9, 9), "RGBA"),
        picture_bytes("PNG", (16, 8))[:33] + png_chunk(b"gAMA", b"\0\0\x4e\x20") + picture_bytes("PNG", (16, 8))[33:],
        picture_bytes("PNG", (16, 8)) + b"more",
    ],
    ids=["JPEG", "of another size", "see-through", "with gamma", "with bytes behind it"],
)
def test_a_picture_whose_frame_is_another_file_stays_as_it_came(store: TakeStore, body: bytes) -> None:
    """A text would not make it the frame's file."""
    write(store.part_path(7), body)

    take = check_and_store(store, 7, "key", asked=Size(16, 8), metadata=TEXT)

    assert ((store.folder / take.file).read_bytes(), take.sha256, take.body_sha256) == (body, sha256(body), None)


def test_a_take_is_kept_where_its_text_cannot_be_written(store: TakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was paid for: no room for a copy of it is no reason to lose it, and nothing is left over."""
    body = picture_bytes("PNG", (16, 8))
    write(store.part_path(7), body)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", failing(errno.ENOSPC))
        take = check_and_store(store, 7, "key", asked=Size(16, 8), metadata=TEXT)

    assert ((store.folder / take.file).read_bytes(), take.sha256) == (body, sha256(body))
    assert names_in(store.takes) == ["key.png"]


def test_a_body_of_another_size_than_required_stays_where_it_is(store: TakeStore) -> None:
    """The error names both sizes."""
    part = write(store.part_path(7), picture_bytes("PNG", (16, 8)))

    with pytest.raises(UnusablePictureError, match="16x8 pixels where 8x8 were asked for, and fit is error"):
        check_and_store(store, 7, "key", asked=Size(8, 8), must_fit=True)

    assert (part.is_file(), store.find("key")) == (True, None)


def test_a_take_that_came_second_is_stored_with_a_remark(store: TakeStore) -> None:
    """The ledger says why its file lies elsewhere."""
    write(store.takes / "key.png", b"the first")
    write(store.part_path(9), picture_bytes())

    take = check_and_store(store, 9, "key", asked=Size(64, 64))

    assert take.file == "takes/spare/9.png"
    assert Remark(RemarkKind.SPARE, "had been generated meanwhile: kept as a spare") in take.remarks


@pytest.mark.parametrize(
    ("made", "texts"),
    [
        ((1344, 768), []),
        ((1792, 1024), []),
        ((672, 384), ["was made at 672x384 instead of 1344x768"]),
        ((1792, 1025), ["was made at 1792x1025 instead of 1344x768"]),
    ],
)
def test_a_larger_picture_of_the_same_shape_has_all_that_was_asked_for(
    store: TakeStore, made: tuple[int, int], texts: list[str]
) -> None:
    """Of any other size it is remarked."""
    store.part_path(1).write_bytes(picture_bytes("PNG", made))

    take = check_and_store(store, 1, "a" * 64, asked=Size(1344, 768))

    assert [remark.text for remark in take.remarks] == texts
