"""What the tests of takes share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.ledger.ledger import Ledger
from tests.support.generation import NOW_S
from tests.support.output_folder import OutputFolder


@pytest.fixture
def output(tmp_path: Path) -> Iterator[OutputFolder]:
    """An empty output folder with a new ledger."""
    with Ledger.open(f"sqlite:///{tmp_path / 'storyreel.db'}", clock=lambda: NOW_S) as ledger:
        yield OutputFolder(tmp_path, ledger)
