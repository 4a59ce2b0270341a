"""A seller in a process of its own that limits each client's address by itself, and the audit of its book."""

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.campaigns.book import Book, Sale
from tests.campaigns.fault_policy import Row, Violation
from tests.campaigns.meter import MINUTE_S, SOLD
from tests.conftest import clean_environment, wait_until
from tests.support.patience import WAIT_S
from tests.support.prefect_server import free_port

_ROOT = Path(__file__).parents[2]
# Rows in the ledger of attempts that may have been billed, and nobody here knows.
_UNCERTAIN = ("", "unknown")


@dataclass(frozen=True, slots=True)
class MeteredSeller:
    """A seller that is selling.

    Attributes:
        url: its address.
        limit: requests of one client's address that it takes in any 60 s; 0 for no limit.
    """

    url: str
    limit: int

    def book(self) -> Book:
        """Return what it did until now."""
        with urllib.request.urlopen(f"{self.url}/_book", timeout=WAIT_S) as answer:
            sales = json.load(answer)
        return Book([Sale(**{**sale, "billed_usd": Decimal(sale["billed_usd"])}) for sale in sales])

    @property
    def images(self) -> Counter[str]:
        """How often each prompt was billed."""
        return Counter(sale.prompt for sale in self.book().sales if sale.kind == SOLD)

    def stats(self) -> dict[str, Any]:
        """Return the sums, as the API of this project calls them."""
        book = self.book()
        return {"billed_usd": str(book.billed_usd), "max_requests_in_any_60s": book.fullest(MINUTE_S)}


@contextlib.contextmanager
def metered_seller(*, limit: int = 0, latency_s: float = 0, host: str = "127.0.0.1") -> Iterator[MeteredSeller]:
    """Let it sell for as long as the block lasts."""
    port = free_port()
    command = [sys.executable, "-m", "tests.campaigns.meter", host, str(port), str(limit), str(latency_s)]
    seller = MeteredSeller(f"http://{host}:{port}", limit)
    with subprocess.Popen(command, cwd=_ROOT, env=clean_environment()) as process:
        try:
            wait_until(lambda: process.poll() is not None or _answers(seller))
            yield seller
        finally:
            process.terminate()


def _answers(seller: MeteredSeller) -> bool:
    with contextlib.suppress(OSError):
        return not seller.book().sales
    return False


def limit_violations(book: Book, limit: int) -> Iterator[Violation]:
    """Yield addresses that sent more requests in some minute than one may, those that were refused among them."""
    for client, own in book.by_client().items():
        if (fullest := own.fullest(MINUTE_S)) > limit:
            yield "over_limit", f"{client}: {fullest} requests in some minute, the limit is {limit}"


def bill_violations(book: Book, rows: Sequence[Row]) -> Iterator[Violation]:
    """Yield prompts whose bill is not what was kept and what is uncertain, and those that were sold twice for nothing.

    Args:
        book: the seller's.
        rows: of ledger.csv, of all storyboards that asked this seller, oldest first.
    """
    prompts: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        prompts[row["prompt"]].append(row)
    sold = {prompt: [sale for sale in sales if sale.kind == SOLD] for prompt, sales in book.by_prompt().items()}
    for prompt in sold.keys() | prompts.keys():
        yield from _prompt_violations(prompt, sold.get(prompt, []), prompts[prompt])


def _prompt_violations(prompt: str, sales: list[Sale], rows: Sequence[Row]) -> Iterator[Violation]:
    uncertain = [row for row in rows if row["status"] in _UNCERTAIN]
    known = [row for row in rows if row["cost_usd"] and row not in uncertain]
    statuses = [row["status"] for row in rows]
    billed = sum((sale.billed_usd for sale in sales), Decimal(0))
    # A prompt has one price. An estimate may be above it, and each uncertain one was billed or not.
    price = max((sale.billed_usd for sale in sales), default=Decimal(0))
    told = sum((_known_usd(row, price) for row in known), Decimal(0))
    possible = {told + number * price for number in range(len(uncertain) + 1)}
    if billed not in possible:
        yield "unrecorded", f"{prompt}: billed {billed}, known {told}, {len(uncertain)} uncertain: {statuses}"
    # Whatever was sold before the one that is kept must be uncertain, and nothing may be sold after it.
    asked = [status for status in statuses if status in (*_UNCERTAIN, "ok")]
    if "ok" in asked[:-1]:
        yield "twice", f"{prompt}: {statuses}"


def _known_usd(row: Row, price: Decimal) -> Decimal:
    cost_usd = Decimal(row["cost_usd"])
    return min(cost_usd, price) if row["cost_basis"] == "estimated" else cost_usd
