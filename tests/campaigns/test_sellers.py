"""Campaign: sellers of every kind, each with a book of its own: the ledger never tells less than the book."""

import asyncio
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from pipelines.common.settings import Settings
from pipelines.ledger.ledger import Ledger
from tests.campaigns.answers import ANSWERS, AnswerKind
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
from tests.campaigns.book import price_usd
from tests.campaigns.fault_policy import Violation
from tests.campaigns.hostile_seller import (
    BookedSeller,
    by_board,
    mixed,
    published_worker,
    selling_raw,
    truthful_worker,
    worker_error,
)
from tests.campaigns.runs import generate_without_film
from tests.campaigns.tally import LONG, SEED, OpenTally

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("short_pauses")]


AT_ONCE = 8
# In short, one kind in so many.
SHORT = 6
BOUNDS = Bounds()
LONGEST_S = 60
WIDE_FRAMES = 60 if LONG else 10
TIMED_OUT, FAILED = "3007: Timeout", "AiError: 8007: the model failed"
UNSAFE, FULL = "AiError: 3030: NSFW content", "3040: Capacity temporarily exceeded, please try again."


def settings_for(url: str | None, folder: Path, **more: object) -> Settings:
    """Return the settings of a run that asks at this address."""
    given = {"rate_limit": 60_000, "read_timeout_s": 20, "total_timeout_s": 30, "max_body_mib": 8, **BOUNDS.settings()}
    return Settings(endpoint=url, output=folder / "outputs", **{**given, **more})  # type: ignore[arg-type]


def judge_alone(seller: BookedSeller, tmp_path: Path, number: int, kind: AnswerKind) -> list[Violation]:
    """Ask for one frame that is always answered in one way; return every promise that was broken."""
    name = f"kind-{number}"
    (tmp_path / name).mkdir()
    board = write_board(tmp_path / name, name, frames=1, budget_usd=ASKED_AT_MOST_USD)
    settings = settings_for(seller.url, tmp_path / name, read_timeout_s=20 if kind.answered else 1)
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

    tally.enter(found, trials=len(kinds))


# In what form Workers AI's own errors arrive: the published Worker answers 500 to each, the truthful one as it must.
PUBLISHED_ERRORS = tuple(worker_error(500, words) for words in (TIMED_OUT, FAILED, UNSAFE, FULL))
TRUTHFUL_ERRORS = (
    worker_error(504, TIMED_OUT), worker_error(502, FAILED), worker_error(422, UNSAFE),
    worker_error(503, FULL, ("Retry-After", "1")),
)  # fmt: skip
# What each charges for 16:9 in one step, of which both make a square.
PUBLISHED, TRUTHFUL = published_worker(price_usd(tiles=6, steps=1)), truthful_worker(steps=1)


@pytest.mark.parametrize(
    ("image", "errors", "made_otherwise"),
    [(PUBLISHED, PUBLISHED_ERRORS, 0), (TRUTHFUL, TRUTHFUL_ERRORS, WIDE_FRAMES)],
    ids=["published", "truthful"],
)
def test_a_worker_is_taken_at_its_word(
    open_tally: OpenTally, tmp_path: Path, image: AnswerKind, errors: tuple[AnswerKind, ...], made_otherwise: int
) -> None:
    """Squares for whatever was asked, a JPEG that is called PNG, a bill of what was asked: as it states, to a digit."""
    tally, bounds = open_tally(f"the {image.name} Worker"), Bounds(max_resends=9, max_refusals=9, max_rate_limited=99)
    board = write_board(tmp_path, "wide", frames=WIDE_FRAMES, budget_usd=1, aspect="16:9")
    draw = mixed(errors, f"worker {SEED}", whole=0.7, good=image)
    with selling_raw(draw, latency_s=(0.01, 0.1)) as seller:
        settings = settings_for(seller.url, tmp_path, retry_quota=1000, **bounds.settings())
        exit_code = asyncio.run(asyncio.wait_for(generate_without_film(board.path, settings), 2 * LONGEST_S))
        story, database_url = story_of(board.folder, seller.book.sales, image, *errors), settings.effective_database_url
        found = [*row_violations(story, bounds), *kept_once(story), *sum_violations(story, database_url)]
        found += [*differences(story, database_url), *misfits(story, made_otherwise, database_url)]
        if exit_code:
            found.append(("unforeseen", f"exit code {exit_code}"))
        tally.remarks = f"{len(seller.book.sales)} requests, {seller.book.billed_usd:f} USD billed"

    tally.enter(found, trials=len(seller.book.sales))


def misfits(story: Story, made_otherwise: int, database_url: str) -> Iterator[Violation]:
    """Yield squares without a remark, and figures stated of a square that are not told apart from those asked for."""
    for row in story.rows:
        if row["status"] == "ok" and (row["width"] != "1024" or "1344x768" not in row["remarks"]):
            yield "misread", f"a square is entered as {row['width']}x{row['height']}, {row['remarks']!r}"
    with Ledger.open(database_url) as ledger:
        told = ledger.made_otherwise(story.folder.name)
    if sum(map(len, told.values())) != made_otherwise:
        yield "misread", f"{sum(map(len, told.values()))} images made otherwise, not {made_otherwise}: {told}"


def test_a_wait_that_is_asked_for_is_kept(open_tally: OpenTally, tmp_path: Path) -> None:
    """One request at a time, each answered that it was too much but for every third: by the seller's own clock."""
    tally, wait = open_tally("Retry-After of a second"), worker_error(503, FULL, ("Retry-After", "1"))
    board = write_board(tmp_path, "patient", frames=2)
    with selling_raw(lambda asked: ANSWERS["a PNG"] if asked.number % 3 == 2 else wait) as seller:
        exit_code = asyncio.run(generate_without_film(board.path, settings_for(seller.url, tmp_path, concurrency=1)))
        story = story_of(board.folder, seller.book.sales, wait)
        found = [*row_violations(story, BOUNDS), *kept_once(story)]
        for earlier, later in pairwise(seller.book.sales):
            if earlier.kind == wait.name and later.at_s - earlier.at_s < 1:
                found.append(("over_limit", f"asked again after {later.at_s - earlier.at_s:.3f} s"))
        if exit_code:
            found.append(("unforeseen", f"exit code {exit_code}"))

    tally.enter(found, trials=len(seller.book.sales))
