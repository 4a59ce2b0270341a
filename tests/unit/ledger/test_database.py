"""The database loses nothing that was committed, keeps nothing that was not, and rounds no amount that it can hold."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select
from sqlalchemy.dialects import sqlite

from pipelines.common.errors import StorageError
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.schema import Exact, attempts, gates
from tests.support.builders import run
from tests.support.ledger import NOW_US, attempt_request, gate_of, new_take, opened, table_rows

# Transactions


def test_a_transaction_that_fails_leaves_nothing(ledger: Ledger) -> None:
    """An error of ours rolls back what was written before it, and comes through as it is."""

    def fail_midway() -> None:
        with ledger.database.transaction() as connection:
            connection.execute(insert(gates).values(endpoint="http://flux.test", tat=0, cool_until=0))
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        fail_midway()

    assert table_rows(ledger, gates, "endpoint") == []


def test_a_locked_database_is_a_storage_error(tmp_path: Path, impatient: None) -> None:
    """Where another transaction never ends, nothing can be written; the message says so, and what is kept."""
    with opened(tmp_path) as ours, opened(tmp_path) as theirs:
        gate = gate_of(ours, run())

        with theirs.database.transaction(), pytest.raises(StorageError) as caught:
            gate.admit(attempt_request())

    assert str(caught.value) == "the ledger cannot be written: database is locked; what was generated is kept"


def test_a_full_disk_is_a_storage_error(ledger: Ledger) -> None:
    """The attempt that could not be written down is not admitted, and reserves nothing."""
    gate = gate_of(ledger, run())
    with ledger.database.transaction() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(StorageError) as caught:
        gate.admit(attempt_request(prompt="a harbor " * 2000))

    assert str(caught.value) == "the ledger cannot be written: database or disk is full; what was generated is kept"
    assert table_rows(ledger, attempts, "attempt_id") == []
    assert table_rows(ledger, gates, "endpoint") == []


def test_a_ledger_that_cannot_be_read_is_a_storage_error(ledger: Ledger, tmp_path: Path) -> None:
    """A table that was dropped by hand is no bug of storyreel."""
    with closing(sqlite3.connect(tmp_path / "storyreel.db")) as database:
        database.execute("DROP TABLE gates")

    with pytest.raises(
        StorageError, match="the ledger cannot be read: no such table: gates; what was generated is kept"
    ):
        table_rows(ledger, gates, "endpoint")


def test_a_reader_waits_for_no_writer(ledger: Ledger, impatient: None) -> None:
    """It sees what was committed before, while a transaction is open."""
    with ledger.database.transaction() as connection:
        connection.execute(insert(gates).values(endpoint="http://flux.test", tat=0, cool_until=0))

        seen = table_rows(ledger, gates, "endpoint")

    assert (seen, table_rows(ledger, gates, "endpoint")) == ([], [("http://flux.test",)])


def test_one_reading_is_of_one_moment(ledger: Ledger) -> None:
    """Whatever is committed meanwhile."""
    with ledger.database.reading() as reader:
        before = reader.scalars(select(gates.c.endpoint)).all()
        with ledger.database.transaction() as writer:
            writer.execute(insert(gates).values(endpoint="http://flux.test", tat=0, cool_until=0))
        after = reader.scalars(select(gates.c.endpoint)).all()

    assert (before, after) == ([], [])


def test_the_clock_counts_whole_microseconds(ledger: Ledger) -> None:
    """SQLite has no clock of its own: this machine's counts, or the one that was given."""
    with ledger.database.reading() as connection:
        assert ledger.database.now(connection) == NOW_US


# Exact amounts


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_exact_amount_comes_back_as_it_went_in(units: int) -> None:
    """Twelve places, over the whole width of the column, without exponent or trailing zeros."""
    usd, dialect = Exact(12), sqlite.dialect()
    amount = Decimal(units) / 10**12

    stored = usd.process_bind_param(amount, dialect)
    back = usd.process_result_value(stored, dialect)

    assert (stored, back) == (units, amount)
    assert back is not None
    assert "E" not in str(back) or abs(back) < Decimal("1e-6")


@pytest.mark.parametrize("none", [Exact(12).process_bind_param, Exact(12).process_result_value])
def test_an_unknown_amount_stays_unknown(none: Callable[..., object]) -> None:
    """None is no zero, on the way in or out."""
    assert none(None, sqlite.dialect()) is None


@pytest.mark.parametrize(
    ("given_usd", "stored"),
    [
        ("0.00065200000000000001", "0.000652"),
        ("0.0006519999999999999999", "0.000652"),
        ("10", "10"),
        ("0.1234567890125", "0.123456789012"),
        ("123.45678901234567890123456789012345", "123.456789012346"),
        ("1E+5", "100000"),
        ("0E-18", "0"),
    ],
)
def test_digits_that_the_ledger_cannot_hold_are_rounded(ledger: Ledger, given_usd: str, stored: str) -> None:
    """The noise of a float, as some servers put into their headers, is not money."""
    usd, dialect = Exact(12), sqlite.dialect()

    back = usd.process_result_value(usd.process_bind_param(Decimal(given_usd), dialect), dialect)

    assert str(back) == stored


def test_a_take_of_another_size_is_stored_exactly(ledger: Ledger) -> None:
    """Bytes are counted beyond 31 bits."""
    take = new_take(size=2**40)

    with ledger.database.transaction() as connection:
        admitted = {"run_id": "r", "storyboard": "s", "frame": 0, "scene": "a", "shot": "b", "take": 1, "try": 1}
        asked = {"request_key": "k", "endpoint": "e", "model": "m", "simulated": False, "prompt": "p", "steps": 4}
        rest = {"aspect_ratio": "1:1", "reserved_usd": Decimal(0), "sent_at": 0, "bytes": take.bytes}
        connection.execute(insert(attempts).values({**admitted, **asked, **rest}))

    assert table_rows(ledger, attempts, "bytes") == [(2**40,)]
