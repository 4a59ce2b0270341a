"""The error tree: one class per thing a user can act on, one exit code per family.

StoryreelError                  1    a bug, or something nobody foresaw
  UsageError                    2    the command line, a setting or the output folder is wrong; nothing was sent
    StoryboardError             2    the storyboard is wrong: every problem, each with its place and its cure
    LedgerError                  2    the books cannot be opened: unreadable, or written by a newer storyreel
  BudgetError                   3    the budget refused the run, or stopped it
  IncompleteError               4    something is missing; what was bought is kept, run again to complete
    FramesMissingError           4    some frames could not be bought
    StorageError                4    a file could not be written (disk full, folder gone)
      DatabaseAwayError            4    the books' database server went away; nothing of the transaction was written
        CommitUnknownError      4    it went away as it should have committed; whether it did, nobody knows
    FilmError                   4    the film could not be assembled; every frame is kept
  EndpointError                 5    the endpoint is of no use to this run
    EndpointUnreachableError    5    nothing answers at its address
    CredentialsRefusedError     5    it refuses our credentials or account
    AllocationExhaustedError    5    its daily allocation is used up
    WrongEndpointError          5    what answers is not this API, or not the model that was asked for
  InterruptedRunError         130    the user stopped the run; what was paid for is kept
"""

from collections.abc import Sequence
from dataclasses import dataclass


class StoryreelError(Exception):
    """Base of every error that storyreel raises on purpose."""

    exit_code = 1


class UsageError(StoryreelError):
    """The command line, a setting or the output folder is wrong; nothing was sent."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a storyboard.

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

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}:{self.column}: " if self.line else f"{self.path}: "
        return f"{place}{self.where}: {self.message}" if self.where else f"{place}{self.message}"


class StoryboardError(UsageError):
    """The storyboard is wrong; `problems` holds every one of them, in file order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class LedgerError(UsageError):
    """The books cannot be opened or belong to a newer storyreel."""


class BudgetError(StoryreelError):
    """The budget refused the run before its first request, or stopped it."""

    exit_code = 3


class IncompleteError(StoryreelError):
    """Something is missing; all that was bought is kept, and running again completes it."""

    exit_code = 4


class FramesMissingError(IncompleteError):
    """Some frames could not be bought."""


class StorageError(IncompleteError):
    """A file could not be written whole, and so was not written at all."""


class DatabaseAwayError(StorageError):
    """The books' database server went away; nothing of the last transaction was written."""


class CommitUnknownError(DatabaseAwayError):
    """The books' database server went away as it should have committed; whether it did, nobody knows."""


class FilmError(IncompleteError):
    """The film could not be assembled or is not what the plan asked for; every frame is kept."""


class EndpointError(StoryreelError):
    """The endpoint is of no use to this run; asking it again would not help."""

    exit_code = 5


class EndpointUnreachableError(EndpointError):
    """Nothing answers at the endpoint's address."""


class CredentialsRefusedError(EndpointError):
    """The endpoint refuses our credentials or account."""


class AllocationExhaustedError(EndpointError):
    """The endpoint's daily allocation is used up; nothing works before 00:00 UTC."""


class WrongEndpointError(EndpointError):
    """What answers is not the FLUX API, or not the model that was asked for."""


class InterruptedRunError(StoryreelError):
    """The user stopped the run; what was in flight was awaited and kept."""

    exit_code = 130
