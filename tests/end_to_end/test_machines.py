"""Two machines with one database, one shared folder and one endpoint: nothing is asked for twice, nor too often."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.campaigns.audit import read_ledger
from tests.campaigns.boards import write_board
from tests.campaigns.crew import Crew, crew_at_work, end_of
from tests.campaigns.metered_seller import bill_violations

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("machines")]

RATE_LIMIT = 600
FRAMES = 20
WINDOW_S = 3


@pytest.fixture
def crew(tmp_path: Path, postgres_binaries: Path) -> Iterator[Crew]:
    """Yield a crew whose endpoint limits each machine by itself."""
    with crew_at_work(tmp_path, postgres_binaries, limit=RATE_LIMIT, latency_s=0.3) as crew:
        yield crew


def test_two_machines_share_one_limit_and_one_storyboard(crew: Crew, tmp_path: Path) -> None:
    """Each renders one of its own, and both the same one, from a folder that one of them sees at another path."""
    boards = {name: write_board(crew.shared, name, frames=FRAMES) for name in ("morning", "evening", "both")}
    north, south = crew.machine("north"), crew.machine("south", at=tmp_path / "studio")

    started = [
        crew.start(north, "render", "morning.yaml", "both.yaml"),
        crew.start(south, "render", "evening.yaml", "both.yaml", at=tmp_path / "studio"),
    ]
    ended = [end_of(process) for process in started]

    assert [end.exit_code for end in ended] == [0, 0], ended
    book = crew.seller.book()
    assert list(bill_violations(book, [row for board in boards.values() for row in read_ledger(board.folder)])) == []
    prompts = [prompt for board in boards.values() for prompt in board.prompts]
    assert {prompt: len(sales) for prompt, sales in book.by_prompt().items()} == dict.fromkeys(prompts, 1)
    assert book.by_client().keys() == {machine.address("endpoint") for machine in (north, south)}
    # Without lanes both go through one gate: together they ask no oftener than one may.
    assert book.fullest(WINDOW_S) <= 1.25 * RATE_LIMIT * WINDOW_S / 60


def test_a_machine_without_the_shared_folder_is_refused(crew: Crew, tmp_path: Path) -> None:
    """It sees the storyboard and the ledger, but not the takes: it would pay for every one of them again."""
    write_board(crew.shared, "alone", frames=3)
    (tmp_path / "copied").mkdir()
    write_board(tmp_path / "copied", "alone", frames=3)
    sees, blind = crew.machine("north"), crew.room.machine("south", shared={tmp_path / "copied": crew.shared})

    first, then = (end_of(crew.start(machine, "render", "alone.yaml")) for machine in (sees, blind))

    assert first.exit_code == 0, first
    assert (then.exit_code, "3 of its takes lie in another output folder" in then.stderr) == (2, True), then
    assert [sale.client for sale in crew.seller.book().sales] == [sees.address("endpoint")] * 3
