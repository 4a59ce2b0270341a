"""The ledger: one object for everything that is recorded about runs, attempts, takes and money."""

from collections.abc import Callable, Collection
from typing import Self

from pipelines.common.errors import OutdatedLedgerError
from pipelines.ledger.attempt_history import AttemptHistory
from pipelines.ledger.database import LedgerDatabase
from pipelines.ledger.folders import FolderRegistry
from pipelines.ledger.gate import Gate
from pipelines.ledger.groups import GroupRegistry
from pipelines.ledger.models import Run
from pipelines.ledger.queries import Queries
from pipelines.ledger.run_status import RunStatusQueries
from pipelines.ledger.runs import RunRegistry
from pipelines.ledger.settlement import Settlement
from pipelines.ledger.speeds import SpeedQueries
from pipelines.ledger.takes import TakeRegistry
from pipelines.ledger.verification import Verification


class Ledger(
    RunRegistry,
    GroupRegistry,
    FolderRegistry,
    Settlement,
    TakeRegistry,
    Queries,
    Verification,
    RunStatusQueries,
    SpeedQueries,
    AttemptHistory,
):
    """An open ledger; blocking, and safe to use from several threads and processes at once.

    Each method is one short transaction, or one reading. `AsyncLedger` has those that asynchronous code needs.
    """

    # Each part holds the methods of one idea, in a module of its own; no two parts have a name in common.

    def __init__(self, database: LedgerDatabase) -> None:
        """Use an open database; closing the ledger closes it."""
        super().__init__(database)

    @classmethod
    def open(cls, url: str, *, clock: Callable[[], float] | None = None, read_only: bool = False) -> Self:
        """Open the ledger at an address; see `LedgerDatabase` for the arguments and the errors raised."""
        return cls(LedgerDatabase(url, clock=clock, read_only=read_only))

    @classmethod
    def open_to_read(cls, url: str, *, clock: Callable[[], float] | None = None) -> Self:
        """Open the ledger at an address for a look, which writes nothing and waits for no lock.

        One of an older schema is brought up to date first: only then can it be read.

        Raises:
            LedgerError: there is no ledger, it cannot be opened, or a newer storyreel has written it.
        """
        try:
            return cls.open(url, clock=clock, read_only=True)
        except OutdatedLedgerError:
            return cls.open(url, clock=clock)

    def gate(self, run: Run, *, rate_limit: int, places: Collection[str] = ()) -> Gate:
        """Return the gate through which the attempts of `run` pass.

        Args:
            run: already entered by `start_run`.
            rate_limit: requests a minute that its endpoint allows.
            places: the ids of the output folder that it generates takes for.
        """
        return Gate(self.database, run, rate_limit=rate_limit, places=places)

    def close(self) -> None:
        """Close every connection."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
