"""Each step of an attempt is committed alone, and the run's total is the sum of its attempts at every moment."""

from decimal import Decimal

import pytest

from pipelines.common.errors import StorageError
from pipelines.ledger.gate import Gate
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import AttemptStatus, Billed, Outcome
from pipelines.ledger.schema import attempts, leases
from tests.support.builders import frame_spec
from tests.support.ledger import NOW_US, SECOND_US, Clock, admit, committed_usd, new_take, nth_request, table_rows

pytestmark = pytest.mark.usefixtures("database")

PRICE_USD = frame_spec().price.usd
BILL = Billed(PRICE_USD, neurons=Decimal("57.6"), tiles=4)


def test_a_bill_is_written_down_before_its_image(ledger: Ledger, gate: Gate, clock: Clock) -> None:
    """The money is accounted for; the attempt stays open, and its lease held."""
    attempt_id = admit(gate).attempt_id
    clock.turn(4)

    ledger.settle_bill(attempt_id, BILL)

    columns = ("http_status", "cost_usd", "neurons", "tiles", "billed_at", "status", "finished_at")
    billed = (200, PRICE_USD, Decimal("57.6"), 4, NOW_US + 4 * SECOND_US, None, None)
    assert table_rows(ledger, attempts, *columns) == [billed]
    assert len(table_rows(ledger, leases, "request_key")) == 1


def test_a_kept_take_closes_its_attempt(ledger: Ledger, gate: Gate, clock: Clock) -> None:
    """File, hash and size as they are on disk; what it cost stays; the lease is gone."""
    attempt_id = admit(gate).attempt_id
    ledger.settle_bill(attempt_id, BILL)
    clock.turn(5)

    ledger.keep_take(attempt_id, new_take("takes/a.png", size=7, sha256="ab" * 32))

    columns = ("status", "file", "bytes", "sha256", "width", "height", "cost_usd", "finished_at")
    kept = ("ok", "takes/a.png", 7, "ab" * 32, 1024, 1024, PRICE_USD, NOW_US + 5 * SECOND_US)
    assert table_rows(ledger, attempts, *columns) == [kept]
    assert table_rows(ledger, leases, "request_key") == []


def test_keeping_one_take_lets_go_of_no_other(ledger: Ledger, gate: Gate) -> None:
    """The run still holds what else it is generating."""
    first = admit(gate, nth_request(1))
    admit(gate, nth_request(2))

    ledger.keep_take(first.attempt_id, new_take())

    assert table_rows(ledger, leases, "request_key") == [(nth_request(2).take.request_key,)]


@pytest.mark.parametrize("cost", ["0", "0.000001", "0.000652", "0.0007", "1"])
def test_what_an_answer_cost_takes_the_place_of_what_was_reserved(ledger: Ledger, gate: Gate, cost: str) -> None:
    """Cheaper, more expensive or free: the run is charged with it, beside what else is in flight."""
    first = admit(gate, nth_request(1))
    admit(gate, nth_request(2))

    ledger.settle_bill(first.attempt_id, Billed(Decimal(cost)))

    assert committed_usd(ledger) == PRICE_USD + Decimal(cost)


def test_a_bill_without_a_cost_leaves_the_reservation(ledger: Ledger, gate: Gate) -> None:
    """Not known is not free."""
    attempt_id = admit(gate).attempt_id

    ledger.settle_bill(attempt_id, Billed(None))

    assert committed_usd(ledger) == PRICE_USD
    assert table_rows(ledger, attempts, "cost_usd", "reserved_usd", "neurons") == [(None, PRICE_USD, None)]


def test_a_second_bill_replaces_the_first(ledger: Ledger, gate: Gate) -> None:
    """It is not added: nothing is charged twice."""
    attempt_id = admit(gate).attempt_id

    ledger.settle_bill(attempt_id, Billed(Decimal("0.0005")))
    ledger.settle_bill(attempt_id, Billed(Decimal("0.0006")))

    assert committed_usd(ledger) == Decimal("0.0006")


@pytest.mark.parametrize("cost", ["0.00065200000000000003", "0.0000000000005", "0.0000000000015", "0.0000000000025"])
@pytest.mark.parametrize("first_cost", ["0.000000000001", "0.000000000002"])
def test_more_digits_than_the_ledger_holds_never_part_the_total_from_its_sum(
    ledger: Ledger, gate: Gate, first_cost: str, cost: str
) -> None:
    """Half a picodollar is rounded once, in the attempt, and the run is charged with the rounded cost."""
    attempt_id = admit(gate).attempt_id

    ledger.settle_bill(attempt_id, Billed(Decimal(first_cost)))
    ledger.settle_bill(attempt_id, Billed(Decimal(cost)))

    assert [(committed_usd(ledger),)] == table_rows(ledger, attempts, "cost_usd")


def test_an_answer_that_is_never_billed_gives_its_reservation_back(ledger: Ledger, gate: Gate, clock: Clock) -> None:
    """A 429 costs nothing, and says so in the ledger."""
    attempt_id = admit(gate).attempt_id
    clock.turn(1)

    ledger.close_attempt(attempt_id, Outcome(AttemptStatus.RATE_LIMITED, "slow down", 429, Decimal(0)))

    columns = ("status", "http_status", "error", "cost_usd", "reserved_usd", "finished_at")
    closed = ("rate_limited", 429, "slow down", Decimal(0), PRICE_USD, NOW_US + SECOND_US)
    assert table_rows(ledger, attempts, *columns) == [closed]
    assert committed_usd(ledger) == 0


def test_an_unusable_answer_costs_what_its_bill_said(ledger: Ledger, gate: Gate) -> None:
    """An outcome without a cost and a status leaves those of the bill as they are."""
    attempt_id = admit(gate).attempt_id
    ledger.settle_bill(attempt_id, Billed(Decimal("0.0005")))

    ledger.close_attempt(attempt_id, Outcome(AttemptStatus.UNUSABLE, "not an image"))

    assert table_rows(ledger, attempts, "status", "http_status", "cost_usd") == [("unusable", 200, Decimal("0.0005"))]
    assert committed_usd(ledger) == Decimal("0.0005")


def test_a_closed_attempt_still_holds_its_take_for_the_next_try(ledger: Ledger, gate: Gate) -> None:
    """Between two tries of one run no other run steps in."""
    attempt_id = admit(gate).attempt_id

    ledger.close_attempt(attempt_id, Outcome(AttemptStatus.FAILED, "500", 500))

    assert len(table_rows(ledger, leases, "request_key")) == 1


def test_a_kept_take_stays_kept(ledger: Ledger, gate: Gate) -> None:
    """A run that was taken for dead, while another kept what had arrived for it, takes nothing back."""
    attempt_id = admit(gate).attempt_id
    ledger.settle_bill(attempt_id, BILL)
    ledger.keep_take(attempt_id, new_take("takes/0.png"))

    ledger.close_attempt(attempt_id, Outcome(AttemptStatus.UNKNOWN, "the connection broke"))

    assert table_rows(ledger, attempts, "status", "file", "error") == [("ok", "takes/0.png", None)]


def test_an_endless_error_is_cut(ledger: Ledger, gate: Gate) -> None:
    """The ledger is no log: a thousand characters are enough."""
    attempt_id = admit(gate).attempt_id

    ledger.close_attempt(attempt_id, Outcome(AttemptStatus.FAILED, "é" * 5000, 500))

    assert table_rows(ledger, attempts, "error") == [("é" * 1000,)]


def test_a_take_that_is_gone_is_forgotten_and_its_cost_is_not(ledger: Ledger, gate: Gate) -> None:
    """Only those that are named; their cost stays."""
    for n in range(3):
        attempt_id = admit(gate, nth_request(n)).attempt_id
        ledger.settle_bill(attempt_id, BILL)
        ledger.keep_take(attempt_id, new_take(f"takes/{n}.png"))

    ledger.forget_lost_takes([1, 3])

    assert table_rows(ledger, attempts, "status", "file", "error", "cost_usd") == [
        ("ok", None, "the take's file is gone", PRICE_USD),
        ("ok", "takes/1.png", None, PRICE_USD),
        ("ok", None, "the take's file is gone", PRICE_USD),
    ]
    assert committed_usd(ledger) == 3 * PRICE_USD


def test_a_step_that_cannot_be_written_leaves_the_one_before(ledger: Ledger, gate: Gate) -> None:
    """A charge and its bill are one transaction: neither is written without the other."""
    first, second = (admit(gate, nth_request(n)).attempt_id for n in range(2))
    with ledger.database.transaction() as connection:
        connection.exec_driver_sql("CREATE UNIQUE INDEX no_two_at_once ON attempts (billed_at)")
    ledger.settle_bill(first, Billed(PRICE_USD))

    with pytest.raises(StorageError, match=r"the ledger cannot be written: .*; what was generated is kept"):
        ledger.settle_bill(second, Billed(Decimal(0)))

    assert table_rows(ledger, attempts, "cost_usd", "http_status") == [(PRICE_USD, 200), (None, None)]
    assert committed_usd(ledger) == 2 * PRICE_USD
