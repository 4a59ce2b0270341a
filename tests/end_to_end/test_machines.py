"""Two machines with one database, one shared folder and one endpoint: nothing is asked for twice, nor too often."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.campaigns.audit import read_ledger
from tests.campaigns.boards import write_board
from tests.campaigns.metered_seller import MeteredSeller, bill_violations, metered_seller
from tests.conftest import BIN, clean_environment
from tests.support.machines import Machine, MachineRoom, machine_room
from tests.support.patience import WAIT_S
from tests.support.postgres import database_for, serving_postgres

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("machines")]

RATE_LIMIT = 600
FRAMES = 20
LATENCY_S = 0.3
# Nothing here is about Prefect, of which each machine would start one.
RENDER = (str(BIN / "python"), "-m", "tests.support.local_command", "render")
WINDOW_S = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that each machine has one of its own of; the machines share what is in `shared`."""
    folder = tmp_path_factory.mktemp("machines")
    (folder / "shared").mkdir()
    return folder


@pytest.fixture(scope="module")
def room(folder: Path) -> Iterator[MachineRoom]:
    """Yield a room whose machines reach a database and an endpoint, and nothing else."""
    with machine_room(folder, "database", "endpoint") as room:
        yield room


@pytest.fixture(scope="module")
def database_url(room: MachineRoom, folder: Path, postgres_binaries: Path) -> Iterator[str]:
    """Yield where all machines find their ledger."""
    address = room.address("database")
    with serving_postgres(postgres_binaries, address=address) as server:
        yield database_for(folder, server.port, host=address)


@pytest.fixture
def seller(room: MachineRoom) -> Iterator[MeteredSeller]:
    """Yield an endpoint that limits each machine by itself."""
    with metered_seller(limit=RATE_LIMIT, latency_s=LATENCY_S, host=room.address("endpoint")) as seller:
        yield seller


@pytest.fixture
def environment(seller: MeteredSeller, database_url: str, folder: Path) -> dict[str, str]:
    """Return the environment of the command on every machine."""
    home = {name: str(folder) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    return clean_environment(
        **home,
        PYTHONPATH=str(Path(__file__).parents[2]),
        STORYREEL_ENDPOINT=seller.url,
        STORYREEL_DATABASE_URL=database_url,
        STORYREEL_RATE_LIMIT=str(RATE_LIMIT),
    )


def test_two_machines_share_one_limit_and_one_storyboard(
    room: MachineRoom, folder: Path, seller: MeteredSeller, environment: dict[str, str]
) -> None:
    """Each renders one of its own, and both the same one, from a folder that one of them sees at another path."""
    shared, elsewhere = folder / "shared", folder / "studio"
    boards = {name: write_board(shared, name, frames=FRAMES) for name in ("morning", "evening", "both")}
    machines = [room.machine("north", shared={shared: shared}), room.machine("south", shared={shared: elsewhere})]
    asked = [(machines[0], shared, "morning"), (machines[1], elsewhere, "evening")]

    started = [machine.run([*RENDER, f"{own}.yaml", "both.yaml"], environment, cwd=at) for machine, at, own in asked]
    ended = [(process.communicate(timeout=WAIT_S)[1], process.returncode) for process in started]

    book = seller.book()
    assert [code for _, code in ended] == [0, 0], ended
    rows = [row for board in boards.values() for row in read_ledger(board.folder)]
    assert list(bill_violations(book, rows)) == []
    assert {prompt: len(sales) for prompt, sales in book.by_prompt().items()} == {
        prompt: 1 for board in boards.values() for prompt in board.prompts
    }
    assert book.by_client().keys() == {machine.address("endpoint") for machine in machines}
    # Without lanes both go through one gate: together they ask no oftener than one may.
    assert book.fullest(WINDOW_S) <= 1.25 * RATE_LIMIT * WINDOW_S / 60


def test_a_machine_without_the_shared_folder_is_refused(
    room: MachineRoom, folder: Path, seller: MeteredSeller, environment: dict[str, str]
) -> None:
    """It sees the storyboard and the ledger, but not the takes: it would pay for every one of them again."""
    board = write_board(folder / "shared", "alone", frames=3)
    (folder / "copied").mkdir()
    copied = write_board(folder / "copied", "alone", frames=3)
    sees = room.machine("east", shared={board.path.parent: board.path.parent})
    blind = room.machine("west", shared={copied.path.parent: board.path.parent})

    def rendered(machine: Machine) -> tuple[int, str]:
        process = machine.run([*RENDER, "alone.yaml"], environment, cwd=board.path.parent)
        said = process.communicate(timeout=WAIT_S)[1]
        return process.returncode, said

    first, then = rendered(sees), rendered(blind)

    assert first[0] == 0, first
    assert (then[0], "3 of its takes lie in another output folder" in then[1]) == (2, True), then
    assert [sale.client for sale in seller.book().sales] == [sees.address("endpoint")] * 3
