"""One of two lanes is killed where lanes depend on each other: the other ends, and the next run completes the film."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select

from pipelines.ledger.ledger import Ledger
from pipelines.ledger.schema import runs
from tests.campaigns.audit import Audit, read_ledger
from tests.campaigns.boards import FRAME_USD, Board, write_board
from tests.campaigns.clients import Forker, forker
from tests.campaigns.fault_policy import Violation
from tests.campaigns.killing import NEVER
from tests.campaigns.lanes import held_leases
from tests.campaigns.metered_seller import MeteredSeller, bill_violations, metered_seller
from tests.campaigns.tally import LONG, OpenTally
from tests.conftest import wait_until

pytestmark = pytest.mark.slow

# Each lane claims five takes at a time, so that both have some.
RATE_LIMIT = 300
LATENCY_S = 0.3
# So many that the other one has some left for the one that joins it, on a slow machine too.
FRAMES = 40 if LONG else 20


@dataclass(frozen=True, slots=True)
class Kill:
    """Where a lane is killed.

    Attributes:
        boundary: its name in `killing`.
        conducts: whether it is the lane that makes the film.
        passing: which passing of the boundary kills.
        may_miss: whether the other lane may be so quick that the boundary is not passed.
    """

    boundary: str
    conducts: bool
    passing: int = 1
    may_miss: bool = False

    @property
    def victim(self) -> str:
        """The name of the lane."""
        return "conductor" if self.conducts else "member"


# Passed with each frame, before a step is in the ledger and after.
FRAME_BOUNDARIES = ("admitting", "admitted", "sent", "billing", "billed", "named", "keeping", "kept")
SHORT_KILLS = [
    Kill("claimed", conducts=False),
    Kill("piece claimed", conducts=True, may_miss=True),
    Kill("waiting for the film", conducts=False),
    Kill("published", conducts=True),
    Kill("cut", conducts=True),
]
KILLS = [
    *SHORT_KILLS,
    Kill("claimed", conducts=True, passing=2),
    Kill("piece claimed", conducts=False, may_miss=True),
    *(Kill(boundary, conducts=False, passing=2) for boundary in FRAME_BOUNDARIES),
    *(Kill(boundary, conducts=True) for boundary in ("publishing", "cutting", "finishing", "finished")),
    Kill("finishing", conducts=False),
]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two lanes of one storyboard, one of which is to die.

    Attributes:
        board: the storyboard.
        victim, other: their processes.
        environment: their settings.
    """

    board: Board
    victim: Forker
    other: Forker
    environment: dict[str, str]

    def render(self, kill: Kill, *, audit: Audit) -> None:
        """Let the one that conducts begin, and the other join it."""
        victim, other = (self.victim, kill.boundary, kill.passing), (self.other, NEVER, 1)
        first, second = (victim, other) if kill.conducts else (other, victim)
        self._begin(*first)
        wait_until(lambda: runs_of(self.board, audit.database_url) > 0)
        self._begin(*second)

    def _begin(self, client: Forker, boundary: str, passing: int) -> None:
        environment = {**self.environment, "STORYREEL_LANE": "victim" if client is self.victim else "other"}
        client.begin("render", str(self.board.path), environment=environment, boundary=boundary, passing=passing)


def runs_of(board: Board, database_url: str) -> int:
    """Return how many runs of a storyboard have begun."""
    begun = select(func.count()).where(runs.c.storyboard == board.path.stem)
    with Ledger.open(database_url) as ledger, ledger.database.reading() as connection:
        return int(connection.scalar(begun) or 0)


def suffer(pair: Pair, kill: Kill, *, audit: Audit) -> Iterator[Violation]:
    """Let two lanes render, and one of them die; then complete the film. Yield what ended otherwise than it must."""
    what = f"{kill.victim} {kill.boundary}"
    pair.render(kill, audit=audit)
    end = pair.victim.end()
    if end.killed:
        audit.count_trial()
    elif end.code or not kill.may_miss:
        yield "unforeseen", f"{what}: the victim ended with {end.code}: {end.output}"
    arrived = audit.open_and_arrived(pair.board.folder)
    other = pair.other.end()
    if other.code and not other.left_behind:
        yield "unforeseen", f"{what}: the other ended with {other.code}: {other.output}"
    audit.ledger_covers_the_bill()
    last = pair.other.run("render", str(pair.board.path), environment=pair.environment)
    if last.code:
        yield "unforeseen", f"{what}: the last run ended with {last.code}: {last.output}"
    audit.is_complete(pair.board.folder, pair.board.prompts, arrived=arrived)


def environment_of(seller: MeteredSeller, database_url: str) -> dict[str, str]:
    """Return the settings of lanes."""
    return {
        "STORYREEL_ENDPOINT": seller.url,
        "STORYREEL_DATABASE_URL": database_url,
        "STORYREEL_RATE_LIMIT": str(RATE_LIMIT),
    }


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"] if LONG else ["postgres"], indirect=True)
def test_one_of_two_lanes_is_killed_where_they_depend_on_each_other(
    open_tally: OpenTally, tmp_path: Path, database_url: str
) -> None:
    """The other ends, with the film or because nobody makes it any more; nothing is paid for twice."""
    tally = open_tally(f"one of two lanes is killed, {database_url.partition(':')[0]}")
    kills = KILLS if LONG else SHORT_KILLS
    with (
        metered_seller(latency_s=LATENCY_S) as seller,
        forker(tmp_path, "victim") as victim,
        forker(tmp_path, "other") as other,
    ):
        audit = Audit(tally, seller, database_url)
        # Each kill may leave what was in flight as uncertain, which is charged.
        budget_usd = 2 * FRAMES * FRAME_USD
        boards = [
            write_board(tmp_path, f"pair-{number}", frames=FRAMES, budget_usd=budget_usd)
            for number in range(len(kills))
        ]
        environment = environment_of(seller, database_url)
        for kill, board in zip(kills, boards, strict=True):
            for promise, detail in suffer(Pair(board, victim, other, environment), kill, audit=audit):
                audit.blame(promise, detail)
        rows = [row for board in boards for row in read_ledger(board.folder)]
        for promise, detail in [*bill_violations(seller.book(), rows), *held_leases(database_url)]:
            audit.blame(promise, detail)
        tally.remarks = f"{sum(seller.images.values())} images for {FRAMES * len(boards)} frames"

    assert not tally.violations, "\n".join(audit.details)
