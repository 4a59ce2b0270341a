"""Faults: drawn at their rates, and the sizes that they answer with."""

from random import Random

from pipelines.common.geometry import Size
from pipelines.server.config import FaultKind, parse_fault
from pipelines.server.faults import FaultDraw, wrong_size


def test_faults_are_drawn_at_their_rates_and_by_their_seed() -> None:
    """The same seed draws the same; the shares come out."""
    faults = [parse_fault("truncate=0.1"), parse_fault("server-error=0.2")]
    first, second = (FaultDraw(faults, Random(5)) for _ in range(2))
    drawn = [first.draw() for _ in range(5000)]

    assert [second.draw() for _ in range(5000)] == drawn
    assert abs(drawn.count(FaultKind.TRUNCATE) / 5000 - 0.1) < 0.02
    assert abs(drawn.count(FaultKind.SERVER_ERROR) / 5000 - 0.2) < 0.02


def test_a_wrong_size_is_never_the_requested_one() -> None:
    """The model's favorite, or its second."""
    assert [wrong_size(Size(1344, 768)), wrong_size(Size(1024, 1024))] == [Size(1024, 1024), Size(768, 768)]
