"""The server's figures and its rate limiter, on a clock of the test's own."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from pipelines.common.geometry import Size
from pipelines.endpoints.answers import Bill
from pipelines.endpoints.prices import price_list
from pipelines.server.stats import RateLimiter, Statistics


def test_the_rate_limit_is_a_sliding_window() -> None:
    """A place is free again sixty seconds after it was taken, not at the turn of a minute; each client has its own."""
    now = [0.0]
    limiter = RateLimiter(2, lambda: now[0])
    retry_after = []
    for at, client in [(0, "a"), (30, "a"), (31, "a"), (31, "b"), (59.5, "a"), (60, "a"), (60, "a")]:
        now[0] = at
        retry_after.append(limiter.admit(client))

    assert retry_after == [None, None, 29, None, 1, None, 30]


def test_what_was_admitted_before_counts() -> None:
    """As much of it as lies in the window; with a lower limit than then, until enough of it is past."""
    limiter = RateLimiter(2, lambda: 1000.0, window_s=61)
    limiter.remember("all", [70.0, 50.0, 40.0, 10.0])

    assert limiter.admit("all") == 21
    assert limiter.admit("another") is None


@given(gaps=st.lists(st.floats(0, 20), min_size=1, max_size=60))
def test_the_busiest_minute_is_counted_right(gaps: list[float]) -> None:
    """Against a count of every window there is."""
    now = [0.0]
    statistics = Statistics(lambda: now[0])
    arrivals = []
    for gap in gaps:
        now[0] += gap
        arrivals.append(now[0])
        statistics.count_request()

    busiest = max(sum(end - 60 < at <= end for at in arrivals) for end in arrivals)
    assert statistics.max_requests_in_any_60s == busiest


def test_bills_add_up_exactly() -> None:
    """The billed total is a sum of Decimals."""
    statistics = Statistics(lambda: 0.0)
    price = price_list("flux").model("sketch").rates.price(Size(1024, 1024), steps=4)
    for _ in range(1000):
        statistics.count_bill(Bill(cost_usd=price.usd))

    assert statistics.billed_usd == Decimal("0.652")
