"""The adaptive pace: lowered for all runs by "too much", raised by images, kept in the ledger."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.ledger.gate import current_pace
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import Billed
from tests.support.builders import run
from tests.support.ledger import SECOND_US, Clock, admit, gate_of, nth_request, opened

pytestmark = pytest.mark.usefixtures("database")

ENDPOINT = run().endpoint
# 60 a minute of which the gate aims at 98%.
INTERVAL_S = 60 / (60 * 0.98)


def pace_of(ledger: Ledger, endpoint: str) -> float:
    """Return the share of the rate limit that is aimed at for an endpoint."""
    with ledger.database.reading() as connection:
        return current_pace(connection, endpoint)


def test_too_much_lowers_the_pace_of_all_runs(ledger: Ledger) -> None:
    """The next places are further apart, whichever run asks."""
    ours, theirs = (gate_of(ledger, run(name), rate_limit=60) for name in ("run-1", "run-2"))
    first = admit(ours, nth_request(1))

    ours.slow_down(sent_at=first.send_at)
    second, third = admit(theirs, nth_request(2)), admit(ours, nth_request(3))

    assert (first.pace, second.pace, third.pace) == (1, 0.7, 0.7)
    assert third.send_at - second.send_at == pytest.approx(INTERVAL_S / 0.7 * 1e6, abs=1)


def test_answers_to_one_burst_lower_the_pace_once(ledger: Ledger, clock: Clock) -> None:
    """What was in flight when the pace was lowered says nothing new; what is sent after it does."""
    gate = gate_of(ledger, run(), rate_limit=60)
    burst = [admit(gate, nth_request(n)) for n in range(5)]
    clock.turn(10)
    for sent in burst:
        gate.slow_down(sent_at=sent.send_at)
    once = pace_of(ledger, ENDPOINT)

    gate.slow_down(sent_at=admit(gate, nth_request(5)).send_at + 1)

    assert (once, pace_of(ledger, ENDPOINT)) == (0.7, 0.49)


def test_images_raise_the_pace_back_to_the_limit_and_no_further(ledger: Ledger, clock: Clock) -> None:
    """A thousandth each, from a lowered pace."""
    gate = gate_of(ledger, run(), rate_limit=60)
    first = admit(gate, nth_request(1))
    clock.turn(1)
    gate.slow_down(sent_at=first.send_at)

    paces = []
    for n in range(302):
        ledger.settle_bill(first.attempt_id, Billed(None))
        if n in (0, 1, 298, 299, 301):
            paces.append(pace_of(ledger, ENDPOINT))

    assert paces == [0.701, 0.702, 0.999, 1, 1]


def test_the_pace_never_falls_to_a_standstill(ledger: Ledger, clock: Clock) -> None:
    """A twentieth is left, however often it is too much."""
    gate = gate_of(ledger, run(), rate_limit=60)
    for n in range(20):
        gate.slow_down(sent_at=clock.now_us)
        clock.turn(1 + n)

    assert pace_of(ledger, ENDPOINT) == 0.05


def test_the_pace_outlives_the_process(tmp_path: Path) -> None:
    """It is in the ledger, for this endpoint only."""
    with opened(tmp_path) as ledger:
        gate_of(ledger, run()).slow_down(sent_at=2**62)

    with opened(tmp_path) as ledger:
        assert (pace_of(ledger, ENDPOINT), pace_of(ledger, "http://other.test")) == (0.7, 1)


def test_a_clock_set_back_still_lowers_the_pace(ledger: Ledger, clock: Clock) -> None:
    """What is sent after the pace was lowered counts, though the clock says that it was sent before."""
    gate = gate_of(ledger, run(), rate_limit=60)
    gate.slow_down(sent_at=admit(gate, nth_request(1)).send_at + 1)
    clock.turn(-3600)
    later = admit(gate, nth_request(2))
    clock.turn(5)

    gate.slow_down(sent_at=later.send_at)

    assert pace_of(ledger, ENDPOINT) == 0.49


def test_one_address_that_is_claimed_as_two_lanes_is_slower_and_never_wrong(ledger: Ledger, clock: Clock) -> None:
    """The endpoint counts them as one; both slow down, no attempt is refused often, and most of the limit is used."""
    limit, minutes = 60, 8
    lanes = [
        ledger.gate(ledger.start_run(replace(run(name), lane=name)), rate_limit=limit) for name in ("north", "south")
    ]
    accepted: list[int] = []
    refused_in_a_row = most_refused = 0
    end = clock.now_us + minutes * 60 * SECOND_US
    number = 0
    while clock.now_us < end:
        # Whichever lane has the next place.
        permits = [(admit(gate, nth_request(number := number + 1)), gate) for gate in lanes]
        for permit, gate in sorted(permits, key=lambda pair: pair[0].send_at):
            clock.now_us = max(clock.now_us, permit.send_at)
            of_late = [at for at in accepted if at > clock.now_us - 60 * SECOND_US]
            if len(of_late) < limit:
                accepted.append(clock.now_us)
                refused_in_a_row = 0
                ledger.settle_bill(permit.attempt_id, Billed(None))
            else:
                refused_in_a_row += 1
                most_refused = max(most_refused, refused_in_a_row)
                retry_after_s = (of_late[0] - clock.now_us) / SECOND_US + 60
                gate.slow_down(sent_at=permit.send_at, cool_down_s=retry_after_s)

    assert len(accepted) > 0.8 * limit * minutes
    # A run stops after ten.
    assert most_refused < 5
