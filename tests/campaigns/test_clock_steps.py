"""Campaign: the wall clock is set while frames are in flight: none is generated twice, and the limit holds."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.campaigns.answers import ANSWERS
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
from tests.campaigns.boards import write_board
from tests.campaigns.fault_policy import Violation
from tests.campaigns.hostile_seller import BookedSeller, always, selling_raw
from tests.campaigns.renderers import RunEnd, rendering, run_environment, set_clock
from tests.campaigns.tally import LONG, SEED, OpenTally
from tests.conftest import wait_until

pytestmark = pytest.mark.slow


STEPS_S = (5, -5, 3600, -3600, 86_400, -86_400)
FRAMES = 40 if LONG else 16
RATE_LIMIT = 240
# So long that every run finds some of the other's in flight.
LATENCY_S = (0.8, 1.5)
AT_ONCE = 2
# The window in which arrivals are counted, and how many may come early: one from each process, and what was delayed.
WINDOW_S = 5
EARLY = 5


@dataclass(frozen=True, slots=True)
class ClockTrial:
    """A step, and whether the first run sees it too, as on one machine it does."""

    step_s: int
    shared: bool


def draw_trials() -> list[ClockTrial]:
    """Return every step in both ways; in short, one of each way."""
    trials = [ClockTrial(step_s, shared) for shared in (True, False) for step_s in STEPS_S]
    rng = random.Random(f"clocks {SEED}")
    return trials if LONG else [rng.choice(trials[: len(STEPS_S)]), rng.choice(trials[len(STEPS_S) :])]


def render_twice(trial: ClockTrial, folder: Path, seller: BookedSeller) -> list[RunEnd]:
    """Start a run, set the clock while its frames are in flight, and start another of the same storyboard."""
    board = write_board(folder, "stepped", frames=FRAMES)
    environment = run_environment(seller.url, folder, rate_limit=RATE_LIMIT, read_timeout_s=60)
    mine = set_clock(folder / "clock", 0)
    theirs = mine if trial.shared else set_clock(folder / "another-clock", trial.step_s)
    with ExitStack() as stack:
        first = stack.enter_context(rendering(board, environment, clock=mine))
        wait_until(lambda: seller.book.in_flight > 1 or not first.running)
        if trial.shared:
            set_clock(mine, trial.step_s)
        second = stack.enter_context(rendering(board, environment, clock=theirs))
        return [first.end(), second.end()]


def violations(trial: ClockTrial, story: Story, seller: BookedSeller, ends: list[RunEnd]) -> Iterator[Violation]:
    """Yield every promise that was broken."""
    for end in ends:
        if end.exit_code != 0:
            yield "unforeseen", f"{trial}: ended with {end}"
    for prompt, sales in seller.book.by_prompt().items():
        if len(sales) > 1:
            yield "twice", f"{trial}: {prompt} was asked for {len(sales)} times"
    if len(seller.book.by_prompt()) != FRAMES:
        yield "lost", f"{trial}: {len(seller.book.by_prompt())} of {FRAMES} frames were asked for"
    most = RATE_LIMIT * WINDOW_S / 60 + EARLY
    if trial.shared and seller.book.fullest(WINDOW_S) > most:
        yield "over_limit", f"{trial}: {seller.book.fullest(WINDOW_S)} requests in {WINDOW_S} s, not {most:.0f}"
    yield from row_violations(story, Bounds())
    yield from kept_once(story)


def judge(trial: ClockTrial, folder: Path) -> list[Violation]:
    """Do the trial; return every promise that was broken."""
    folder.mkdir()
    with selling_raw(always(ANSWERS["a PNG"]), latency_s=LATENCY_S) as seller:
        ends = render_twice(trial, folder, seller)
        story = story_of(folder / "outputs/stepped", seller.book.sales)
        database_url = f"sqlite:///{folder / 'outputs/storyreel.db'}"
        found = [*violations(trial, story, seller, ends), *sum_violations(story, database_url)]
        return [*found, *differences(story, database_url), *settle_by_the_book(story, database_url)]


def test_a_clock_that_is_set_generates_nothing_twice(open_tally: OpenTally, tmp_path: Path) -> None:
    """By seconds, an hour, a day, to and fro, for both runs of a storyboard or for the second alone."""
    tally, trials = open_tally("the wall clock is set"), draw_trials()
    folders = [tmp_path / f"trial-{number}" for number in range(len(trials))]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = [violation for judged in pool.map(judge, trials, folders) for violation in judged]
        tally.remarks = "by " + ", ".join(f"{trial.step_s:+d} s" for trial in trials)

    tally.enter(found, trials=len(trials))
