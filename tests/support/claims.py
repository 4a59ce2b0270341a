"""Claims on pieces in memory, for runs that share a folder in one process."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class ClaimBoard:
    """The pieces that runs hold.

    Attributes:
        holders: the run that holds each piece, by the piece's name.
    """

    holders: dict[str, str] = field(default_factory=dict)

    def claims_of(self, run: str) -> "RunClaims":
        """Return the claims of a run."""
        return RunClaims(self, run)

    def end(self, run: str) -> None:
        """Let a run die: what it held is free."""
        self.holders = {name: holder for name, holder in self.holders.items() if holder != run}


@dataclass
class RunClaims:
    """One run's claims.

    Attributes:
        asked: what it asked for, call by call.
    """

    board: ClaimBoard
    run: str
    asked: list[Sequence[str]] = field(default_factory=list)

    async def claim(self, names: Sequence[str]) -> frozenset[str]:
        self.asked.append(names)
        return frozenset(name for name in names if self.board.holders.setdefault(name, self.run) == self.run)

    async def release(self, names: Sequence[str]) -> None:
        for name in names:
            assert self.board.holders.pop(name) == self.run
