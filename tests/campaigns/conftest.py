"""What campaigns share: a tally that is printed at the end, and the kind of database that a ledger is in."""

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest

from pipelines.endpoints.retry import RetryPolicy
from tests.campaigns.fault_policy import BACKOFF_CAP_S
from tests.campaigns.tally import TALLY, OpenTally, Tally
from tests.support.postgres import database_for


@pytest.fixture
def open_tally(request: pytest.FixtureRequest) -> Iterator[OpenTally]:
    """Yield a function that opens the tally of a campaign; fill it in, then assert that nothing was violated."""
    tallies: list[Tally] = []

    def open_one(campaign: str) -> Tally:
        tallies.append(Tally(campaign))
        return tallies[-1]

    yield open_one
    # With the test's report they reach the process that prints them, whichever process ran the test.
    request.node.user_properties.extend((TALLY, asdict(tally)) for tally in tallies)


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make back-offs short: they have no setting."""
    policy = partial(RetryPolicy, backoff_base_s=BACKOFF_CAP_S / 4, backoff_cap_s=BACKOFF_CAP_S)
    monkeypatch.setattr("pipelines.run.generation.RetryPolicy", policy)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return where the ledger of a campaign is: in the kind of database that the test's parameter names."""
    if request.param == "postgres":
        return database_for(tmp_path, request.getfixturevalue("postgres").port)
    return f"sqlite:///{tmp_path / 'ledger.db'}"
