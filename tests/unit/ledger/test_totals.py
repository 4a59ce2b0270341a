"""The sums that the database makes are those of the attempts, to the last digit."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from pipelines.endpoints.amounts import Price
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import AttemptStatus, Correction, Totals
from pipelines.ledger.schema import attempts
from tests.support.ledger import NOW_US, opened

pytestmark = pytest.mark.usefixtures("database")

RUNS = ("run-1", "run-2")
STORYBOARDS = ("harbor", "forest")
THB_PER_USD = 35
# Written in every attempt, and of no matter for its sums.
REST = {
    "frame": 0, "scene": "arrival", "shot": "wide", "take": 1, "try": 1, "request_key": "k", "endpoint": "http://flux.test",
    "model": "m", "prompt": "p", "steps": 4, "aspect_ratio": "1:1", "sent_at": NOW_US,
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """An attempt as far as sums go by it; `corrected_usd` is what a settlement by hand says of an unknown cost."""

    run_id: str
    storyboard: str
    simulated: bool
    status: AttemptStatus | None
    reserved_usd: Decimal
    cost_usd: Decimal | None
    neurons: Decimal | None
    corrected_usd: Decimal | None

    @property
    def can_be_settled(self) -> bool:
        return self.status is not None and self.cost_usd is None

    @property
    def known_usd(self) -> Decimal | None:
        return self.corrected_usd if self.can_be_settled and self.corrected_usd is not None else self.cost_usd


# Every digit that the ledger holds; far apart, so that a float would lose some of them.
DOLLARS = st.decimals(0, Decimal("0.000001"), places=12) | st.decimals(0, 10_000, places=12)
ENTRIES = st.builds(
    Entry,
    st.sampled_from(RUNS),
    st.sampled_from(STORYBOARDS),
    st.booleans(),
    st.sampled_from(AttemptStatus) | st.none(),
    DOLLARS,
    DOLLARS | st.none(),
    st.decimals(0, 10**6, places=6) | st.none(),
    DOLLARS | st.none(),
)


def enter(ledger: Ledger, entries: Sequence[Entry]) -> None:
    """Write the attempts into the ledger, then settle by hand those that can be."""
    with ledger.database.transaction() as connection:
        for entry in entries:
            values = {**asdict(entry), **REST}
            del values["corrected_usd"]
            connection.execute(insert(attempts).values(values))
    for attempt_id, entry in enumerate(entries, start=1):
        if entry.can_be_settled:
            correction = Correction(entry.corrected_usd, "amy", "the invoice")
            ledger.correct_attempt(attempt_id, correction, storyboard=entry.storyboard)


def added_up(entries: Sequence[Entry]) -> Totals:
    """Add up the attempts one by one."""
    known = [entry for entry in entries if entry.known_usd is not None]
    usd = sum((entry.known_usd or Decimal(0) for entry in known), Decimal(0))
    neurons = [entry.neurons for entry in known if entry.neurons is not None]
    return Totals(
        requests=len(entries),
        open=sum(entry.status is None for entry in entries),
        by_status=dict(Counter(entry.status or AttemptStatus.UNKNOWN for entry in entries)),
        cost=Price(usd, usd * THB_PER_USD, None if usd and not neurons else sum(neurons, Decimal(0))),
        uncertain_usd=sum((entry.reserved_usd for entry in entries if entry.known_usd is None), Decimal(0)),
    )


@given(st.lists(ENTRIES, max_size=40))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_sums_of_the_database_are_those_of_the_attempts(entries: list[Entry]) -> None:
    """Of a run, and of a storyboard's real or simulated attempts: open, unknown, settled, billed or free."""
    with TemporaryDirectory() as folder, opened(Path(folder)) as ledger:
        enter(ledger, entries)

        for run_id in RUNS:
            assert ledger.run_totals(run_id) == added_up([entry for entry in entries if entry.run_id == run_id])
        for storyboard in STORYBOARDS:
            for simulated in (False, True):
                concerned = [each for each in entries if (each.storyboard, each.simulated) == (storyboard, simulated)]
                assert ledger.storyboard_totals(storyboard, simulated=simulated) == added_up(concerned)


def test_statuses_are_listed_in_the_order_of_their_first_attempts() -> None:
    """The statement names them so; open attempts count as unknown."""
    order = [AttemptStatus.FAILED, None, AttemptStatus.OK, AttemptStatus.UNKNOWN, AttemptStatus.FAILED]
    entries = [Entry("run-1", "harbor", False, status, Decimal(1), None, None, None) for status in order]
    with TemporaryDirectory() as folder, opened(Path(folder)) as ledger:
        enter(ledger, entries)

        totals = ledger.run_totals("run-1")

    assert list(totals.by_status.items()) == [
        (AttemptStatus.FAILED, 2),
        (AttemptStatus.UNKNOWN, 2),
        (AttemptStatus.OK, 1),
    ]
