"""The takes as data: one generation of a frame, and all those of one frame."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from pipelines.storyboard.plan import FrameSpec


@dataclass(frozen=True, slots=True)
class Take:
    """One generation of a frame: its file, the prompt that made it, and what it cost where that is known."""

    spec: FrameSpec
    path: Path
    prompt: str
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class FrameTakes:
    """The takes of one frame.

    Attributes:
        frame: its first take's spec, whether that is there or not.
        takes: those that are there, by number.
        picked: the number that somebody chose; None where nobody did.
    """

    frame: FrameSpec
    takes: tuple[Take, ...]
    picked: int | None

    @property
    def shown(self) -> Take | None:
        """The take that the film shows: the picked one, else the first that is there; None where none is."""
        return self.find(self.picked) or (self.takes[0] if self.takes else None)

    @property
    def lost_pick(self) -> bool:
        """Whether the take that was picked is not there any more."""
        return self.picked is not None and self.find(self.picked) is None

    def find(self, number: int | None) -> Take | None:
        """Return the take of this number, if it is there."""
        return next((take for take in self.takes if take.spec.take == number), None)
