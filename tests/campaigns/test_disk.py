"""Campaign: disks that are full, read-only or broken, at each write: nothing half-written is ever taken for whole."""

import contextlib
import errno
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from pipelines.common.errors import StoryreelError
from pipelines.common.files import hash_file
from pipelines.film.assembler import cut_film
from pipelines.ledger.schema import runs
from pipelines.takes.discovery import discover_takes
from pipelines.takes.frame_folder import FrameFolder
from pipelines.takes.recovery import recover
from tests.campaigns.audit import picture_damage, read_ledger, video_frames
from tests.campaigns.tally import LONG, Tally
from tests.support.builders import run, take_spec
from tests.support.film_samples import timeline_of
from tests.support.generation import Rig, replies, rig
from tests.support.ledger import kill, table_rows
from tests.support.patience import WAIT_S
from tests.support.pictures import image_answer

pytestmark = pytest.mark.slow

SPECS = [take_spec(number, prompt=f"a harbor, view {number}") for number in range(3)]
TIMELINE = timeline_of([2] * len(SPECS))
# The calls that write for good: to sync, to name, to name where another may be, to open for writing.
CALLS = ("fsync", "replace", "rename", "link", "open", "mkdir")
FAULTS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES)
ENOUGH_MIB = 12


@dataclass
class FailingDisk:
    """Lets the n-th of some calls fail, and those after it too if it `stays` broken."""

    nth: int
    number: int
    stays: bool
    calls: int = 0
    struck: bool = False

    def wrap(self, real: Callable[..., Any], writes: Callable[..., bool]) -> Callable[..., Any]:
        """Return the call with the fault in it."""

        def call(*args: Any, **kwargs: Any) -> Any:
            if writes(*args, **kwargs):
                self.calls += 1
                if self.calls == self.nth or (self.stays and self.calls > self.nth):
                    self.struck = True
                    raise OSError(self.number, os.strerror(self.number))
            return real(*args, **kwargs)

        return call


@contextlib.contextmanager
def failing(disk: FailingDisk, folder: Path, names: tuple[str, ...]) -> Iterator[None]:
    """Let calls of these names fail under `folder`; SQLite makes its own, which a real full disk meets."""

    def here(path: object, *args: Any, **_: Any) -> bool:
        if isinstance(path, int):
            path = Path(f"/proc/self/fd/{path}").readlink()
        reads = len(args) > 0 and isinstance(args[0], int) and not args[0] & (os.O_WRONLY | os.O_RDWR)
        return not reads and str(path).startswith(str(folder)) and "storyreel.db" not in str(path)

    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(mock.patch.object(os, name, disk.wrap(getattr(os, name), here)))
        yield


@dataclass
class Trial:
    """One folder in which things go wrong, and then go on."""

    folder: Path
    tally: Tally
    details: list[str] = field(default_factory=list)

    async def render(self, name: str) -> tuple[int, StoryreelError | None]:
        """Do all that a run does on a disk; return how many images the API sold, and our own error."""
        sold = 0
        try:
            async with rig(self.folder, replies(image_answer(SPECS[0].frame)), run(name)) as bench:
                try:
                    await self._generate_and_cut(bench)
                finally:
                    sold = len(bench.requests)
                if bench.stop_signal.error is not None:
                    return sold, bench.stop_signal.error
        except StoryreelError as error:
            return sold, error
        except Exception as error:  # noqa: BLE001 - what must not happen is looked for
            self._blame("unforeseen", f"{name}: {error!r}")
        return sold, None

    async def _generate_and_cut(self, bench: Rig) -> None:
        # Earlier runs have ended, as they do with their processes.
        for row in table_rows(bench.ledger, runs, "run_id"):
            if row[0] != bench.run.run_id:
                kill(bench.ledger, row[0])
        recover(bench.ledger, "harbor", store=bench.store)
        try:
            found = discover_takes(bench.ledger, SPECS, store=bench.store, output=self.folder)
            await bench.generate_all([spec for spec in SPECS if spec.request_key not in found.takes])
            takes = discover_takes(bench.ledger, SPECS, store=bench.store, output=self.folder).takes
            if len(takes) == len(SPECS):
                frames = FrameFolder(bench.store.folder).publish(
                    [bench.store.import_take(takes[spec.request_key]) for spec in SPECS]
                )
                await cut_film(TIMELINE, frames, bench.store.folder / "harbor.mp4")
        finally:
            bench.ledger.write_csv("harbor", bench.store.folder / "ledger.csv")

    def look(self) -> None:
        """Check that every file under its final name is whole."""
        home = self.folder / "harbor"
        for path in [*home.glob("takes/[!.]*.png"), *home.glob("takes/spare/*"), *home.glob("frames/*.png")]:
            if reason := picture_damage(path):
                self._blame("half_written", f"{path}: {reason}")
        if (home / "harbor.mp4").exists() and not video_frames(home / "harbor.mp4"):
            self._blame("half_written", "the film is none")
        if (home / "ledger.csv").exists() and not (home / "ledger.csv").read_bytes().endswith(b"\r\n"):
            self._blame("half_written", "the ledger breaks off")

    def look_again(self, sold: int) -> None:
        """Check that after a run without faults all is there, and each image that was sold stands in the ledger."""
        home = self.folder / "harbor"
        self.look()
        if video_frames(home / "harbor.mp4") != TIMELINE.video_frames:
            self._blame("unforeseen", "the completing run left no film")
        rows = read_ledger(home)
        if len(rows) != sold:
            self._blame("lost", f"{sold} images were sold, the ledger has {len(rows)} attempts")
        if open_ones := [row["attempt_id"] for row in rows if not row["cost_usd"] and row["status"] != "unknown"]:
            self._blame("unrecorded", f"attempts {open_ones} cost nothing")
        kept = Counter(row["request_key"] for row in rows if row["status"] == "ok")
        if max(kept.values(), default=0) > 1:
            self._blame("twice", f"{kept}")
        for row in rows:
            if row["status"] == "ok" and hash_file(home / row["file"]) != row["sha256"]:
                self._blame("lost", f"attempt {row['attempt_id']}: its take is another")

    def _blame(self, promise: str, what: str) -> None:
        setattr(self.tally, promise, getattr(self.tally, promise) + 1)
        self.details.append(f"{self.folder.name}: {promise}: {what}")


async def test_each_write_fails_in_its_turn(open_tally: Callable[[str], Tally], tmp_path: Path) -> None:
    """Each sync, name and open, once and from then on; the run says so, and the next one completes it."""
    tally = open_tally("each write fails")
    details: list[str] = []
    for number in FAULTS if LONG else FAULTS[:1]:
        for stays in (False, True):
            # Bounded: every run has a last call, after which nothing is struck.
            nth, struck = 1, True
            while struck:
                trial = Trial(tmp_path / f"{errno.errorcode[number]}-{stays}-{nth}", tally)
                disk = FailingDisk(nth, number, stays=stays)
                with failing(disk, trial.folder, CALLS):
                    sold, error = await trial.render("run-1")
                struck = disk.struck
                if stays and struck and error is None:
                    details.append(f"{trial.folder.name}: the disk broke and no error says so")
                    tally.unforeseen += 1
                trial.look()
                more, _ = await trial.render("run-2")
                trial.look_again(sold + more)
                details += trial.details
                tally.trials += 1
                nth += 1 if LONG or nth < 4 else 3

    assert not tally.violations, "\n".join(details)


@contextlib.contextmanager
def small_disk(folder: Path, *, kib: int) -> Iterator[None]:
    """Mount a disk of so many KiB at `folder`."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, timeout=WAIT_S, check=False)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True, timeout=WAIT_S)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts disks")
async def test_a_disk_that_is_really_full(open_tally: Callable[[str], Tally], tmp_path: Path) -> None:
    """Of any size: database, takes, frames, film and ledger.csv each fill it; with more space the run completes."""
    tally = open_tally("a full disk")
    details: list[str] = []
    for kib in range(120, 400, 8 if LONG else 40):
        trial = Trial(tmp_path / f"{kib}-kib", tally)
        with small_disk(trial.folder, kib=kib):
            sold, _ = await trial.render("run-1")
            trial.look()
            grow = ["mount", "-o", f"remount,size={ENOUGH_MIB}m", str(trial.folder)]
            subprocess.run(grow, check=True, timeout=WAIT_S)
            more, _ = await trial.render("run-2")
            trial.look_again(sold + more)
        details += trial.details
        tally.trials += 1

    assert not tally.violations, "\n".join(details)
