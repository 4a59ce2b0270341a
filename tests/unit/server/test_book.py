"""The book of requests that are passed on: what it says after a crash, and what it adds up to."""

import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.common.errors import StorageError, UsageError
from pipelines.endpoints.answers import Bill
from pipelines.endpoints.requests import ImageRequest
from pipelines.server.book import Book, Ending
from tests.support.upstreams import book_rows

ASK = ImageRequest("a quiet harbor")
COST = Decimal("0.000652")
IMAGE = Ending(200, COST, Decimal("57.6"), bytes=1234)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "book.db"


def opened(path: Path, *, now: float = 1000.0) -> Book:
    return Book(path, clock=lambda: now)


def test_a_row_says_what_was_asked_and_how_it_ended(path: Path) -> None:
    """Costs to the last digit, and when."""
    book = opened(path)
    book.end(book.enter(ASK, model="flux-1-schnell"), IMAGE)

    assert book_rows(path) == [
        {
            "id": 1,
            "entered_at": 1000.0,
            "ended_at": 1000.0,
            "model": "flux-1-schnell",
            "prompt": "a quiet harbor",
            "steps": 4,
            "aspect_ratio": "1:1",
            "status": 200,
            "cost_usd": "0.000652",
            "neurons": "57.6",
            "bytes": 1234,
            "error": None,
        }
    ]


def test_a_cost_is_there_before_the_end(path: Path) -> None:
    """A crash while the picture arrives loses no money."""
    book = opened(path)
    book.bill(book.enter(ASK, model="m"), 200, Bill(cost_usd=COST))
    book.close()

    figures = opened(path).figures()

    assert (figures["billed_usd"], figures["images"], figures["uncertain"]) == ("0.000652", 1, 0)


def test_what_was_in_flight_is_uncertain_once_the_book_is_opened_again(path: Path) -> None:
    """And not before: it may still be answered."""
    book = opened(path)
    book.enter(ASK, model="m")
    before = book.figures()
    book.close()

    after = opened(path, now=1005.0).figures()

    both = {"requests": 1, "billed_usd": "0", "images": 0, "max_in_flight": 1, "max_requests_in_any_60s": 1}
    assert before == {**both, "by_status": {}, "uncertain": 0}
    assert after == {**both, "by_status": {"none": 1}, "uncertain": 1}
    assert [(row["ended_at"], row["error"]) for row in book_rows(path)] == [
        (1005.0, "the server ended while it was in flight")
    ]


def test_a_free_refusal_is_certain(path: Path) -> None:
    """A cost of nothing is known; none is not."""
    book = opened(path)
    for cost in (Decimal(0), None):
        book.end(book.enter(ASK, model="m"), Ending(500, cost, error="Internal server error"))

    figures = book.figures()

    assert (figures["by_status"], figures["uncertain"]) == ({"500": 2}, 1)


def test_two_servers_do_not_keep_one_book(path: Path) -> None:
    """The second is refused; it may have the book once the first has closed it."""
    first = opened(path)
    with pytest.raises(UsageError) as refused:
        opened(path)
    first.close()
    opened(path).close()

    assert str(refused.value) == (f"--book {path}: another server keeps this book; stop it, or choose another --book")


def test_a_file_of_something_else_is_not_written_into(path: Path) -> None:
    """Neither text nor another database, which another server may still take for its own."""
    path.write_text("dear diary, " * 100)
    with pytest.raises(UsageError, match="cannot be opened: file is not a database; choose another --book"):
        opened(path)
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE attempts (id)")
    other.close()
    with pytest.raises(UsageError, match="cannot be opened: it is a database of something else"):
        opened(path)


def test_what_cannot_be_written_is_an_error_of_storage(path: Path) -> None:
    """Not one of SQLite's."""
    book = opened(path)
    with sqlite3.connect(path) as other:
        other.execute("DROP TABLE requests")
    other.close()

    with pytest.raises(StorageError, match=r"book\.db: the book cannot be written or read: no such table: requests"):
        book.enter(ASK, model="m")


def test_the_last_minute_is_known(path: Path) -> None:
    """By how long ago each was; what a clock that was set back makes the future is of this moment."""
    for now in (900.0, 990.0, 995.0, 1020.0):
        book = opened(path, now=now)
        book.enter(ASK, model="m")
        book.close()

    assert opened(path).ages_s(within_s=61) == [10.0, 5.0, 0.0]


@given(spans=st.lists(st.tuples(st.integers(0, 200), st.integers(1, 90)), min_size=1, max_size=30))
def test_the_busiest_moment_and_the_busiest_minute_are_counted_right(
    tmp_path_factory: pytest.TempPathFactory, spans: list[tuple[int, int]]
) -> None:
    """Against a count of every moment, and of every window, there is; what ends makes room for what begins."""
    now = [0.0]
    book = Book(tmp_path_factory.mktemp("book") / "book.db", clock=lambda: now[0])
    numbers: dict[int, int] = {}
    moments = [(begin + length, 0, at) for at, (begin, length) in enumerate(spans)]
    moments += [(begin, 1, at) for at, (begin, _) in enumerate(spans)]
    for moment, begins, at in sorted(moments):
        now[0] = float(moment)
        if begins:
            numbers[at] = book.enter(ASK, model="m")
        else:
            book.end(numbers[at], IMAGE)

    figures = book.figures()
    book.close()

    begun = [begin for begin, _ in spans]
    open_at = [sum(begin <= at < begin + length for begin, length in spans) for at in begun]
    assert figures["max_in_flight"] == max(open_at)
    assert figures["max_requests_in_any_60s"] == max(sum(at - 60 < other <= at for other in begun) for at in begun)
