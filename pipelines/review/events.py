"""What the cutting room tells those who watch."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Progressed:
    """How far the run in the works is; `stage` is empty when none is."""

    stage: str
    to_buy: int = 0
    bought: int = 0
    failed: int = 0
    cost_usd: Decimal = Decimal(0)
    pieces: int = 0
    pieces_done: int = 0

    @classmethod
    def idle(cls) -> "Progressed":
        """Return the word that nothing is in the works any more."""
        return cls("")


@dataclass(frozen=True, slots=True)
class Changed:
    """The frames of these numbers have changed, or with none of them, something else on the page: the film perhaps."""

    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The storyboard has other frames now: the page has to be loaded anew."""


@dataclass(frozen=True, slots=True)
class Troubled:
    """Something went wrong; what, and the cure."""

    message: str


Event = Progressed | Changed | Reloaded | Troubled
