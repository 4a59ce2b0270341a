"""Campaign: several runs on one ledger against hostile sellers, some of them killed: the books agree in the end."""

import contextlib
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.campaigns.answers import ANSWERS, PASSING, AnswerKind, Asked, Tries
from tests.campaigns.bill_audit import (
    Bounds,
    Story,
    differences,
    kept_once,
    row_violations,
    settle_by_the_book,
    story_of,
    sum_violations,
)
from tests.campaigns.boards import Board, write_board
from tests.campaigns.fault_policy import Violation
from tests.campaigns.hostile_seller import BookedSeller, Draw, always, full_for, mixed, selling_raw
from tests.campaigns.renderers import Renderer, RunEnd, rendering, run_environment
from tests.campaigns.tally import LONG, SEED, OpenTally
from tests.conftest import wait_until

pytestmark = pytest.mark.slow


TURNS = 12 if LONG else 1
FRAMES = 40 if LONG else 8
PLENTY_USD = 999_999
CONCURRENCY = 4
BOUNDS = Bounds()
# A client with what it imports, the bytes of some answers, and a picture of 1024x1024 as it is looked at.
MOST_MIB = 300
PROBE = Asked("probe", 1, "1:1", 0)
# Nothing here waits for silence: how long a busy machine takes to answer is no matter of the table's.
SPEAKING = [kind for kind in PASSING.values() if not kind.reply(PROBE).hangs]


def ledger_url(folder: Path) -> str:
    """Return where the ledger of this folder's runs is."""
    return f"sqlite:///{folder / 'outputs/storyreel.db'}"


def environment_of(seller: BookedSeller, folder: Path, **more: object) -> dict[str, str]:
    """Return the environment of runs that ask this seller."""
    bounds = {"rate_limit": 60_000, "read_timeout_s": 60, "max_body_mib": 8, "concurrency": CONCURRENCY}
    return run_environment(seller.url, folder, **{**bounds, **BOUNDS.settings(), **more})


def memory_violations(ends: Sequence[RunEnd]) -> Iterator[Violation]:
    """Yield runs that took too much memory, and those that broke down."""
    for end in ends:
        if end.mib > MOST_MIB:
            yield "unforeseen", f"a run took {end.mib:.0f} MiB"
        if end.exit_code is None:
            yield "unforeseen", f"a run broke down: {end.errors}"


def run_all(boards: Sequence[Board], environment: dict[str, str]) -> list[RunEnd]:
    """Do a run of each of these, all at once."""
    with contextlib.ExitStack() as stack:
        started = [stack.enter_context(rendering(board, environment)) for board in boards]
        return [renderer.end() for renderer in started]


def kill_in_flight(victim: Renderer, seller: BookedSeller, rng: random.Random) -> None:
    """Kill a run once it has asked for something, a moment later."""
    asked = f"{victim.board.path.stem},"
    wait_until(
        lambda: not victim.running or any(sale.prompt.startswith(asked) for sale in tuple(seller.book.sales)),
        poll_s=0.01,
    )
    time.sleep(rng.uniform(0, 0.4))
    victim.kill()


class Turning:
    """A draw that can be changed while the seller sells."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw

    def __call__(self, asked: Asked) -> AnswerKind:
        """Draw as it is now."""
        return self.draw(asked)


def sums_and_takes(story: Story, database_url: str) -> Iterator[Violation]:
    """Yield what must not be, whoever was killed."""
    yield from kept_once(story)
    yield from sum_violations(story, database_url)
    yield from differences(story, database_url)


def is_whole(story: Story, ends: Sequence[RunEnd], frames: int) -> Iterator[Violation]:
    """Yield frames that an honest seller's last run did not complete."""
    kept = {row["request_key"] for row in story.rows if row["status"] == "ok"}
    if len(kept) != frames or any(end.exit_code for end in ends):
        yield "unforeseen", f"{story.folder.name}: {len(kept)} of {frames} kept, ended with {ends}"


@pytest.mark.parametrize("turn", range(TURNS))
def test_whatever_a_seller_answers_the_books_agree(open_tally: OpenTally, tmp_path: Path, turn: int) -> None:
    """Four runs at once, two of one storyboard and one killed; then an honest seller, and the books are even."""
    rng, tally = random.Random(f"hostile {SEED} {turn}"), open_tally(f"runs against a hostile seller, turn {turn + 1}")
    calm, shared, victim = (
        write_board(tmp_path, f"{name}-{turn}", frames=FRAMES, budget_usd=PLENTY_USD)
        for name in ("calm", "shared", "victim")
    )
    draw = Turning(mixed(SPEAKING, f"{SEED} {turn}", whole=rng.choice((0.2, 0.5))))
    with selling_raw(draw, latency_s=(0.01, 0.2)) as seller:
        environment = environment_of(seller, tmp_path)
        with contextlib.ExitStack() as stack:
            started = [stack.enter_context(rendering(board, environment)) for board in (victim, calm, shared, shared)]
            kill_in_flight(started[0], seller, rng)
            ends = [renderer.end() for renderer in started[1:]]
        wait_until(lambda: not seller.book.in_flight)
        stories = [story_of(board.folder, seller.book.sales) for board in (calm, shared)]
        found = [*memory_violations(ends), *row_violations(stories[0], BOUNDS), *row_violations(stories[1], BOUNDS)]
        found += [violation for end in ends if end.exit_code not in (0, 4) for violation in [("unforeseen", str(end))]]
        draw.draw = always(ANSWERS["a PNG"])
        completing = run_all([victim, calm, shared], environment)
        database_url = ledger_url(tmp_path)
        for board, end in zip((victim, calm, shared), completing, strict=True):
            story = story_of(board.folder, seller.book.sales)
            found += [*is_whole(story, [end], FRAMES), *sums_and_takes(story, database_url)]
            found += settle_by_the_book(story, database_url)
        tally.remarks = f"{len(seller.book.sales)} requests; {max(end.mib for end in ends):.0f} MiB at most"

    tally.enter(found, trials=len(started) + len(completing))


# What no client should hold in memory: each is far larger than it says, or than anything that was asked for.
LARGE = (
    "a body without end", "503 page of 64 MB", "gzip twice", "a huge picture", "a head of 200 kB", "after many 100s",
    "cost 13: '999999999999'", "cost 14: '0.0000000000'",
)  # fmt: skip


def test_a_hostile_seller_fills_no_memory(open_tally: OpenTally, tmp_path: Path) -> None:
    """Bodies and errors without end, many at once: they are cut, and the run goes on."""
    tally, rng = open_tally("answers without end"), random.Random(SEED)
    board = write_board(tmp_path, "large", frames=3 * FRAMES, budget_usd=PLENTY_USD)
    kinds = [ANSWERS[name] for name in LARGE if name in ANSWERS]
    with selling_raw(lambda asked: ANSWERS["a PNG"] if rng.random() < 0.2 else rng.choice(kinds)) as seller:
        environment = environment_of(seller, tmp_path, concurrency=16, retry_quota=1000)
        ends = run_all([board], environment)
        story = story_of(board.folder, seller.book.sales)
        found = [*memory_violations(ends), *row_violations(story, BOUNDS), *kept_once(story)]
        tally.remarks = f"{len(seller.book.sales)} requests; {max(end.mib for end in ends):.0f} MiB at most"

    tally.enter(found, trials=len(seller.book.sales))


HOPELESS = ("JSON with base64", "a page as 200", "500 in its own words", "524 page", "400", "500 NSFW", "nothing")
STOPPING = ("302 to itself", "401", "4006 at 429, 4006: as ", "5007 at 500, 5007: as ", "model 0: b'sketch'")


def after_the_end(story: Story, hopeless: AnswerKind) -> Iterator[Violation]:
    """Yield requests that were sent though five frames, or one of a kind that stops a run, had been answered."""
    frames: set[str] = set()
    ended_at = None
    for row, kind in sorted(story.answered(), key=lambda pair: pair[0]["finished_at"]):
        if kind is not hopeless:
            continue
        # A refused prompt shows nothing before it is refused for good.
        refused = sum(
            other["prompt"] == row["prompt"] and other["finished_at"] <= row["finished_at"] for other in story.rows
        )
        if kind.tries is not Tries.REFUSALS or refused == BOUNDS.max_refusals:
            frames.add(row["frame"])
        if len(frames) >= 5 or kind.exit_code == 5:
            ended_at = row["finished_at"]
            break
    late = [row for row in story.rows if ended_at and row["sent_at"] > ended_at]
    if ended_at is None or len(late) > CONCURRENCY:
        yield "twice", f"{hopeless.name}: {len(late)} sent after {ended_at}"


def judge_stop(folder: Path, kind: AnswerKind, draw: Draw) -> list[Violation]:
    """Do a run that must stop early; return every promise that was broken."""
    folder.mkdir()
    board = write_board(folder, folder.name, frames=40, budget_usd=PLENTY_USD)
    with selling_raw(draw, latency_s=(0.02, 0.1)) as seller:
        [end] = run_all([board], environment_of(seller, folder))
        story, database_url = story_of(board.folder, seller.book.sales), ledger_url(folder)
        found = [*memory_violations([end]), *row_violations(story, BOUNDS), *sums_and_takes(story, database_url)]
        found += after_the_end(story, kind)
        if end.exit_code != 5:
            found.append(("unforeseen", f"{kind.name}: exit code {end.exit_code}"))
        if seller.book.most_in_flight > CONCURRENCY:
            found.append(("unforeseen", f"{kind.name}: {seller.book.most_in_flight} in flight"))
        return [*found, *settle_by_the_book(story, database_url)]


def test_what_is_hopeless_is_not_paid_for_long(open_tally: OpenTally, tmp_path: Path) -> None:
    """Five frames without an image in one way, or one answer that no frame could better: only what was in flight."""
    tally, rng = open_tally("sellers of no use"), random.Random(f"stops {SEED}")
    hopeless = HOPELESS if LONG else rng.sample(HOPELESS, 2)
    stopping = STOPPING if LONG else rng.sample(STOPPING, 1)
    found: list[Violation] = []
    for number, name in enumerate(hopeless):
        found += judge_stop(tmp_path / f"hopeless-{number}", ANSWERS[name], always(ANSWERS[name]))
    for number, name in enumerate(stopping):
        found += judge_stop(tmp_path / f"stopping-{number}", ANSWERS[name], in_the_middle(ANSWERS[name], rng))

    tally.enter(found, trials=len(hopeless) + len(stopping))


def in_the_middle(kind: AnswerKind, rng: random.Random) -> Draw:
    """Return a draw of good pictures, and of this kind from some request on."""
    begins = rng.randint(1, 12)
    return lambda asked: kind if asked.number >= begins else ANSWERS["a PNG"]


def test_a_lack_of_capacity_is_waited_out(open_tally: OpenTally, tmp_path: Path) -> None:
    """From the first request on, for a while: nothing is lost, though no re-send may cost anything."""
    tally, full = open_tally("capacity for a while"), ANSWERS["3040 at 500, 3040: as "]
    board = write_board(tmp_path, "full", frames=FRAMES)
    bounds = Bounds(max_resends=0, max_rate_limited=1000)
    with selling_raw(full_for(3 if LONG else 1, full, always(ANSWERS["a PNG"]))) as seller:
        [end] = run_all([board], environment_of(seller, tmp_path, retry_quota=0, **bounds.settings()))
        story, database_url = story_of(board.folder, seller.book.sales), ledger_url(tmp_path)
        found = [*memory_violations([end]), *is_whole(story, [end], FRAMES), *sums_and_takes(story, database_url)]
        found += row_violations(story, bounds)
        tally.remarks = f"{len(seller.book.sales)} requests, {seller.book.billed_usd:f} USD billed"

    tally.enter(found, trials=len(seller.book.sales))
