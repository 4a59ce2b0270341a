"""Machines that work on the same storyboards: one database, one endpoint, one folder that they share."""

import contextlib
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.campaigns.metered_seller import MeteredSeller, metered_seller
from tests.conftest import BIN, clean_environment
from tests.support.machines import Machine, MachineRoom, machine_room
from tests.support.patience import WAIT_S
from tests.support.postgres import Postgres, database_for, serving_postgres

ROOT = Path(__file__).parents[2]
# The flows without Prefect, of which each machine would start one.
_COMMAND = (str(BIN / "python"), "-m", "tests.support.local_command")


@dataclass(frozen=True, slots=True)
class Done:
    """How a command on a machine ended."""

    exit_code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Crew:
    """Machines of a room whose services are `database` and `endpoint`.

    Attributes:
        room: where they are; more can be started there.
        shared: the folder that they share, as this host sees it.
        database: the server of their ledger.
        seller: the endpoint, with its book.
        settings: the settings of every command.
    """

    room: MachineRoom
    shared: Path
    database: Postgres
    seller: MeteredSeller
    settings: Mapping[str, str]

    def machine(self, name: str, *, at: Path | None = None) -> Machine:
        """Start a machine that sees the shared folder, `at` another path or where this host has it."""
        return self.room.machine(name, shared={self.shared: at or self.shared})

    def start(
        self, machine: Machine, *command: str, at: Path | None = None, clock_off: str = "", **settings: str
    ) -> "subprocess.Popen[str]":
        """Start storyreel with these arguments in the shared folder of a machine, which sees it `at` this path."""
        environment = {**clean_environment(), **self.settings, **settings}
        return machine.run([*_COMMAND, *command], environment, cwd=at or self.shared, clock_off=clock_off)


def end_of(process: "subprocess.Popen[str]") -> Done:
    """Wait for a command to end."""
    stdout, stderr = process.communicate(timeout=WAIT_S)
    return Done(process.returncode, stdout, stderr)


@contextlib.contextmanager
def crew_at_work(folder: Path, binaries: Path, *, limit: int, latency_s: float) -> Iterator[Crew]:
    """Yield a crew without machines yet; skip the test where there can be none.

    Args:
        folder: where the shared one is made; what else is in it no machine sees.
        binaries: of Postgres.
        limit: requests a minute that the endpoint takes from each machine, and that storyreel is told of.
        latency_s: how long an answer takes.
    """
    shared = folder / "shared"
    shared.mkdir()
    with contextlib.ExitStack() as stack:
        room = stack.enter_context(machine_room(folder, "database", "endpoint"))
        address = room.address("database")
        database = stack.enter_context(serving_postgres(binaries, address=address))
        selling = metered_seller(limit=limit, latency_s=latency_s, host=room.address("endpoint"))
        seller = stack.enter_context(selling)
        settings = {
            **{name: str(folder) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")},
            "PYTHONPATH": str(ROOT),
            "STORYREEL_ENDPOINT": seller.url,
            "STORYREEL_DATABASE_URL": database_for(folder, database.port, host=address),
            "STORYREEL_RATE_LIMIT": str(limit),
        }
        yield Crew(room, shared, database, seller, settings)
