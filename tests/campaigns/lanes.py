"""Lanes of storyboards, each a process of its own, which are killed again and again, and begun again until they end."""

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sqlalchemy import select

from pipelines.ledger.ledger import Ledger
from pipelines.ledger.schema import leases, runs
from tests.campaigns.boards import Board
from tests.campaigns.clients import ClientEnd, forker
from tests.campaigns.fault_policy import Violation
from tests.support.patience import WAIT_S
from tests.support.postgres import Postgres

_LOOK_EVERY_S = 0.1
# A machine that is gone is noticed after a minute; then all that it made a film for begin again.
_PATIENCE_S = 2 * WAIT_S
# The ends that an outage of the database may bring: where it is opened or read, and where nobody can know what a commit
# came to.
_OUTAGE = (
    "the ledger cannot be opened:",
    "the ledger cannot be read:",
    "the ledger's database went away during a commit",
)


class Client(Protocol):
    """What runs a lane's command, once or again: a `Forker`, or a `BerthClient`."""

    def begin(self, *command: str, environment: Mapping[str, str]) -> None:
        """Start the command."""
        ...

    def ended(self, *, timeout_s: float = WAIT_S) -> bool:
        """Return whether it has ended, after waiting for it no longer than that."""
        ...

    def end(self) -> ClientEnd:
        """Wait for it to end."""
        ...

    def kill(self) -> None:
        """Kill it, if it has not ended."""
        ...

    @property
    def client(self) -> int:
        """The process number of the command, as the ledger has it."""
        ...


@dataclass(slots=True)
class Lane:
    """A command that renders a storyboard in a lane.

    Attributes:
        board: the storyboard.
        name: of the lane.
        client: its process.
        end: how it ended, once it has.
    """

    board: Board
    name: str
    client: Client
    end: ClientEnd | None = None

    def begin(self, environment: Mapping[str, str]) -> None:
        """Start it, the first time or once more."""
        self.end = None
        self.client.begin("render", str(self.board.path), environment={**environment, "STORYREEL_LANE": self.name})

    def has_ended(self) -> bool:
        """Return whether it has; then `end` says how."""
        if self.end is None and self.client.ended(timeout_s=0):
            self.end = self.client.end()
        return self.end is not None


@contextlib.contextmanager
def lanes_of(boards: Sequence[Board], names: str, folder: Path) -> Iterator[list[Lane]]:
    """Yield a lane of each name for each storyboard, none of them begun; in the end, what still runs is killed."""
    with contextlib.ExitStack() as stack:
        places = [(board, name) for board in boards for name in names]
        clients = [stack.enter_context(forker(folder, f"{board.path.stem}-{name}")) for board, name in places]
        # All of them first, so that none has done everything before another one begins.
        for client in clients:
            client.wait_until_ready()
        yield [Lane(board, name, client) for (board, name), client in zip(places, clients, strict=True)]


Strike = Callable[[Sequence[Lane]], None]


@dataclass(slots=True)
class Storm:
    """What happens to lanes while they render, drawn from a seed.

    Attributes:
        database_url: of their ledger.
        server: of its database; None where it is a file.
        rng: draws whom it strikes.
        killed: how many lanes were killed.
        outages: how often the database was.
    """

    database_url: str
    server: Postgres | None
    rng: random.Random
    killed: int = 0
    outages: int = 0

    def strike_lane(self, lanes: Sequence[Lane]) -> None:
        """Kill any of the lanes that run."""
        self._kill(lanes)

    def strike_conductor(self, lanes: Sequence[Lane]) -> None:
        """Kill one that makes a film."""
        conducting = select(runs.c.pid).where(runs.c.group_id == runs.c.run_id, runs.c.finished_at.is_(None))
        with Ledger.open(self.database_url) as ledger, ledger.database.reading() as connection:
            pids = set(connection.scalars(conducting))
        self._kill([lane for lane in lanes if lane.client.client in pids])

    def strike_database(self, lanes: Sequence[Lane]) -> None:
        """Kill the database server, and start it again."""
        if self.server is None:
            self._kill(lanes)
            return
        self.server.kill()
        self.server.start()
        self.outages += 1

    def _kill(self, lanes: Sequence[Lane]) -> None:
        if lanes:
            self.rng.choice(lanes).client.kill()
            self.killed += 1


@dataclass(slots=True)
class Schedule:
    """Strikes, each of which comes once so many images are sold."""

    strikes: list[tuple[int, Strike]] = field(default_factory=list)

    def due(self, sold: int) -> Strike | None:
        """Return the next strike, if its time has come."""
        return self.strikes.pop(0)[1] if self.strikes and sold >= self.strikes[0][0] else None


def go_through(
    lanes: Sequence[Lane],
    schedule: Schedule,
    *,
    sold: Callable[[], int],
    environment: Mapping[str, str],
    on_strike: Callable[[], None],
) -> None:
    """Begin all lanes, and whichever a strike has ended once more, until all have ended otherwise.

    Args:
        lanes: none of them running.
        schedule: what happens to them.
        sold: tells how many images the seller has sold.
        environment: the settings of the lanes.
        on_strike: called after each strike.
    """
    deadline = time.monotonic() + _PATIENCE_S
    for lane in lanes:
        lane.begin(environment)
    while running := [lane for lane in lanes if not lane.has_ended() or _begun_again(lane, environment)]:
        assert time.monotonic() < deadline or schedule.strikes, [lane.name for lane in running]
        if strike := schedule.due(sold()):
            deadline = time.monotonic() + _PATIENCE_S
            strike(running)
            on_strike()
        time.sleep(_LOOK_EVERY_S)


def _begun_again(lane: Lane, environment: Mapping[str, str]) -> bool:
    """Begin a lane again, if it ended by a strike, or because another did; return whether it was."""
    assert lane.end is not None
    outage = any(words in lane.end.output for words in _OUTAGE)
    again = lane.end.killed or lane.end.left_behind or outage
    if again:
        lane.begin(environment)
    return again


def held_leases(database_url: str) -> Iterator[Violation]:
    """Yield what is still leased, though nothing is made any more."""
    with Ledger.open(database_url) as ledger, ledger.database.reading() as connection:
        for row in connection.execute(select(leases)):
            yield "unforeseen", f"still leased: {row}"
