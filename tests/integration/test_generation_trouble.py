"""A disk or a ledger that fails while takes are generated: the run stops, and what is paid for is not lost."""

import errno
import io
import os
import sqlite3
from pathlib import Path
from typing import IO, Any

import pytest

from pipelines.common.errors import StorageError
from pipelines.ledger.executor import AsyncLedger
from pipelines.ledger.models import AttemptStatus, NewTake, Outcome
from pipelines.run.outcomes import Failed, Generated, Postponed, Reused
from pipelines.takes.discovery import discover_takes
from pipelines.takes.recovery import recover
from pipelines.takes.store import TakeStore, check_and_store
from tests.support.builders import run
from tests.support.faults import failing
from tests.support.generation import ACCOUNT, SPEC, replies, rig, take_file
from tests.support.pictures import PRICE_USD, image_answer


class FullDisk(io.FileIO):
    """A file on a disk with space for ten bytes."""

    def write(self, data: Any) -> int:
        super().write(bytes(data)[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_a_full_disk_stops_the_run_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The image is paid for and lost: the row says so, and no part of it is left on disk."""
    opened = Path.open

    def open_full(self: Path, *args: Any, **kwargs: Any) -> IO[Any]:
        return FullDisk(self, "w") if self.suffix == ".part" else opened(self, *args, **kwargs)

    async with rig(tmp_path, replies(image_answer(SPEC.frame)), run()) as bench:
        monkeypatch.setattr(Path, "open", open_full)
        outcome = await bench.generate(SPEC)
        monkeypatch.undo()

        assert isinstance(outcome, Failed)
        assert outcome.reason.endswith(
            ".1.part: cannot be written: No space left on device; free space or choose another --output"
        )
        assert (type(bench.stop_signal.error), bench.files(), bench.progress.in_flight) == (StorageError, [], 0)
        assert bench.rows(*ACCOUNT, "error") == [
            (1, "unusable", 200, PRICE_USD, PRICE_USD, None, f"paid for and lost: {outcome.reason}")
        ]


async def test_an_image_that_arrived_whole_outlives_an_error_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it cannot be named for now, the run stops, and the next one keeps it without paying again."""
    async with rig(tmp_path, replies(image_answer(SPEC.frame)), run()) as bench:
        with monkeypatch.context() as patch:
            patch.setattr("pipelines.takes.store.publish_new_file", failing(errno.EIO))
            outcome = await bench.generate(SPEC)

        assert (type(outcome), type(bench.stop_signal.error)) == (Failed, StorageError)
        assert (bench.rows("status", "cost_usd"), bench.files()) == ([(None, PRICE_USD)], ["takes/.1.part"])

    async with rig(tmp_path, replies(image_answer(SPEC.frame)), run("run-2")) as bench:
        recover(bench.ledger, "harbor", store=bench.store)
        assert (bench.rows(*ACCOUNT), await bench.generate(SPEC), bench.requests) == (
            [(1, "ok", 200, PRICE_USD, PRICE_USD, take_file())],
            Reused(SPEC),
            [],
        )


@pytest.mark.parametrize("whole", [True, False])
async def test_an_image_that_another_run_has_recovered_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    """A machine that slept, and was taken for dead, looks again what is still to be generated."""

    def sleep_first(store: TakeStore, attempt_id: int, *args: Any, **kwargs: Any) -> NewTake:
        monkeypatch.undo()
        if whole:
            bench.ledger.keep_take(attempt_id, check_and_store(store, attempt_id, *args, **kwargs))
        else:
            store.quarantine(attempt_id)
            bench.ledger.close_attempt(attempt_id, Outcome(AttemptStatus.UNKNOWN, "its process was killed"))
        return check_and_store(store, attempt_id, *args, **kwargs)

    async with rig(tmp_path, replies(image_answer(SPEC.frame)), run()) as bench:
        monkeypatch.setattr("pipelines.run.attempt.check_and_store", sleep_first)
        outcome, again = await bench.generate(SPEC), await bench.generate(SPEC)

        assert (outcome, bench.stop_signal.error) == (Postponed(SPEC), None)
        assert again == (Reused(SPEC) if whole else Generated(SPEC, 1))
        assert bench.rows("status", "cost_usd") == [("unknown", PRICE_USD)] * (not whole) + [("ok", PRICE_USD)]


async def test_an_image_that_the_ledger_could_not_note_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The take is on disk under its name: this run shows it, and the next one writes it down."""

    async def locked(*_: object) -> None:
        raise StorageError("the ledger cannot be written: database is locked; what was generated is kept")

    async with rig(tmp_path, replies(image_answer(SPEC.frame)), run()) as bench:
        with monkeypatch.context() as patch:
            patch.setattr(AsyncLedger, "keep_take", locked)
            outcome = await bench.generate(SPEC)

        assert (type(outcome), bench.rows("status", "cost_usd")) == (Failed, [(None, PRICE_USD)])
        found = discover_takes(bench.ledger, [SPEC], store=bench.store, output=tmp_path)
        assert list(found.takes) == [SPEC.request_key]

    async with rig(tmp_path, replies(image_answer(SPEC.frame)), run("run-2")) as bench:
        recover(bench.ledger, "harbor", store=bench.store)
        assert (bench.rows(*ACCOUNT), bench.files()) == (
            [(1, "ok", 200, PRICE_USD, PRICE_USD, take_file())],
            [take_file()],
        )


async def test_a_ledger_that_cannot_be_written_stops_the_run_unsent(tmp_path: Path) -> None:
    """What cannot be written down is not sent."""
    async with rig(tmp_path, replies(image_answer(SPEC.frame)), run()) as bench:
        with sqlite3.connect(tmp_path / "storyreel.db") as connection:
            connection.execute("ALTER TABLE attempts RENAME TO gone")
        connection.close()
        outcome = await bench.generate(SPEC)
        with sqlite3.connect(tmp_path / "storyreel.db") as connection:
            connection.execute("ALTER TABLE gone RENAME TO attempts")
        connection.close()

        assert (type(outcome), type(bench.stop_signal.error), bench.requests) == (Failed, StorageError, [])


async def test_a_body_that_cannot_be_quarantined_stops_the_run(tmp_path: Path) -> None:
    """A paid body is not thrown away: it stays where it is, for the next run to quarantine."""
    async with rig(tmp_path, replies(image_answer(SPEC.frame, b"<html>")), run()) as bench:
        (bench.store.takes / "unusable").write_bytes(b"in the way")
        outcome = await bench.generate(SPEC)

        assert (type(outcome), type(bench.stop_signal.error)) == (Failed, StorageError)
        assert (bench.store.part_path(1).read_bytes(), bench.rows("status", "cost_usd")) == (
            b"<html>",
            [(None, PRICE_USD)],
        )


async def test_a_bug_is_not_swallowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unforeseen error comes up as it is; the count of requests in flight still ends at none."""

    def bug(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(TakeStore, "store", bug)
    async with rig(tmp_path, replies(image_answer(SPEC.frame)), run()) as bench:
        with pytest.raises(ZeroDivisionError):
            await bench.generate(SPEC)

        assert (bench.progress.in_flight, bench.files()) == (0, ["takes/.1.part"])
