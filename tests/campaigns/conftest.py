"""Collects the figures of all campaigns and prints them as one table at the end."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.campaigns.tally import Tally, as_markdown
from tests.support.postgres import database_for

_TALLIES = pytest.StashKey[list[Tally]]()


@pytest.fixture
def open_tally(request: pytest.FixtureRequest) -> Callable[[str], Tally]:
    """Return a function that opens the tally of a campaign; fill it in, then assert that nothing was violated."""

    def open_one(campaign: str) -> Tally:
        tally = Tally(campaign)
        request.config.stash.setdefault(_TALLIES, []).append(tally)
        return tally

    return open_one


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return where the ledger of a campaign is: in the kind of database that the test's parameter names."""
    if request.param == "postgres":
        return database_for(tmp_path, request.getfixturevalue("postgres").port)
    return f"sqlite:///{tmp_path / 'ledger.db'}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table."""
    tallies = config.stash.get(_TALLIES, [])
    if tallies:
        terminalreporter.section("campaigns")
        terminalreporter.write_line(as_markdown(tallies))
