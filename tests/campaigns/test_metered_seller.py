"""The seller that limits each client's address, and the audit of its book: what is wrong is found."""

from collections.abc import Iterator

import httpx
import pytest

from tests.campaigns.book import Book, Sale, price_usd
from tests.campaigns.fault_policy import Row
from tests.campaigns.meter import RATE_LIMITED, SOLD
from tests.campaigns.metered_seller import MeteredSeller, bill_violations, limit_violations, metered_seller

LIMIT = 3
USD = price_usd(tiles=4, steps=1)
KEPT = {"prompt": "a harbor", "status": "ok", "cost_usd": str(USD), "cost_basis": "stated"}
ESTIMATED = {**KEPT, "cost_usd": str(USD + 1), "cost_basis": "estimated"}
UNKNOWN = {"prompt": "a harbor", "status": "unknown", "cost_usd": "", "cost_basis": ""}
REFUSED = {"prompt": "a harbor", "status": "rate_limited", "cost_usd": "0", "cost_basis": "stated"}


@pytest.fixture
def seller() -> Iterator[MeteredSeller]:
    with metered_seller(limit=LIMIT) as seller:
        yield seller


def statuses(seller: MeteredSeller, client: str, times: int) -> list[tuple[int, str | None]]:
    """Ask from this address; return what was answered, and for how long to wait."""
    body = {"prompt": "a harbor", "steps": 1, "aspectRatio": "1:1"}
    with httpx.Client(transport=httpx.HTTPTransport(local_address=client)) as asking:
        answers = [asking.post(seller.url, json=body) for _ in range(times)]
    return [(answer.status_code, answer.headers.get("Retry-After")) for answer in answers]


def test_each_address_has_a_limit_of_its_own(seller: MeteredSeller) -> None:
    """Whoever is above it is told how long to wait; the book holds who was sold what, and who was refused."""
    first, second = statuses(seller, "127.0.0.1", LIMIT + 1), statuses(seller, "127.0.0.2", LIMIT)

    book = seller.book()
    assert [status for status, _ in first] == [200] * LIMIT + [429]
    assert 0 < int(first[-1][1] or 0) <= 60
    assert second == [(200, None)] * LIMIT
    assert {client: [sale.kind for sale in own.sales] for client, own in book.by_client().items()} == {
        "127.0.0.1": [SOLD] * LIMIT + [RATE_LIMITED],
        "127.0.0.2": [SOLD] * LIMIT,
    }
    assert book.billed_usd == 2 * LIMIT * USD
    assert list(limit_violations(book, LIMIT)) == [
        ("over_limit", "127.0.0.1: 4 requests in some minute, the limit is 3")
    ]


def sold(times: int) -> Book:
    """Return the book of a seller that sold one prompt so many times."""
    return Book([Sale("a harbor", SOLD, USD, float(number), "127.0.0.1") for number in range(times)])


@pytest.mark.parametrize(
    ("times", "rows"),
    [
        (1, [KEPT]),
        (1, [REFUSED, KEPT]),
        (2, [UNKNOWN, KEPT]),
        (1, [UNKNOWN, KEPT]),
        (1, [UNKNOWN]),
        (0, [REFUSED]),
        (1, [ESTIMATED]),
        (2, [UNKNOWN, ESTIMATED]),
    ],
)
def test_what_was_billed_is_kept_or_uncertain(times: int, rows: list[Row]) -> None:
    """What is uncertain may have been billed or not; what was refused was not; an estimate may be too high."""
    assert list(bill_violations(sold(times), rows)) == []


@pytest.mark.parametrize(
    ("times", "rows", "promises"),
    [
        (1, [], ["unrecorded"]),
        (2, [KEPT], ["unrecorded"]),
        (0, [KEPT], ["unrecorded"]),
        (3, [UNKNOWN, KEPT], ["unrecorded"]),
        (1, [{**KEPT, "cost_usd": "0.000321"}], ["unrecorded"]),
        (1, [{**ESTIMATED, "cost_usd": "0.000321"}], ["unrecorded"]),
        (1, [{**ESTIMATED, "cost_basis": "stated"}], ["unrecorded"]),
        (2, [KEPT, KEPT], ["twice"]),
        (2, [KEPT, UNKNOWN], ["twice"]),
    ],
)
def test_whatever_else_is_a_violation(times: int, rows: list[Row], promises: list[str]) -> None:
    """A bill without a row, a row without a bill, a wrong sum, and what was asked for after it was kept."""
    assert [promise for promise, _ in bill_violations(sold(times), rows)] == promises
