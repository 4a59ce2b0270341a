"""What tests of the ledger share."""

import pytest

from pipelines.ledger import database as database_module


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no lock."""
    monkeypatch.setattr(database_module, "_BUSY_TIMEOUT_S", 0)
