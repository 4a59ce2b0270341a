"""Eight processes ask one endpoint with one limit: all of it is used, never more, and each gets its share."""

import contextlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import select

from pipelines.ledger.ledger import Ledger
from pipelines.ledger.schema import attempts
from pipelines.server.config import ServerConfig
from tests.campaigns.audit import Audit
from tests.campaigns.boards import FRAME_USD, Board, write_board
from tests.campaigns.seller import client_environment, selling
from tests.campaigns.tally import LONG, SEED, Tally
from tests.conftest import clean_environment
from tests.support.patience import WAIT_S

pytestmark = [pytest.mark.slow, pytest.mark.alone]

PROCESSES = 8
RATE_LIMIT = 720 if LONG else 1200
SECONDS = 100 if LONG else 12
# The day's budget pays for so many takes in all, and each process asks for more than its share: so it ends them.
AFFORDABLE = RATE_LIMIT * SECONDS // 60
ASKED = AFFORDABLE // PROCESSES + 8
LATENCY_S = (0.05, 0.3)
LEAST_SHARE_OF_LIMIT = 0.96
LEAST_FAIRNESS = 0.9
# With less of its processor time idle than this, the machine is what limits the rate. The long form wants a free one.
BUSY_BELOW = 0 if LONG else 0.05
# The share of the limit that the gate aims at, so that late arrivals make no minute too full.
PACE = 0.98
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Sent:
    """An attempt as the ledger has it: its storyboard, and when it was to be sent."""

    storyboard: str
    at_s: float


@contextlib.contextmanager
def generating(boards: Sequence[Board], environment: dict[str, str]) -> Iterator["list[subprocess.Popen[str]]"]:
    """Start a generator for each storyboard, all ready to begin; in the end none is left."""
    with contextlib.ExitStack() as stack:
        generators = []
        for board in boards:
            generator = subprocess.Popen(
                [sys.executable, "-m", "tests.campaigns.generating", str(board.path)],
                cwd=board.path.parent,
                env=clean_environment(PYTHONPATH=str(ROOT), **environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.callback(generator.communicate)
            stack.callback(generator.kill)
            generators.append(generator)
        for generator in generators:
            assert generator.stdout is not None
            assert generator.stdout.readline() == "ready\n"
        yield generators


def let_generate(generators: "Sequence[subprocess.Popen[str]]", audit: Audit) -> int:
    """Let all begin at once; return how many takes they generated together."""
    for generator in generators:
        assert generator.stdin is not None
        generator.stdin.write("go\n")
        generator.stdin.flush()
    generated = 0
    for generator in generators:
        output, errors = generator.communicate(timeout=WAIT_S)
        if generator.returncode:
            audit.blame("unforeseen", f"a process ended with {generator.returncode}: {errors[-4000:]}")
        else:
            generated += json.loads(output)["generated"]
    return generated


def sent_attempts(database_url: str, url: str) -> list[Sent]:
    query = select(attempts.c.storyboard, attempts.c.sent_at).where(attempts.c.endpoint == url)
    with Ledger.open(database_url) as ledger, ledger.database.reading() as connection:
        rows = connection.execute(query.order_by(attempts.c.sent_at)).all()
    return [Sent(row.storyboard, row.sent_at / 1e6) for row in rows]


def jain_index(shares: Sequence[int]) -> float:
    """Return Jain's fairness index: 1 if all shares are equal, 1/n if one has all (DEC-TR-301, 1984)."""
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))


def active_together(sent: Sequence[Sent]) -> tuple[float, float]:
    """Return from when to when every process was sending."""
    times: dict[str, list[float]] = {}
    for each in sent:
        times.setdefault(each.storyboard, []).append(each.at_s)
    return max(min(own) for own in times.values()), min(max(own) for own in times.values())


def fairness(sent: Sequence[Sent]) -> float:
    """Return Jain's index of what each process got while all were sending."""
    begin, end = active_together(sent)
    counts = Counter(each.storyboard for each in sent if begin <= each.at_s <= end)
    return jain_index([counts[storyboard] for storyboard in {each.storyboard for each in sent}])


def share_of_limit(arrivals: Sequence[float], sent: Sequence[Sent]) -> float:
    """Return the share of the limit that was used, from the first arrival on for as long as all were sending."""
    _, end = active_together(sent)
    counted = [at for at in arrivals if at <= end]
    return (len(counted) - 1) / (counted[-1] - counted[0]) / (RATE_LIMIT / 60)


def fullest_minute(arrivals: Sequence[float], *, window_s: float, rate: float) -> float:
    """Return how many requests a minute holds at most, if around its fullest `window_s` seconds it goes on at pace."""
    first, most = 0, 0
    for last, arrival in enumerate(arrivals):
        while arrivals[first] <= arrival - window_s:
            first += 1
        most = max(most, last - first + 1)
    return most + (60 - window_s) * rate * PACE


def idle_share(before: Any, after: Any) -> float:
    """Return the share of the machine's processor time between two `psutil.cpu_times()` that nothing wanted."""
    spent = [end - start for start, end in zip(before, after, strict=True)]
    return float(spent[before._fields.index("idle")] / max(sum(spent), 1e-9))


def check_pace(audit: Audit, arrivals: Sequence[float], sent: Sequence[Sent], *, idle: float) -> float:
    """Check that the limit was used and never passed; return the share of it that was used.

    A machine without processor time to spare cannot use it up; then only what must hold anywhere is checked.
    """
    rate = RATE_LIMIT / 60
    share = share_of_limit(arrivals, sent)
    if share < LEAST_SHARE_OF_LIMIT and idle > BUSY_BELOW:
        audit.blame("unforeseen", f"only {share:.1%} of the limit were used")
    audit.limit_was_kept(RATE_LIMIT)
    minute = fullest_minute(arrivals, window_s=60 if LONG else SECONDS / 2, rate=rate)
    if minute > RATE_LIMIT:
        audit.blame("over_limit", f"{minute:.0f} requests would arrive in some 60 s, the limit is {RATE_LIMIT}")
    # Booked further apart than the limit asks for, no window of any length is too full.
    least_gap = min(later.at_s - earlier.at_s for earlier, later in pairwise(sent))
    if least_gap < 1 / rate:
        audit.blame("over_limit", f"two attempts are booked {least_gap * 1000:.2f} ms apart")
    return share


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"] if LONG else ["postgres"], indirect=True)
def test_eight_processes_share_one_limit(open_tally: Callable[[str], Tally], tmp_path: Path, database_url: str) -> None:
    """Together they use at least 96% of the limit and never more than all of it; none is starved, none overspends."""
    tally = open_tally(f"{PROCESSES} processes, {RATE_LIMIT}/min, {database_url.partition(':')[0]}")
    budget_usd = FRAME_USD * AFFORDABLE
    boards = [write_board(tmp_path, f"storm-{number}", frames=ASKED) for number in range(PROCESSES)]
    with selling(ServerConfig(latency_s=LATENCY_S, rate_limit=RATE_LIMIT, seed=SEED)) as seller:
        audit = Audit(tally, seller, database_url)
        environment = client_environment(seller, database_url, tmp_path, rate_limit=RATE_LIMIT)
        with generating(boards, {**environment, "STORYREEL_BUDGET_DAILY_USD": str(budget_usd)}) as generators:
            before = psutil.cpu_times()
            generated = let_generate(generators, audit)
            idle = idle_share(before, psutil.cpu_times())
        sent = sent_attempts(database_url, seller.url)
        tally.trials = len(sent)
        share = check_pace(audit, seller.arrivals, sent, idle=idle)
        if (index := fairness(sent)) < LEAST_FAIRNESS:
            audit.blame("unforeseen", f"Jain's index is {index:.3f}")
        audit.ledger_covers_the_bill()
        if Decimal(seller.stats()["billed_usd"]) > budget_usd:
            audit.blame("over_budget", f"billed {seller.stats()['billed_usd']} USD of {budget_usd}")
        if generated != AFFORDABLE:
            audit.blame("unforeseen", f"{generated} takes generated, the budget pays for {AFFORDABLE}")
        tally.remarks = f"{share:.1%} of the limit used; Jain's index {index:.3f}; machine idle for {idle:.0%}"

    assert not tally.violations, "\n".join(audit.details)
