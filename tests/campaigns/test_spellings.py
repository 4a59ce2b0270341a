"""Campaign: one endpoint spelled in several ways, by runs on one ledger: they share one limit."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.campaigns.answers import ANSWERS
from tests.campaigns.bill_audit import Bounds, kept_once, row_violations, story_of
from tests.campaigns.boards import write_board
from tests.campaigns.fault_policy import Violation
from tests.campaigns.hostile_seller import always, selling_raw
from tests.campaigns.renderers import rendering, run_environment
from tests.campaigns.tally import LONG, Tally

pytestmark = [pytest.mark.slow, pytest.mark.alone]

RATE_LIMIT = 600
FRAMES = 100 if LONG else 20
WINDOW_S = 3
SPELLINGS = (
    "http://127.0.0.1:{port}",
    "HTTP://LOCALHOST:{port}/",
    "http://localhost:0{port}",
    "http://127.1:{port}/x/..",
    "http://0x7f000001:{port}/./",
)


def test_every_spelling_of_an_address_is_one_limit(open_tally: Callable[[str], Tally], tmp_path: Path) -> None:
    """By the seller's own book, no few seconds hold more than their share of the minute."""
    tally, found = open_tally(f"{len(SPELLINGS)} spellings of one address, {RATE_LIMIT}/min"), list[Violation]()
    boards = [write_board(tmp_path, f"spelled-{number}", frames=FRAMES) for number in range(len(SPELLINGS))]
    with selling_raw(always(ANSWERS["a PNG"]), latency_s=(0.05, 0.2)) as seller, ExitStack() as stack:
        started = []
        for board, spelling in zip(boards, SPELLINGS, strict=True):
            environment = run_environment(spelling.format(port=seller.port), tmp_path, rate_limit=RATE_LIMIT)
            started.append(stack.enter_context(rendering(board, environment)))
        for end, spelling in zip([renderer.end() for renderer in started], SPELLINGS, strict=True):
            if end.exit_code != 0:
                found.append(("unforeseen", f"{spelling}: ended with {end}"))
        for board in boards:
            story = story_of(board.folder, seller.book.sales)
            found += [*row_violations(story, Bounds()), *kept_once(story)]
        fullest, most = seller.book.fullest(WINDOW_S), 1.25 * RATE_LIMIT * WINDOW_S / 60
        if fullest > most:
            found.append(("over_limit", f"{fullest} requests in {WINDOW_S} s, the limit is {most:.0f}"))
        tally.remarks = f"{fullest} requests in the fullest {WINDOW_S} s"

    tally.enter(found, trials=len(seller.book.sales))
