"""A seller's book: what it billed, for which prompt, when; written without a line of the client's code."""

import math
import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise

# flux-api.md, "Pricing" and "Parameters", written down a second time.
USD_PER_TILE = Decimal("0.000053")
USD_PER_STEP = Decimal("0.00011")
SIZES = {"1:1": (1024, 1024), "16:9": (1344, 768), "9:16": (768, 1344), "4:3": (1024, 768), "3:4": (768, 1024)}


def tiles_of(size: tuple[int, int]) -> int:
    """Return how many tiles of 512x512 cover a picture."""
    return math.ceil(size[0] / 512) * math.ceil(size[1] / 512)


def price_usd(tiles: int, steps: int) -> Decimal:
    """Return the price of a picture."""
    return tiles * USD_PER_TILE + steps * USD_PER_STEP


@dataclass(frozen=True, slots=True)
class Sale:
    """A request, and what the seller made of it.

    Attributes:
        prompt: as it was asked.
        kind: the kind of answer, by the seller's own name.
        billed_usd: what the seller charges for it, whether it says so or not.
        at_s: when the request was here whole.
        client: the address that it came from; empty where the seller does not look at that.
    """

    prompt: str
    kind: str
    billed_usd: Decimal
    at_s: float
    client: str = ""


@dataclass
class Book:
    """Every request of one seller, in the order of their arrival."""

    sales: list[Sale] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, sale: Sale) -> None:
        """Enter a request as it arrives."""
        with self._lock:
            self.sales.append(sale)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)

    def answered(self) -> None:
        """Note that a request is about to be answered."""
        with self._lock:
            self.in_flight -= 1

    @property
    def billed_usd(self) -> Decimal:
        """All that was billed."""
        return total(self.sales)

    def by_prompt(self) -> dict[str, list[Sale]]:
        """Return the requests for each prompt, oldest first."""
        prompts: dict[str, list[Sale]] = defaultdict(list)
        for sale in tuple(self.sales):
            prompts[sale.prompt].append(sale)
        return prompts

    def by_client(self) -> dict[str, "Book"]:
        """Return a book for each client's address."""
        books: dict[str, Book] = defaultdict(Book)
        for sale in tuple(self.sales):
            books[sale.client].sales.append(sale)
        return books

    def fullest(self, window_s: float) -> int:
        """Return the most requests that arrived in any window of this length."""
        times, first, most = [sale.at_s for sale in self.sales], 0, 0
        for last, at_s in enumerate(times):
            while times[first] <= at_s - window_s:
                first += 1
            most = max(most, last - first + 1)
        return most

    def least_gap_s(self) -> float:
        """Return the shortest time between two arrivals."""
        return min((later.at_s - earlier.at_s for earlier, later in pairwise(self.sales)), default=math.inf)


def total(sales: Iterable[Sale]) -> Decimal:
    """Return what was billed for some requests."""
    return sum((sale.billed_usd for sale in sales), Decimal(0))
