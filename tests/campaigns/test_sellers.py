"""Campaign: sellers of every kind, each with a book of its own: the ledger never tells less than the book."""

import asyncio
import random
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from pipelines.common.settings import Settings
from pipelines.endpoints.retry import RetryPolicy
from tests.campaigns.answers import ANSWERS, AnswerKind
from tests.campaigns.bill_audit import (
    Bounds,
    differences,
    kept_once,
    row_violations,
    settle_by_the_book,
    story_of,
    sum_violations,
)
from tests.campaigns.boards import write_board
from tests.campaigns.fault_policy import BACKOFF_CAP_S, Violation
from tests.campaigns.hostile_seller import BookedSeller, by_board, selling_raw
from tests.campaigns.runs import generate_without_film
from tests.campaigns.tally import LONG, SEED, Tally

pytestmark = pytest.mark.slow

OpenTally = Callable[[str], Tally]

AT_ONCE = 8
# In short, one kind in so many.
SHORT = 6
BOUNDS = Bounds()
LONGEST_S = 60


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make back-offs short: they have no setting."""
    policy = partial(RetryPolicy, backoff_base_s=BACKOFF_CAP_S / 4, backoff_cap_s=BACKOFF_CAP_S)
    monkeypatch.setattr("pipelines.run.generation.RetryPolicy", policy)


def settings_for(seller: BookedSeller, folder: Path, **more: object) -> Settings:
    """Return the settings of a run that asks this seller."""
    given = {"rate_limit": 60_000, "read_timeout_s": 20, "total_timeout_s": 30, "max_body_mib": 8, **BOUNDS.settings()}
    return Settings(endpoint=seller.url, output=folder / "outputs", **{**given, **more})  # type: ignore[arg-type]


def enter(tally: Tally, found: Iterable[Violation], *, trials: int) -> None:
    """Fill in the tally, and fail with every detail if a promise was broken."""
    tally.trials = trials
    details = list(found)
    for promise, _ in details:
        setattr(tally, promise, getattr(tally, promise) + 1)
    assert not tally.violations, "\n".join(f"{promise}: {detail}" for promise, detail in details)


def judge_alone(seller: BookedSeller, tmp_path: Path, number: int, kind: AnswerKind) -> list[Violation]:
    """Ask for one frame that is always answered in one way; return every promise that was broken."""
    name = f"kind-{number}"
    (tmp_path / name).mkdir()
    board = write_board(tmp_path / name, name, frames=1, budget_usd=ASKED_AT_MOST_USD)
    settings = settings_for(seller, tmp_path / name, read_timeout_s=20 if kind.answered else 1)
    exit_code = asyncio.run(asyncio.wait_for(generate_without_film(board.path, settings), LONGEST_S))
    story, database_url = story_of(board.folder, seller.book.sales), settings.effective_database_url
    found = [*row_violations(story, BOUNDS), *kept_once(story), *sum_violations(story, database_url)]
    if exit_code != kind.exit_code:
        found.append(("unforeseen", f"{kind.name}: exit code {exit_code}, not {kind.exit_code}"))
    if len(story.sales) != BOUNDS.most(kind.tries):
        found.append(("misread", f"{kind.name}: asked {len(story.sales)} times, not {BOUNDS.most(kind.tries)}"))
    return [*found, *differences(story, database_url), *settle_by_the_book(story, database_url)]


ASKED_AT_MOST_USD = 9


def test_every_answer_has_its_consequence(open_tally: OpenTally, tmp_path: Path) -> None:
    """Always answered in one way, a frame is asked for as often as the table says, and its rows say what it cost."""
    drawn = list(ANSWERS.values())
    random.Random(f"kinds {SEED}").shuffle(drawn)
    kinds = drawn if LONG else drawn[::SHORT]
    by_name = {f"kind-{number}": kind for number, kind in enumerate(kinds)}
    tally = open_tally("every answer of a hostile seller, alone")
    with selling_raw(by_board(by_name)) as seller, ThreadPoolExecutor(AT_ONCE) as pool:
        judged = pool.map(partial(judge_alone, seller, tmp_path), range(len(kinds)), kinds)
        found = [violation for violations in judged for violation in violations]
        tally.remarks = f"{len(seller.book.sales)} requests, {seller.book.billed_usd:f} USD billed"

    enter(tally, found, trials=len(kinds))
