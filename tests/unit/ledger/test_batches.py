"""Batches: statements that travel together do what they do one after another, or nothing at all."""

import pytest
from sqlalchemy import bindparam, insert, select

from pipelines.common.errors import StorageError
from pipelines.ledger.batches import Batch
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.schema import leases, spending
from tests.support.ledger import table_rows
from tests.support.pictures import PRICE_USD

pytestmark = pytest.mark.usefixtures("database")

LEASE = {"request_key": "a", "run_id": "run-1", "attempt_id": 7}
FIND = select(leases).where(leases.c.request_key == bindparam("of"))


def test_each_statement_has_its_own_answer(ledger: Ledger) -> None:
    """In the types of its columns; one that returns nothing has no rows."""
    with ledger.database.transaction(batched=True) as connection:
        batch = Batch(connection)
        entered = batch.add(insert(leases), LEASE)
        found, missing = batch.add(FIND, {"of": "a"}), batch.add(FIND, {"of": "b"})
        batch.send()

        assert (entered.rows, found.rows, missing.rows) == ((), [LEASE], [])


def test_amounts_are_exact_both_ways(ledger: Ledger) -> None:
    """As a statement on its own has them."""
    with ledger.database.transaction(batched=True) as connection:
        batch = Batch(connection)
        batch.add(insert(spending), {"scope": "run a", "committed_usd": PRICE_USD})
        found = batch.add(select(spending), {})
        batch.send(commit=True)

        assert [dict(row) for row in found.rows] == [{"scope": "run a", "committed_usd": PRICE_USD}]


def test_the_last_batch_commits(ledger: Ledger) -> None:
    """Everything before it in the transaction too."""
    with ledger.database.transaction(batched=True) as connection:
        first, second = Batch(connection), Batch(connection)
        first.add(insert(leases), LEASE)
        first.send()
        second.add(insert(leases), {**LEASE, "request_key": "b"})
        second.send(commit=True)

    assert table_rows(ledger, leases, "request_key") == [("a",), ("b",)]


def test_what_is_rolled_back_was_never_there(ledger: Ledger) -> None:
    """As after a refusal."""
    with ledger.database.transaction(batched=True) as connection:
        batch = Batch(connection)
        batch.add(insert(leases), LEASE)
        batch.send()
        connection.rollback()

    assert table_rows(ledger, leases, "request_key") == []


@pytest.mark.parametrize("commit", [True, False])
def test_a_statement_that_fails_takes_all_with_it(ledger: Ledger, commit: bool) -> None:
    """Those before and after it; the database can be used again at once."""
    with (
        pytest.raises(StorageError, match="cannot be written"),
        ledger.database.transaction(batched=True) as connection,
    ):
        batch = Batch(connection)
        batch.add(insert(leases), LEASE)
        batch.add(insert(leases), LEASE)
        batch.add(insert(leases), {**LEASE, "request_key": "b"})
        batch.send(commit=commit)

    assert table_rows(ledger, leases, "request_key") == []


def test_an_empty_batch_asks_nothing(ledger: Ledger) -> None:
    """Its transaction ends as others do."""
    with ledger.database.transaction() as connection:
        connection.execute(insert(leases), LEASE)
        Batch(connection).send(commit=True)

    assert table_rows(ledger, leases, "request_key") == [("a",)]
