"""What the tests of several parts together share."""

import pytest


@pytest.fixture(autouse=True)
def _plain_sketches(plain_sketches: None) -> None:
    """Let every run of these tests be quick; those of the served API itself serve what they look at."""
