"""Kills renders at every boundary and at random moments; what is paid for is never lost and never generated twice."""

import contextlib
import queue
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.server.config import ServerConfig
from tests.campaigns.audit import Audit
from tests.campaigns.boards import FRAME_USD, Board, write_board
from tests.campaigns.clients import ClientEnd, Forker, forker
from tests.campaigns.killing import BOUNDARIES, MOMENT
from tests.campaigns.seller import Seller, client_environment, selling
from tests.campaigns.tally import LONG, SEED, OpenTally
from tests.conftest import wait_until
from tests.support.postgres import Postgres, database_for, serving_postgres

pytestmark = pytest.mark.slow

Kill = tuple[str, int]

FRAMES = 6 if LONG else 4
LATENCY_S = (0.05, 0.3)
RATE_LIMIT = 1200
# About as long as a render of so few frames takes once it has begun.
LIFE_MS = 1200
FORKERS = 2
# Up to here a boundary is passed once for each frame, from then on once in a run.
_GENERATING = list(BOUNDARIES).index("kept") + 1
FRAME_BOUNDARIES, RUN_BOUNDARIES = list(BOUNDARIES)[:_GENERATING], list(BOUNDARIES)[_GENERATING:]


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


def suffer(
    board: Board, kills: Sequence[Kill], audit: Audit, *, client: Forker, environment: dict[str, str]
) -> set[int]:
    """Kill the renders of a storyboard, then complete it.

    Returns the attempts that some kill left open while their image was whole on disk.
    """
    arrived: set[int] = set()
    for boundary, passing in kills:
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


def suffer_all(
    trials: Sequence[tuple[Board, Sequence[Kill]]], audit: Audit, *, folder: Path, environment: dict[str, str], api: str
) -> list[set[int]]:
    """Kill the renders of all storyboards, several at a time."""
    with contextlib.ExitStack() as stack:
        idle: queue.SimpleQueue[Forker] = queue.SimpleQueue()
        for number in range(FORKERS):
            idle.put(stack.enter_context(forker(folder, f"client-{number}", api=api)))

        def suffer_one(trial: tuple[Board, Sequence[Kill]]) -> set[int]:
            client = idle.get()
            try:
                return suffer(*trial, audit, client=client, environment=environment)
            finally:
                idle.put(client)

        with ThreadPoolExecutor(FORKERS) as pool:
            return list(pool.map(suffer_one, trials))


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"] if LONG else ["sqlite"], indirect=True)
@pytest.mark.parametrize("turn", range(TURNS))
def test_a_killed_render_is_completed_and_nothing_is_generated_twice(
    open_tally: OpenTally, tmp_path: Path, database_url: str, prefect_api_url: str, turn: int
) -> None:
    """After any kill, the next run completes the film: each image is kept or unknown, none is generated again."""
    tally = open_tally(f"a render is killed, {database_url.partition(':')[0]}, turn {turn + 1}")
    drawn = enumerate(draw_kills(turn, random.Random(SEED + turn)))
    trials = [(write_board(tmp_path, f"board-{turn}-{number}", frames=FRAMES), kills) for number, kills in drawn]
    with selling(ServerConfig(latency_s=LATENCY_S, rate_limit=0, seed=SEED)) as seller:
        audit = Audit(tally, seller, database_url)
        environment = client_environment(seller, database_url, tmp_path, rate_limit=RATE_LIMIT)
        arrived = suffer_all(trials, audit, folder=tmp_path, environment=environment, api=prefect_api_url)
        seller.settled_stats()
        audit.ledger_covers_the_bill()
        for (board, _), whole in zip(trials, arrived, strict=True):
            audit.is_complete(board.folder, board.prompts, arrived=whole)
        audit.ledger_covers_the_bill()
        audit.limit_was_kept(RATE_LIMIT)
        tally.remarks = f"{seller.stats()['images']} images billed for {FRAMES * len(trials)} frames"

    assert not tally.violations, "\n".join(audit.details)


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
        seller.settled_stats()
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
    seller.settled_stats()
    audit.ledger_covers_the_bill()
    arrived = audit.open_and_arrived(board.folder)
    last = client.run("render", str(board.path), environment=environment)
    if last.code:
        audit.blame("unforeseen", f"{board.path.stem}: the completing run ended with {last.code}: {last.output}")
    audit.is_complete(board.folder, board.prompts, arrived=arrived)
    return end.code == 0
