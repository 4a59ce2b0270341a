"""Lanes of two storyboards are killed, with their conductors and their database: both films are whole in the end."""

import contextlib
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import func, select

from pipelines.ledger.ledger import Ledger
from pipelines.ledger.schema import attempts
from tests.campaigns.audit import Audit, read_ledger
from tests.campaigns.berths import Berth, BerthClient
from tests.campaigns.boards import FRAME_USD, Board, write_board
from tests.campaigns.book import Book, Sale
from tests.campaigns.crew import Crew, crew_at_work
from tests.campaigns.fault_policy import Violation
from tests.campaigns.lanes import Lane, Schedule, Storm, go_through, held_leases, lanes_of
from tests.campaigns.metered_seller import MeteredSeller, bill_violations, limit_violations, metered_seller
from tests.campaigns.tally import LONG, SEED, OpenTally
from tests.support.postgres import Postgres, database_for, find_binaries, serving_postgres

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("lanes")]

LANES = "abcd"
BOARDS = 2
FRAMES = 300 if LONG else 40
MACHINE_FRAMES = 80
# Of each lane: so few that two cores serve eight processes.
RATE_LIMIT = 120
LATENCY_S = 1.0
# Twice what the frames cost: each kill may leave what was in flight as uncertain, which is charged.
BUDGET_USD = 2 * FRAMES * FRAME_USD
# The day's budget: at first it pays for half of the frames.
HALF_USD = BOARDS * FRAMES // 2 * FRAME_USD
ALL_USD = BOARDS * BUDGET_USD
TURNS = 2 if LONG else 1
# In each half: lanes, conductors and databases that are killed.
STRIKES = (8, 3, 2) if LONG else (1, 1, 1)
OVER_BUDGET = 3


@pytest.fixture
def server() -> Iterator[Postgres | None]:
    """Yield a database server of the test's own, which it may kill; None where Postgres is not installed."""
    with contextlib.ExitStack() as stack:
        binaries = find_binaries()
        yield stack.enter_context(serving_postgres(binaries)) if binaries else None


def schedule(storm: Storm, *, first: int, last: int) -> Schedule:
    """Return the strikes between so many images and so many, in a drawn order, at drawn moments."""
    kinds = (storm.strike_lane, storm.strike_conductor, storm.strike_database)
    strikes = [strike for strike, count in zip(kinds, STRIKES, strict=True) for _ in range(count)]
    storm.rng.shuffle(strikes)
    moments = sorted(storm.rng.randint(first, last) for _ in strikes)
    return Schedule(list(zip(moments, strikes, strict=True)))


def wrong_ends(lanes: Sequence[Lane], *codes: int) -> Iterator[Violation]:
    """Yield lanes that ended otherwise than with one of some exit codes."""
    for lane in lanes:
        assert lane.end is not None
        if lane.end.code not in codes:
            yield "unforeseen", f"{lane.board.path.stem}, {lane.name}: {lane.end.code}: {lane.end.output}"


def wrong_budgets(database_url: str, book: Book, *, daily_usd: Decimal) -> Iterator[Violation]:
    """Yield days on which more was charged than the day's budget, and a bill that is larger than all of them."""
    charged = func.coalesce(attempts.c.cost_usd, attempts.c.reserved_usd, type_=attempts.c.cost_usd.type)
    with Ledger.open(database_url) as ledger, ledger.database.reading() as connection:
        days: defaultdict[int, Decimal] = defaultdict(Decimal)
        for row in connection.execute(select(attempts.c.sent_at, charged.label("usd"))):
            days[row.sent_at // 86_400_000_000] += row.usd
    for number, usd in days.items():
        if usd > daily_usd:
            yield "over_budget", f"day {number}: {usd} USD charged of {daily_usd}"
    if book.billed_usd > daily_usd * max(len(days), 1):
        yield "over_budget", f"{book.billed_usd} USD billed, the day's budget is {daily_usd}"


def wrong_paces(database_url: str) -> Iterator[Violation]:
    """Yield lanes that were above their limit: by the ledger, in which each request of a lane has its own moment."""
    query = select(attempts.c.lane, attempts.c.sent_at).order_by(attempts.c.sent_at)
    lanes: defaultdict[str, Book] = defaultdict(Book)
    with Ledger.open(database_url) as ledger, ledger.database.reading() as connection:
        for row in connection.execute(query):
            lanes[row.lane].sales.append(Sale("", "", Decimal(0), row.sent_at / 1e6))
    if sorted(lanes) != list(LANES):
        yield "unforeseen", f"only these lanes sent anything: {sorted(lanes)}"
    for name, sent in lanes.items():
        if (fullest := sent.fullest(60)) > RATE_LIMIT:
            yield "over_limit", f"lane {name}: {fullest} requests in some minute, the limit is {RATE_LIMIT}"
        if (gap_s := sent.least_gap_s()) < 60 / RATE_LIMIT:
            yield "over_limit", f"lane {name}: two requests are {gap_s * 1000:.1f} ms apart"


@pytest.mark.parametrize("turn", range(TURNS))
def test_lanes_that_are_killed_complete_both_films(
    open_tally: OpenTally, tmp_path: Path, server: Postgres | None, turn: int
) -> None:
    """Nothing is paid for twice that is not uncertain, and no lane's limit is passed, nor any budget."""
    tally = open_tally(f"{len(LANES)} lanes of {BOARDS} storyboards, turn {turn + 1}")
    database_url = database_for(tmp_path, server.port) if server else f"sqlite:///{tmp_path / 'ledger.db'}"
    storm = Storm(database_url, server, random.Random(SEED + turn))
    boards = [
        write_board(tmp_path, f"lanes-{turn}-{number}", frames=FRAMES, budget_usd=BUDGET_USD)
        for number in range(BOARDS)
    ]
    with metered_seller(latency_s=LATENCY_S) as seller, lanes_of(boards, LANES, tmp_path) as lanes:
        audit = Audit(tally, seller, database_url)
        found = list(suffer(boards, lanes, storm, audit=audit, seller=seller))
        book = seller.book()
        rows = [row for board in boards for row in read_ledger(board.folder)]
        found += [*bill_violations(book, rows), *wrong_paces(database_url), *held_leases(database_url)]
        tally.remarks = (
            f"{storm.killed} lanes and {storm.outages} databases killed; {len(book.sales)} images for "
            f"{BOARDS * FRAMES} frames"
        )
    for promise, detail in found:
        audit.blame(promise, detail)

    assert not tally.violations, "\n".join(audit.details)


@pytest.mark.skipif(not LONG, reason="another machine is taken for dead after a minute: in the long form")
def test_machines_that_lose_their_power_complete_both_films(
    open_tally: OpenTally, tmp_path: Path, postgres_binaries: Path
) -> None:
    """Each has an address of its own, which the seller limits by itself; first one that helps goes, then the first."""
    tally = open_tally(f"{len(LANES)} machines of {BOARDS} storyboards")
    with crew_at_work(tmp_path, postgres_binaries, limit=RATE_LIMIT, latency_s=LATENCY_S) as crew:
        boards = [
            write_board(crew.shared, f"machines-{number}", frames=MACHINE_FRAMES, budget_usd=BUDGET_USD)
            for number in range(BOARDS)
        ]
        berths = [Berth(crew, name) for name in LANES]
        lanes = [
            Lane(board, name, BerthClient(berth)) for name, berth in zip(LANES, berths, strict=True) for board in boards
        ]
        strikes = Schedule(
            [
                (BOARDS * MACHINE_FRAMES // 4, berths[2].lose_power),
                (BOARDS * MACHINE_FRAMES // 2, berths[0].lose_power),
            ]
        )
        seller = crew.seller
        audit = Audit(tally, seller, database_url_of(crew))
        go_through(lanes, strikes, sold=lambda: len(seller.book().sales), environment={}, on_strike=audit.count_trial)
        rows = [row for board in boards for row in read_ledger(board.folder)]
        found = [*wrong_ends(lanes, 0), *wrong_paces(audit.database_url), *held_leases(audit.database_url)]
        found += [*bill_violations(seller.book(), rows), *limit_violations(seller.book(), RATE_LIMIT)]
        for board in boards:
            audit.is_complete(board.folder, board.prompts, arrived=set())
        tally.remarks = f"{len(seller.book().sales)} requests for {BOARDS * MACHINE_FRAMES} frames"
    for promise, detail in found:
        audit.blame(promise, detail)

    assert not tally.violations, "\n".join(audit.details)


def database_url_of(crew: Crew) -> str:
    """Return where the ledger of a crew is."""
    return crew.settings["STORYREEL_DATABASE_URL"]


def suffer(
    boards: Sequence[Board], lanes: Sequence[Lane], storm: Storm, *, audit: Audit, seller: MeteredSeller
) -> Iterator[Violation]:
    """Let lanes render until the day's budget is used up, and with a larger one to the end, while they are struck."""
    environment = {
        "STORYREEL_ENDPOINT": seller.url,
        "STORYREEL_DATABASE_URL": storm.database_url,
        "STORYREEL_RATE_LIMIT": str(RATE_LIMIT),
        "STORYREEL_ON_EXCEED": "stop",
    }
    arrived: set[int] = set()

    def look() -> None:
        audit.count_trial()
        audit.ledger_covers_the_bill()
        for board in boards:
            arrived.update(audit.open_and_arrived(board.folder))

    half = BOARDS * FRAMES // 2
    halves = ((1, half * 3 // 4, HALF_USD), (half + 1, 2 * half * 7 // 8, ALL_USD))
    for first, last, daily_usd in halves:
        settings = {**environment, "STORYREEL_BUDGET_DAILY_USD": str(daily_usd)}
        strikes = schedule(storm, first=first, last=last)
        go_through(lanes, strikes, sold=lambda: len(seller.book().sales), environment=settings, on_strike=look)
        yield from wrong_ends(lanes, 0, *([OVER_BUDGET] if daily_usd < ALL_USD else []))
        yield from wrong_budgets(storm.database_url, seller.book(), daily_usd=daily_usd)
        audit.ledger_covers_the_bill()
    for board in boards:
        audit.is_complete(board.folder, board.prompts, arrived=arrived)
