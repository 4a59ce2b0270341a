"""The error tree: a class for each problem that a user can act on, an exit code for each family.

StoryreelError                  1    a bug, or an error that none of the classes below describes
  UsageError                    2    the command line, a setting or the output folder is wrong; nothing was sent
    StoryboardError             2    the storyboard is wrong: every problem, each with its place and its cure
    LedgerError                 2    the ledger cannot be opened: unreadable, or written by a newer storyreel
      OutdatedLedgerError       2    it has an older schema, or none yet, and is not to be written
    PrefectUnavailableError     2    Prefect's API did not start on this machine, or cannot be reached where it is
    GroupEndedError             2    the runs that this one was to join have ended
  BudgetError                   3    the budget refused the run, or stopped it
  IncompleteError               4    some frames or a film are missing; the rest is kept, run again to complete
    FramesMissingError          4    some frames, or takes that were asked for, could not be generated
    StorageError                4    a file could not be written (disk full, folder gone)
      DatabaseAwayError         4    the ledger's database server went away; the transaction was not written
        CommitUnknownError      4    it went away during a commit; whether that took effect is not known
    FilmError                   4    the film could not be assembled; every frame is kept
      UnreadableFrameError      4    a frame's picture cannot be read as one, though its file is there
  EndpointError                 5    the endpoint is of no use to this run
    EndpointUnreachableError    5    nothing answers at its address
    CredentialsRefusedError     5    it refuses our credentials or account
    CreditExhaustedError        5    its account has no credit left
    AllocationExhaustedError    5    its daily allocation is used up
    ModelRefusedError           5    it has no such model, or not for this account
    WrongEndpointError          5    what answers is not this API, or not the model that was asked for
    NoUsableImageError          5    it answers frame after frame in the same way, and never with an image
  InterruptedRunError         130    the user stopped the run; what was paid for is kept
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pipelines.common.printable import printable, printable_name


class StoryreelError(Exception):
    """Base of every error that storyreel raises on purpose."""

    # As Python exits after an exception that nothing caught.
    exit_code = 1

    def __str__(self) -> str:
        # Errors name files, and quote storyboards and endpoints; they are printed, logged and stored in many places.
        return printable(super().__str__())


class UsageError(StoryreelError):
    """The command line, a setting or the output folder is wrong; nothing was sent."""

    # As click exits after options that it cannot parse.
    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake in a storyboard.

    Attributes:
        path: the file, as the user named it.
        line: counted from 1; 0 when the file could not be read at all.
        column: counted from 1; 0 with line 0.
        where: the place in the storyboard's own words, `scenes.arrival.shots.wide.steps`; may be empty.
        message: what is wrong, and the cure.
    """

    path: str
    line: int
    column: int
    where: str
    message: str
    # Stands before the message.
    _label: ClassVar[str] = ""

    @property
    def position(self) -> tuple[int, int]:
        """Its line and column, by which problems of one file are sorted."""
        return self.line, self.column

    def __str__(self) -> str:
        # In the form of compilers, from which editors and terminals jump to the place.
        path = printable_name(self.path)
        place = f"{path}:{self.line}:{self.column}: " if self.line else f"{path}: "
        where = f"{self.where}: " if self.where else ""
        return printable(f"{place}{where}{self._label}{self.message}")


@dataclass(frozen=True, slots=True)
class Note(Problem):
    """Something in a storyboard, or in a file that it names, that is legal but surely not meant; see `Problem`.

    It is told, and changes nothing, unless the settings are strict.
    """

    _label: ClassVar[str] = "note: "


class StoryboardError(UsageError):
    """The storyboard is wrong; `problems` holds every one of them, in file order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class LedgerError(UsageError):
    """The ledger cannot be opened, or a newer storyreel has written it."""


class OutdatedLedgerError(LedgerError):
    """The ledger has an older schema, or none yet, and was opened to be read only."""


class PrefectUnavailableError(UsageError):
    """Prefect's API did not start on this machine, or cannot be reached where the user configured it."""


class GroupEndedError(UsageError):
    """The group of runs that a run was to join has ended, or was stopped; nothing was sent."""


class BudgetError(StoryreelError):
    """The budget refused the run before its first request, or stopped it."""

    exit_code = 3


class IncompleteError(StoryreelError):
    """Some frames or a film are missing; what was generated is kept, and running again completes it."""

    exit_code = 4


class FramesMissingError(IncompleteError):
    """Some frames, or takes that were asked for, could not be generated."""


class StorageError(IncompleteError):
    """A file could not be written whole, and so was not written at all."""


class DatabaseAwayError(StorageError):
    """The ledger's database server went away; the transaction was not written."""


class CommitUnknownError(DatabaseAwayError):
    """The ledger's database server went away during a commit; whether that took effect is not known.

    A transaction may be repeated after it only if repeating it changes nothing.
    """


class FilmError(IncompleteError):
    """The film could not be assembled or is not what the plan asked for; every frame is kept."""


class UnreadableFrameError(FilmError):
    """A frame's picture cannot be read as one, though its file is there."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: cannot be read: {reason}; render again to recreate it")


class EndpointError(StoryreelError):
    """The endpoint is of no use to this run; asking it again would not help."""

    exit_code = 5


class EndpointUnreachableError(EndpointError):
    """Nothing answers at the endpoint's address."""


class CredentialsRefusedError(EndpointError):
    """The endpoint refuses our credentials or account."""


class CreditExhaustedError(EndpointError):
    """The endpoint's account has no credit left, or has reached its own limit."""


class AllocationExhaustedError(EndpointError):
    """The endpoint's daily allocation is used up; nothing works before 00:00 UTC."""


class ModelRefusedError(EndpointError):
    """The endpoint has no such model, or not for this account."""


class WrongEndpointError(EndpointError):
    """What answers does not speak the dialect that it was asked in, or is not the model that was asked for."""


class NoUsableImageError(EndpointError):
    """The endpoint answers frame after frame in the same way, and never with an image."""


class InterruptedRunError(StoryreelError):
    """The user stopped the run; what was in flight was awaited and kept."""

    # 128 + 2, as a shell reports a program that SIGINT ended.
    exit_code = 130

    def __init__(self, message: str = "interrupted: what was paid for is kept; run again to complete") -> None:
        super().__init__(message)
