"""Kills renders at every boundary and at random moments; what is paid for is never lost and never generated twice."""

import contextlib
import queue
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.server.config import ServerConfig
from tests.campaigns.audit import Audit, read_ledger
from tests.campaigns.boards import FRAME_USD, Board, write_board
from tests.campaigns.book import Book
from tests.campaigns.clients import ClientEnd, Forker, forker
from tests.campaigns.killing import BOUNDARIES, MOMENT
from tests.campaigns.metered_seller import bill_violations
from tests.campaigns.seller import Seller, client_environment, selling
from tests.campaigns.tally import LONG, SEED, OpenTally
from tests.campaigns.ways import FLUX, WAYS, Way
from tests.conftest import wait_until
from tests.support.postgres import Postgres, database_for, serving_postgres

pytestmark = pytest.mark.slow

Kill = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Trial:
    """A storyboard whose renders are killed, and where it is sold and audited."""

    board: Board
    kills: Sequence[Kill]
    seller: Seller
    audit: Audit
    environment: Mapping[str, str]


FRAMES = 6 if LONG else 4
LATENCY_S = (0.05, 0.3)
RATE_LIMIT = 1200
# About as long as a render of so few frames takes once it has begun.
LIFE_MS = 1200
FORKERS = 2
# Up to here a boundary is passed once for each frame, from then on once in a run.
_GENERATING = list(BOUNDARIES).index("kept") + 1
FRAME_BOUNDARIES, RUN_BOUNDARIES = list(BOUNDARIES)[:_GENERATING], list(BOUNDARIES)[_GENERATING:]
# In what a kill leaves there, dialects differ: JSON holds the picture, and perhaps the bill.
DIALECT_BOUNDARIES = ("billed", "arriving", "body")
TURNS = 3 if LONG else 1


def draw_kills(turn: int, rng: random.Random) -> Iterator[list[Kill]]:
    """Yield the kills that the renders of each storyboard suffer; each but the first strikes a run that recovers."""

    def moment() -> Kill:
        return MOMENT, rng.randint(1, LIFE_MS)

    later = [(boundary, 1) for boundary in RUN_BOUNDARIES] + [moment() for _ in range(4)]
    for number, boundary in enumerate(FRAME_BOUNDARIES):
        kills = [(boundary, rng.randint(1, FRAMES)), later[(number + turn) % len(later)]]
        yield [*kills, moment()] if LONG else kills
    for _ in range(5 if LONG else 0):
        yield [moment() for _ in range(3)]


def ways_of(turn: int) -> tuple[Way, ...]:
    """Return the dialects of a turn: the first and, at length, another in each."""
    return (FLUX, WAYS[1 + turn % (len(WAYS) - 1)]) if LONG else WAYS


def draw_kills_of(way: Way, turn: int, rng: random.Random) -> Iterator[list[Kill]]:
    """Yield the kills for a seller of this dialect; in short, but for the first dialect, only where they differ."""
    if LONG or way is FLUX:
        yield from draw_kills(turn, rng)
    else:
        yield from ([(boundary, rng.randint(1, FRAMES))] for boundary in DIALECT_BOUNDARIES)


def suffer(trial: Trial, client: Forker) -> set[int]:
    """Kill the renders of a storyboard, then complete it.

    Returns the attempts that some kill left open while their image was whole on disk.
    """
    arrived: set[int] = set()
    board, audit, environment = trial.board, trial.audit, trial.environment
    for boundary, passing in trial.kills:
        end = client.run("render", str(board.path), environment=environment, boundary=boundary, passing=passing)
        if end.killed:
            audit.count_trial()
        # Only a moment may come too late.
        elif end.code or boundary != MOMENT:
            audit.blame("unforeseen", f"{board.path.stem}, {boundary} {passing}: ended with {end.code}: {end.output}")
        audit.ledger_covers_the_bill()
        audit.files_are_whole(board.folder)
        arrived |= audit.open_and_arrived(board.folder)
    end = client.run("render", str(board.path), environment=environment)
    if end.code:
        audit.blame("unforeseen", f"{board.path.stem}: the completing run ended with {end.code}: {end.output}")
    return arrived


def suffer_all(trials: Sequence[Trial], *, folder: Path, api: str) -> set[int]:
    """Kill the renders of all storyboards, several at a time; see `suffer`."""
    with contextlib.ExitStack() as stack:
        idle: queue.SimpleQueue[Forker] = queue.SimpleQueue()
        for number in range(FORKERS):
            idle.put(stack.enter_context(forker(folder, f"client-{number}", api=api)))

        def suffer_one(trial: Trial) -> set[int]:
            client = idle.get()
            try:
                return suffer(trial, client)
            finally:
                idle.put(client)

        with ThreadPoolExecutor(FORKERS) as pool:
            return set().union(*pool.map(suffer_one, trials))


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"] if LONG else ["sqlite"], indirect=True)
@pytest.mark.parametrize("turn", range(TURNS))
def test_a_killed_render_is_completed_and_nothing_is_generated_twice(
    open_tally: OpenTally, tmp_path: Path, database_url: str, prefect_api_url: str, turn: int
) -> None:
    """After any kill, the next run completes the film: each image is kept or unknown, none is generated again."""
    rng, where = random.Random(SEED + turn), f"{database_url.partition(':')[0]}, turn {turn + 1}"
    with contextlib.ExitStack() as stack:
        sold: dict[str, list[Trial]] = {}
        for way in ways_of(turn):
            seller = stack.enter_context(selling(ServerConfig(latency_s=LATENCY_S, rate_limit=0, seed=SEED), way=way))
            audit = Audit(open_tally(f"a render is killed, {way.name}, {where}"), seller, database_url)
            kills = draw_kills_of(way, turn, rng)
            sold[way.name] = [
                write_trial(seller, audit, own, folder=tmp_path, name=f"board-{turn}-{len(sold)}-{number}")
                for number, own in enumerate(kills)
            ]
        arrived = suffer_all([trial for own in sold.values() for trial in own], folder=tmp_path, api=prefect_api_url)
        for own in sold.values():
            settle(own, arrived)

    assert not [detail for own in sold.values() for detail in own[0].audit.details]


def write_trial(seller: Seller, audit: Audit, kills: Sequence[Kill], *, folder: Path, name: str) -> Trial:
    """Write the storyboard of a trial, whose budget pays for each frame once, and return the trial."""
    environment = client_environment(seller, audit.database_url, folder, rate_limit=RATE_LIMIT)
    board = write_board(folder, name, frames=FRAMES, budget_usd=FRAMES * seller.way.reserved_usd)
    return Trial(board, kills, seller, audit, environment)


def settle(trials: Sequence[Trial], arrived: set[int]) -> None:
    """Check what the trials of one seller left, once it has dealt with every request."""
    seller, audit = trials[0].seller, trials[0].audit
    seller.settle()
    audit.ledger_covers_the_bill()
    for trial in trials:
        audit.is_complete(trial.board.folder, trial.board.prompts, arrived=arrived)
    rows = [row for trial in trials for row in read_ledger(trial.board.folder)]
    for promise, detail in bill_violations(Book(seller.sales), rows):
        audit.blame(promise, detail)
    audit.ledger_covers_the_bill()
    audit.limit_was_kept(RATE_LIMIT)
    audit.tally.remarks = f"{sum(seller.images.values())} images billed for {FRAMES * len(trials)} frames"


DUEL_RATE_LIMIT = 240
# Long enough for a full minute at the limit; in short, for both to generate at the same time.
DUEL_FRAMES = 300 if LONG else 40
DUELS = 2 if LONG else 1


def draw_victims(duel: int, rng: random.Random) -> Iterator[Kill]:
    """Yield where one victim after the other dies: first of all with an image that is paid for and not yet kept."""
    yield ("named", 12) if duel % 2 else ("body", 12)
    while LONG:
        yield rng.choice([(rng.choice(FRAME_BOUNDARIES), rng.randint(1, 3)), (MOMENT, rng.randint(1, 4 * LIFE_MS))])


def duel(
    board: Board, kills: Iterable[Kill], audit: Audit, *, clients: Sequence[Forker], environment: dict[str, str]
) -> set[int]:
    """Render with two clients at once: one goes on to the end, the other is killed, and begun anew, until then.

    Where the one that dies was to make the film, the other ends too, and is begun again.
    """
    arrived: set[int] = set()
    survivor, victim = clients
    for number, (boundary, passing) in enumerate(kills):
        victim.begin("render", str(board.path), environment=environment, boundary=boundary, passing=passing)
        if number == 0:
            # The victim first: on a slow machine the other would have generated all before it dies.
            wait_until((board.folder / "takes").is_dir)
            survivor.begin("render", str(board.path), environment=environment)
        note_kill(victim.end(), f"{board.path.stem}, {boundary} {passing}", audit, must_die=number == 0)
        arrived |= audit.open_and_arrived(board.folder)
        audit.ledger_covers_the_bill()
        if survivor.ended(timeout_s=0):
            end = survivor.end()
            if not end.left_behind:
                break
            survivor.begin("render", str(board.path), environment=environment)
    else:
        end = survivor.end()
    while end.left_behind:
        end = survivor.run("render", str(board.path), environment=environment)
    if end.code:
        audit.blame("unforeseen", f"{board.path.stem}: the survivor ended with {end.code}: {end.output}")
    return arrived


def note_kill(end: ClientEnd, what: str, audit: Audit, *, must_die: bool) -> None:
    """Count a kill, or blame a client that ended otherwise than it may."""
    if end.killed:
        audit.count_trial()
    elif end.code or must_die:
        audit.blame("unforeseen", f"{what}: ended with {end.code}: {end.output}")


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"] if LONG else ["postgres"], indirect=True)
@pytest.mark.parametrize("turn", range(DUELS))
def test_one_of_two_clients_is_killed_and_the_other_completes(
    open_tally: OpenTally, tmp_path: Path, database_url: str, prefect_api_url: str, turn: int
) -> None:
    """On one database and one storyboard the other client takes over, within the limit, and generates nothing twice."""
    tally = open_tally(f"one of two clients is killed, {database_url.partition(':')[0]}, turn {turn + 1}")
    server = ServerConfig(latency_s=LATENCY_S, rate_limit=DUEL_RATE_LIMIT, seed=SEED)
    with (
        selling(server) as seller,
        forker(tmp_path, "survivor", api=prefect_api_url) as survivor,
        forker(tmp_path, "victim", api=prefect_api_url) as victim,
    ):
        audit = Audit(tally, seller, database_url)
        environment = client_environment(seller, database_url, tmp_path, rate_limit=DUEL_RATE_LIMIT)
        board = write_board(tmp_path, f"duel-{turn}", frames=DUEL_FRAMES)
        kills = draw_victims(turn, random.Random(SEED + turn))
        arrived = duel(board, kills, audit, clients=(survivor, victim), environment=environment)
        seller.settle()
        audit.is_complete(board.folder, board.prompts, arrived=arrived)
        audit.ledger_covers_the_bill()
        audit.limit_was_kept(DUEL_RATE_LIMIT)
        stats = seller.stats()
        tally.remarks = f"{stats['images']} images billed, {stats['max_requests_in_any_60s']} requests in some 60 s"

    assert not tally.violations, "\n".join(audit.details)


OUTAGES = 12 if LONG else 2


def test_the_database_server_is_killed_and_nothing_is_lost(
    open_tally: OpenTally, tmp_path: Path, prefect_api_url: str, postgres_binaries: Path
) -> None:
    """A run that was in the middle of it completes once the server is back, or the next run does."""
    tally = open_tally("the database server is killed")
    rng = random.Random(SEED)
    with (
        serving_postgres(postgres_binaries) as server,
        selling(ServerConfig(latency_s=LATENCY_S, rate_limit=0, seed=SEED)) as seller,
        forker(tmp_path, "client", api=prefect_api_url) as client,
    ):
        database_url = database_for(tmp_path, server.port)
        audit = Audit(tally, seller, database_url)
        environment = client_environment(seller, database_url, tmp_path, rate_limit=RATE_LIMIT)
        ended_well = 0
        for number in range(OUTAGES):
            board = write_board(tmp_path, f"outage-{number}", frames=4 * FRAMES, budget_usd=FRAME_USD * 99)
            ended_well += suffer_outage(
                board, rng.uniform(0, 0.3), audit, seller=seller, server=server, client=client, environment=environment
            )
        tally.remarks = f"{ended_well} of {OUTAGES} runs outlived it"

    assert not tally.violations, "\n".join(audit.details)


def suffer_outage(
    board: Board,
    after_s: float,
    audit: Audit,
    *,
    seller: Seller,
    server: Postgres,
    client: Forker,
    environment: dict[str, str],
) -> bool:
    """Kill the database server in the middle of a render, then complete it; return whether the render outlived it."""
    client.begin("render", str(board.path), environment=environment)
    wait_until(lambda: any(board.folder.glob("takes/*.png")))
    time.sleep(after_s)
    server.kill()
    server.start()
    end = client.end()
    audit.count_trial()
    if end.code not in (0, 4):
        audit.blame("unforeseen", f"{board.path.stem}: ended with {end.code}: {end.output}")
    seller.settle()
    audit.ledger_covers_the_bill()
    arrived = audit.open_and_arrived(board.folder)
    last = client.run("render", str(board.path), environment=environment)
    if last.code:
        audit.blame("unforeseen", f"{board.path.stem}: the completing run ended with {last.code}: {last.output}")
    audit.is_complete(board.folder, board.prompts, arrived=arrived)
    return end.code == 0
