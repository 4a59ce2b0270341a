"""Takes as data: one generation of a frame, and all takes of one frame."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from pipelines.common.geometry import Size
from pipelines.ledger.models import Remark
from pipelines.storyboard.plan import FrameSpec, TakeSpec

# Enough digits of a request key, which names a take's file too, to find the take by.
SHORT_KEY = 12


@dataclass(frozen=True, slots=True)
class Take:
    """One generation of a frame, as a file.

    Attributes:
        spec: the take that was asked for.
        path: its file.
        prompt: the one that it was generated from; a fallback where the take's own was refused.
        cost_usd: None where it is not known.
        size: of the picture, in pixels; None where the ledger does not know the take.
        remarks: what is unusual about it, as it was noted when it came.
        sha256: of its file's bytes, in hex, as the ledger has it; None where the ledger does not know the take.
    """

    spec: TakeSpec
    path: Path
    prompt: str
    cost_usd: Decimal | None
    size: Size | None = None
    remarks: tuple[Remark, ...] = ()
    sha256: str | None = None

    @property
    def frame(self) -> FrameSpec:
        """The frame that it is a take of."""
        return self.spec.frame

    @property
    def pattern(self) -> str:
        """Its file for people: a path that a shell completes, where the whole has 64 digits that nobody reads."""
        stem = self.path.stem
        short = stem if len(stem) <= SHORT_KEY else f"{stem[:SHORT_KEY]}*"
        return str(self.path.with_name(f"{short}{self.path.suffix}"))


@dataclass(frozen=True, slots=True)
class FrameTakes:
    """The takes of one frame.

    Attributes:
        frame: the frame.
        takes: those that are there, by number.
        picked: the number of the take that was picked; None where there is no pick.
    """

    frame: FrameSpec
    takes: tuple[Take, ...]
    picked: int | None

    @property
    def selected(self) -> Take | None:
        """The take that the film shows: the picked one, else the first that is there; None where none is."""
        return self.find(self.picked) or (self.takes[0] if self.takes else None)

    @property
    def lost_pick(self) -> bool:
        """Whether the picked take is no longer there."""
        return self.picked is not None and self.find(self.picked) is None

    def find(self, number: int | None) -> Take | None:
        """Return the take of this number, if it is there."""
        return next((take for take in self.takes if take.spec.number == number), None)
