"""The audit of what renders left, from the outside: the files, the database, ledger.csv, the seller's account."""

import csv
import io
import threading
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import imageio_ffmpeg
from PIL import Image
from sqlalchemy import func, select

from pipelines.common.formatting import format_decimal
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.schema import attempts, runs, spending
from tests.campaigns.tally import Tally


class Account(Protocol):
    """What a seller says that it did: `Seller`, or `MeteredSeller`."""

    @property
    def url(self) -> str:
        """Its address."""
        ...

    @property
    def images(self) -> Counter[str]:
        """How often each prompt was billed."""
        ...

    def stats(self) -> dict[str, Any]:
        """Return the sums: `billed_usd` and `max_requests_in_any_60s` at least."""
        ...


@dataclass
class Audit:
    """Counts every broken promise into the tally, with what happened."""

    tally: Tally
    seller: Account
    database_url: str
    details: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def blame(self, promise: str, what: str, times: int = 1) -> None:
        """Note that a promise was broken."""
        with self._lock:
            setattr(self.tally, promise, getattr(self.tally, promise) + times)
            self.details.append(f"{promise}: {what}")

    def count_trial(self) -> None:
        """Count a kill."""
        with self._lock:
            self.tally.trials += 1

    def ledger_covers_the_bill(self) -> None:
        """Check that the ledger and its reservations hold what the seller has billed, and no group more than it may."""
        # In this order: what is billed from here on is in the ledger already.
        billed = Decimal(self.seller.stats()["billed_usd"])
        ours = attempts.c.endpoint == self.seller.url
        charged = func.coalesce(attempts.c.cost_usd, attempts.c.reserved_usd, type_=attempts.c.cost_usd.type)
        # A group is known by the run that conducts it.
        by_group = (
            select(runs.c.run_id, runs.c.budget_usd, spending.c.committed_usd, func.sum(charged).label("charged"))
            .join(attempts, (attempts.c.group_id == runs.c.run_id) & ours)
            .join(spending, spending.c.scope == "run " + runs.c.run_id)
            .group_by(runs.c.run_id, runs.c.budget_usd, spending.c.committed_usd)
        )
        with Ledger.open(self.database_url) as ledger, ledger.database.reading() as connection:
            rows = connection.execute(by_group).all()
        total = sum((row.charged for row in rows), Decimal(0))
        if total < billed:
            self.blame(
                "unrecorded",
                f"the ledger holds {format_decimal(total)} USD, the seller billed {format_decimal(billed)}",
            )
        for row in rows:
            if row.charged != row.committed_usd:
                self.blame("unrecorded", f"group {row.run_id}: attempts {row.charged}, committed {row.committed_usd}")
            if row.budget_usd is not None and row.charged > row.budget_usd:
                self.blame("over_budget", f"group {row.run_id}: {row.charged} USD of {row.budget_usd}")

    def files_are_whole(self, folder: Path) -> None:
        """Check every file that has its final name."""
        for path in (*folder.glob("takes/[!.]*.*"), *folder.glob("frames/*")):
            if reason := picture_damage(path):
                self.blame("half_written", f"{path}: {reason}")
        for path in folder.glob("[!.]*.mp4"):
            if not video_frames(path):
                self.blame("half_written", f"{path}: no film")
        for path in folder.glob("ledger.csv"):
            if not path.read_bytes().endswith(b"\r\n"):
                self.blame("half_written", f"{path}: breaks off")

    def limit_was_kept(self, limit: int) -> None:
        """Check the fullest minute that the seller saw."""
        fullest = self.seller.stats()["max_requests_in_any_60s"]
        if fullest > limit:
            self.blame("over_limit", f"{fullest} requests in some 60 s, the limit is {limit}")

    def open_and_arrived(self, folder: Path) -> set[int]:
        """Return the open attempts whose image is whole on this disk: none of their takes may be generated again."""
        with Ledger.open(self.database_url) as ledger, ledger.database.reading() as connection:
            rows = connection.execute(select(attempts).where(attempts.c.storyboard == folder.name)).all()
        kept = {row.request_key for row in rows if row.status == "ok"}
        billed = [row for row in rows if row.status is None and row.billed_at and row.request_key not in kept]
        return {row.attempt_id for row in billed if _arrived(folder / "takes", row.attempt_id, row.request_key)}

    def is_complete(self, folder: Path, prompts: list[str], *, arrived: set[int]) -> None:
        """Check a completed storyboard: its frames, its film, and that nothing was lost or generated twice."""
        self.files_are_whole(folder)
        self._shows(folder, prompts)
        rows, images = read_ledger(folder), self.seller.images
        for prompt in prompts:
            self._check_attempts(prompt, [row for row in rows if row["prompt"] == prompt], billed=images[prompt])
        for row in rows:
            if int(row["attempt_id"]) in arrived and row["status"] != "ok":
                self.blame("twice", f"{folder}: attempt {row['attempt_id']} had arrived whole and is {row['status']}")
        with Ledger.open(self.database_url) as ledger:
            for difference in ledger.verify(folder.name, folder=folder):
                self.blame("unforeseen", f"{folder}: {difference}")

    def _shows(self, folder: Path, prompts: list[str]) -> None:
        frames = [folder / f"frames/frame_{number:04}.png" for number in range(len(prompts))]
        if sorted(folder.glob("frames/*")) != frames:
            self.blame("unforeseen", f"{folder}: has frames {sorted(path.name for path in folder.glob('frames/*'))}")
        elif [_prompt_of(path) for path in frames] != prompts:
            self.blame("unforeseen", f"{folder}: frames show other prompts")
        if video_frames(folder / f"{folder.name}.mp4") != len(prompts):
            self.blame("unforeseen", f"{folder}: the film is not {len(prompts)} video frames long")

    def _check_attempts(self, prompt: str, rows: list[dict[str, str]], *, billed: int) -> None:
        statuses = [row["status"] for row in rows]
        count = Counter(statuses)
        if (missing := billed - count["ok"] - count["unknown"]) > 0:
            self.blame("lost", f"{prompt}: billed {billed} times, in the ledger {statuses}", missing)
        if not count["ok"]:
            self.blame("unforeseen", f"{prompt}: no image is kept: {statuses}")
        # What was sent after the image was kept, or beside it with no unknown between, was sent for nothing.
        elif statuses != [*["unknown"] * (len(rows) - 1), "ok"]:
            self.blame("twice", f"{prompt}: {statuses}")


def read_ledger(folder: Path) -> list[dict[str, str]]:
    """Return the rows of a storyboard's ledger, oldest first."""
    return list(csv.DictReader(io.StringIO((folder / "ledger.csv").read_text(), newline="")))


def _arrived(takes: Path, attempt_id: int, request_key: str) -> bool:
    candidates = (takes / f".{attempt_id}.part", takes / f"{request_key}.png")
    return any(path.is_file() and not picture_damage(path) for path in candidates)


def picture_damage(path: Path) -> str | None:
    """Return why a file is no whole picture; None where it is one."""
    try:
        with Image.open(path) as picture:
            picture.load()
    except (OSError, SyntaxError) as exc:
        return str(exc)
    return None


def _prompt_of(frame: Path) -> str:
    with Image.open(frame) as picture:
        return str(picture.info["prompt"])


def video_frames(film: Path) -> int:
    """Return how many video frames a film has; 0 where it is none."""
    try:
        return int(imageio_ffmpeg.count_frames_and_secs(str(film))[0])
    except (OSError, RuntimeError):
        return 0
