"""Something happens to one of two machines that render one storyboard: it is completed, and the books agree."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.campaigns.audit import read_ledger
from tests.campaigns.boards import FRAME_USD, Board, write_board
from tests.campaigns.crew import Crew, Done, crew_at_work, end_of
from tests.campaigns.fault_policy import Violation
from tests.campaigns.meter import SOLD
from tests.campaigns.metered_seller import bill_violations, limit_violations
from tests.campaigns.tally import LONG, OpenTally
from tests.conftest import wait_until
from tests.support.machines import Machine

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("machines")]

RATE_LIMIT = 600
LATENCY_S = 0.3
# What a machine may have in flight, with a second to spare.
IN_FLIGHT = RATE_LIMIT / 60 * (LATENCY_S + 1)
WINDOW_S = 3
FRAMES = 240 if LONG else 48
# Of the frames, when it happens.
STRIKES_AT = 1 / 3
# Longer than a run on another machine is taken for alive, and than a server holds a silent session's locks.
LONG_S = 75


@dataclass(frozen=True, slots=True)
class Calamity:
    """What happens to a machine.

    Attributes:
        name: in the words of the tally.
        strike: makes it happen, and undoes it where it passes.
        codes: the exit codes that its command may end with.
        clock_off: by what its clock is wrong all the while.
        bursts: whether requests are held back, and come all at once in the end.
        presumed_dead: whether the other machine must take it for dead, and it is not: what it has in flight is
            generated once more, and its own becomes a spare.
    """

    name: str
    strike: Callable[[Machine], None]
    codes: tuple[int, ...] = (0,)
    clock_off: str = ""
    bursts: bool = False
    presumed_dead: bool = False


def lost(service: str, seconds: float) -> Callable[[Machine], None]:
    """Return what cuts a machine off from a service for so long."""

    def strike(machine: Machine) -> None:
        machine.cut_off(service)
        time.sleep(seconds)
        machine.restore(service)

    return strike


def sleep(machine: Machine) -> None:
    """Let a machine sleep until the others have taken it for dead."""
    machine.suspend()
    time.sleep(LONG_S)
    machine.resume()


SHORT_CALAMITIES = [
    Calamity("loses its database for a while, its clock an hour ahead", lost("database", 5), clock_off="+1h")
]
CALAMITIES = [
    *SHORT_CALAMITIES,
    Calamity(
        "loses its endpoint for a while, its clock an hour behind", lost("endpoint", 10), clock_off="-1h", bursts=True
    ),
    Calamity("loses its database for long", lost("database", LONG_S), (0, 4), presumed_dead=True),
    Calamity("sleeps", sleep, (0, 4), presumed_dead=True),
    Calamity("is killed", Machine.kill, (-9,)),
    Calamity("loses its power", Machine.power_off, (-9,)),
]


@pytest.fixture
def crew(tmp_path: Path, postgres_binaries: Path) -> Iterator[Crew]:
    """Yield a crew without machines yet."""
    with crew_at_work(tmp_path, postgres_binaries, limit=RATE_LIMIT, latency_s=LATENCY_S) as crew:
        yield crew


def suffer(crew: Crew, board: Board, calamity: Calamity) -> tuple[Done, Done]:
    """Let two machines render, and it happen to one of them; return how its command ended, and how the other's."""
    victim, other = crew.machine("north"), crew.machine("south")
    suffering = crew.start(victim, "render", board.path.name, clock_off=calamity.clock_off, STORYREEL_LANE="north")
    # The victim first: on a slow machine the other would have generated all before it happens.
    wait_until(lambda: sold(crew) > 0)
    going_on = crew.start(other, "render", board.path.name, STORYREEL_LANE="south")
    wait_until(lambda: sold(crew) >= FRAMES * STRIKES_AT)
    calamity.strike(victim)
    return end_of(suffering), end_of(going_on)


def sold(crew: Crew) -> int:
    """Return how many images the seller has sold."""
    return sum(sale.kind == SOLD for sale in crew.seller.book().sales)


def wrong_ends(crew: Crew, board: Board, calamity: Calamity, ends: tuple[Done, Done]) -> Iterator[Violation]:
    """Yield commands that ended otherwise than they must, that of a last run among them."""
    victim, other = ends
    if victim.exit_code not in calamity.codes:
        yield "unforeseen", f"the machine that {calamity.name} ended with {victim}"
    last = end_of(crew.start(crew.machine("west"), "render", board.path.name))
    # Where the one that makes the film seems to have died, the other one stops.
    if other.exit_code and not (other.exit_code == 4 and "the run that makes the film" in other.stderr):
        yield "unforeseen", f"the other machine ended with {other}"
    if last.exit_code:
        yield "unforeseen", f"the last run ended with {last}"


def wrong_books(crew: Crew, board: Board, calamity: Calamity) -> Iterator[Violation]:
    """Yield what is wrong with the seller's book, and the ledger beside it."""
    book, rows = crew.seller.book(), read_ledger(board.folder)
    for promise, detail in bill_violations(book, rows):
        if promise != "twice" or not calamity.presumed_dead:
            yield promise, detail
    if missing := set(board.prompts) - {row["prompt"] for row in rows if row["status"] == "ok"}:
        yield "lost", f"nothing is kept of {missing}"
    if (more := sold(crew) - FRAMES) > IN_FLIGHT:
        yield "twice", f"{more} images more than frames"
    yield from limit_violations(book, RATE_LIMIT)
    for client, own in book.by_client().items():
        if not calamity.bursts and (fullest := own.fullest(WINDOW_S)) > 1.25 * RATE_LIMIT * WINDOW_S / 60:
            yield "over_limit", f"{client}: {fullest} requests in {WINDOW_S} s"


@pytest.mark.parametrize("calamity", CALAMITIES if LONG else SHORT_CALAMITIES, ids=lambda calamity: calamity.name)
def test_one_of_two_machines_suffers_and_the_books_agree(open_tally: OpenTally, crew: Crew, calamity: Calamity) -> None:
    """Whatever happens to it, the film is completed, no frame is paid for twice, and the one limit holds."""
    tally = open_tally(f"one of two machines {calamity.name}")
    # What was in flight may be uncertain, and then it is paid for once more.
    budget_usd = (FRAMES + math.ceil(IN_FLIGHT)) * FRAME_USD
    board = write_board(crew.shared, "film", frames=FRAMES, budget_usd=budget_usd)

    ends = suffer(crew, board, calamity)

    found = [*wrong_ends(crew, board, calamity, ends), *wrong_books(crew, board, calamity)]
    tally.remarks = f"{sold(crew)} images for {FRAMES} frames; it ended with {ends[0].exit_code}"
    tally.enter(found, trials=1)
