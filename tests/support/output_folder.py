"""An output folder with its ledger, in which runs come, generate takes, and are killed."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from pipelines.common.files import hash_file
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import AttemptRequest, Billed, NewTake, Permit, Run
from pipelines.ledger.schema import runs
from pipelines.storyboard.plan import TakeSpec
from pipelines.takes.discovery import FoundTakes, discover_takes
from pipelines.takes.recovery import recover
from pipelines.takes.store import TakeStore
from tests.support import ledger as ledger_support
from tests.support.generation import SPEC, attempt_rows
from tests.support.pictures import PRICE_USD, picture_bytes, write
from tests.support.takes import prepared_store

BODY = picture_bytes("PNG", (16, 16))
_ACCOUNT = ("status", "http_status", "cost_usd", "file", "error")


@dataclass
class OutputFolder:
    """An output folder with its ledger."""

    path: Path
    ledger: Ledger

    def store(self, storyboard: str = "harbor") -> TakeStore:
        return prepared_store(self.path / storyboard)

    def begin(self, which: Run, spec: TakeSpec = SPEC, *, prompt: str | None = None) -> int:
        """Start a run, if it has not started, and let it send one attempt; return the attempt's number."""
        with self.ledger.database.reading() as connection:
            known = connection.scalar(select(runs.c.run_id).where(runs.c.run_id == which.run_id))
        if known is None:
            self.ledger.start_run(which)
        request = AttemptRequest(spec, prompt or spec.prompt, 1)
        admission = self.ledger.gate(which, rate_limit=720).admit(request)
        assert isinstance(admission, Permit)
        return admission.attempt_id

    def bill(self, attempt_id: int, cost_usd: Decimal | None = PRICE_USD) -> None:
        self.ledger.settle_bill(attempt_id, Billed(cost_usd))

    def keep(self, attempt_id: int, storyboard: str = "harbor", body: bytes = BODY, spec: TakeSpec = SPEC) -> Path:
        """Put a take on disk, and enter it in the ledger as kept."""
        path = write(self.store(storyboard).takes / f"{spec.request_key}.png", body)
        take = NewTake(f"takes/{path.name}", len(body), hash_file(path), 16, 16)
        self.ledger.keep_take(attempt_id, take)
        return path

    def generate(self, which: Run, body: bytes = BODY, spec: TakeSpec = SPEC, *, prompt: str | None = None) -> Path:
        """Generate a take from beginning to end."""
        attempt_id = self.begin(which, spec, prompt=prompt)
        self.bill(attempt_id)
        return self.keep(attempt_id, which.storyboard, body, spec)

    def kill(self, run_id: str = "run-1") -> None:
        """Let the process of a run be gone; its entry in the ledger stays open."""
        with self.ledger.database.transaction() as connection:
            connection.execute(update(runs).where(runs.c.run_id == run_id).values(pid_started=1))

    def find(self, *specs: TakeSpec, storyboard: str = "harbor") -> FoundTakes:
        return discover_takes(self.ledger, specs or [SPEC], store=self.store(storyboard), output=self.path)

    def recover(self, storyboard: str = "harbor") -> None:
        recover(self.ledger, storyboard, store=self.store(storyboard))

    def rows(self, *columns: str) -> list[tuple[Any, ...]]:
        """Return the attempts in the ledger, oldest first."""
        return attempt_rows(self.ledger, *(columns or _ACCOUNT))

    def committed_usd(self, run_id: str = "run-1") -> Any:
        """Return what a run's budget is charged with."""
        return ledger_support.committed_usd(self.ledger, run_id)

    def takes(self, storyboard: str = "harbor") -> dict[str, bytes]:
        """Return every file among a storyboard's takes."""
        folder = self.store(storyboard).takes
        files = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
