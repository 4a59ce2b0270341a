"""Two machines with addresses of their own are two lanes of one run, which Prefect's workers on them carry out."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests import conftest
from tests.campaigns.audit import read_ledger
from tests.campaigns.boards import Board, write_board
from tests.campaigns.book import Sale
from tests.campaigns.meter import SOLD
from tests.campaigns.metered_seller import MeteredSeller, bill_violations, limit_violations, metered_seller
from tests.conftest import BIN, clean_environment
from tests.support.deployments import call, is_over, run_of
from tests.support.machines import Machine, machine_room
from tests.support.postgres import database_for, serving_postgres
from tests.support.prefect_server import POLL_S, SHORT_WAITS, free_port, server_environment, serving_prefect

# Alone: it compares rates.
pytestmark = [pytest.mark.slow, pytest.mark.alone]

ROOT = Path(__file__).parents[2]
# Of each address: so few that two cores serve two machines, with the server, the database and the seller beside them.
RATE_LIMIT = 120
LATENCY_S = 0.5
ALONE_FRAMES, SHARED_FRAMES = 20, 160
# The second machine is killed once it has so many of them. It begins later: a worker takes its time.
KILLED_AT = 24
wait_until = partial(conftest.wait_until, poll_s=POLL_S)


@dataclass(frozen=True, slots=True)
class Studio:
    """Two machines with a worker each, one for runs and one for lanes.

    Attributes:
        shared: the folder that both see.
        seller: the endpoint, with its book.
        prefect: the environment of commands that use the server.
        north, south: the machines.
    """

    shared: Path
    seller: MeteredSeller
    prefect: dict[str, str]
    north: Machine
    south: Machine

    def begin(self, board: Board, *, lanes: int) -> str:
        """Let a worker render a storyboard; return the id of the flow run."""
        line = (
            "prefect deployment run render-storyboard/on-demand "
            f"--param storyboard={board.path.name} --param lanes={lanes}"
        )
        told = call(self.prefect, line)
        return next(word.rpartition("/")[2] for word in told.split() if "/runs/flow-run/" in word)

    def sold(self, board: Board, *, by: Machine | None = None) -> list[Sale]:
        """Return the images that were sold for a storyboard so far, to one machine or to both."""
        wanted = set(board.prompts)
        sales = [sale for sale in self.seller.book().sales if sale.kind == SOLD and sale.prompt in wanted]
        return [sale for sale in sales if by is None or sale.client == by.address("endpoint")]


@pytest.fixture
def studio(tmp_path: Path, postgres_binaries: Path) -> Iterator[Studio]:
    """Start the services and the machines; skip the test where there can be none."""
    shared = tmp_path / "shared"
    shared.mkdir()
    with ExitStack() as stack:
        room = stack.enter_context(machine_room(tmp_path, "prefect", "database", "endpoint"))
        address = room.address("database")
        postgres = stack.enter_context(serving_postgres(postgres_binaries, address=address))
        selling = metered_seller(limit=RATE_LIMIT, latency_s=LATENCY_S, host=room.address("endpoint"))
        seller = stack.enter_context(selling)
        basis = {**clean_environment(), **SHORT_WAITS, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        prefect = server_environment(basis, tmp_path / "prefect", port=free_port(), host=room.address("prefect"))
        stack.enter_context(serving_prefect(prefect, tmp_path / "server.log"))
        shutil.copy(ROOT / "prefect.yaml", tmp_path)
        call(prefect, "prefect work-pool create storyreel --type process", cwd=tmp_path)
        call(prefect, "prefect --no-prompt deploy --all", cwd=tmp_path)
        worker = {
            **prefect,
            **dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME"), str(tmp_path)),
            "PREFECT_HOME": str(tmp_path / "home"),
            "PYTHONPATH": str(ROOT),
            "STORYREEL_ROOT": str(shared),
            "STORYREEL_ENDPOINT": seller.url,
            "STORYREEL_DATABASE_URL": database_for(tmp_path, postgres.port, host=address),
            "STORYREEL_RATE_LIMIT": str(RATE_LIMIT),
        }
        machines = []
        for name, queue in (("north", "default"), ("south", "lanes")):
            machine = room.machine(name, shared={shared: shared})
            command = ["prefect", "worker", "start", "--pool", "storyreel", "--work-queue", queue]
            machine.run(command, {**worker, "STORYREEL_LANE": name}, cwd=tmp_path)
            machines.append(machine)
        yield Studio(shared, seller, prefect, *machines)


def rate_of(sales: list[Sale], *, within: Callable[[Sale], bool] = lambda _: True) -> float:
    """Return the images a second of each address, added up."""
    total = 0.0
    for client in {sale.client for sale in sales}:
        times = [sale.at_s for sale in sales if sale.client == client and within(sale)]
        total += (len(times) - 1) / (times[-1] - times[0])
    return total


def test_a_second_machine_doubles_the_rate_and_its_death_loses_nothing(studio: Studio) -> None:
    """The film is whole in the end; what was in flight on the dead machine is uncertain, and nothing else is."""
    alone, shared = write_board(studio.shared, "alone", frames=ALONE_FRAMES), write_shared_board(studio.shared)
    first = studio.begin(alone, lanes=1)
    wait_until(lambda: is_over(studio.prefect, first))

    second = studio.begin(shared, lanes=2)
    wait_until(lambda: len(studio.sold(shared, by=studio.south)) >= KILLED_AT)
    studio.south.power_off()
    killed_at_s = studio.sold(shared)[-1].at_s
    wait_until(lambda: is_over(studio.prefect, second))

    assert [run_of(studio.prefect, run)["state_name"] for run in (first, second)] == ["Completed", "Completed"]
    sales = studio.sold(shared)
    lanes = {sale.client: sale.at_s for sale in reversed(sales)}
    assert lanes.keys() == {machine.address("endpoint") for machine in (studio.north, studio.south)}
    both_began_s = max(lanes.values())
    together = rate_of(sales, within=lambda sale: both_began_s <= sale.at_s <= killed_at_s)
    assert together / rate_of(studio.sold(alone)) >= 1.9
    rows = read_ledger(shared.folder)
    assert list(bill_violations(studio.seller.book(), [*read_ledger(alone.folder), *rows])) == []
    assert list(limit_violations(studio.seller.book(), RATE_LIMIT)) == []
    assert {row["prompt"] for row in rows if row["status"] == "ok"} == set(shared.prompts)
    assert {row["lane"] for row in rows} == {"north", "south"}
    assert (shared.folder / "shared.mp4").is_file()


def write_shared_board(folder: Path) -> Board:
    """Write the storyboard that both render; its budget pays for what the dead machine had in flight too."""
    return write_board(folder, "shared", frames=SHARED_FRAMES, budget_usd=1)
