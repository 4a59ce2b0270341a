"""One storyboard of two frames in one output folder, rendered without Prefect by the embedded endpoint."""

import asyncio
from decimal import Decimal
from pathlib import Path

from pipelines.common.settings import Settings
from pipelines.run.local import pick_take, run_locally
from pipelines.run.observer import RunObserver
from pipelines.run.result import RunResult
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.model import Storyboard
from pipelines.storyboard.plan import Plan
from pipelines.storyboard.selection import ExtraTakes, select_extra_takes, select_frame
from pipelines.takes.inventory import TakeInventory, read_inventory
from pipelines.takes.models import Take
from pipelines.voice.planning import plan_spoken

IMAGE_USD = Decimal("0.000322")
BOARD = """
output: {fps: 12, size: 64x64}
defaults: {hold: 1s, steps: 1, aspect: "1:1"}
scenes:
  - id: garden
    shots:
      - {id: cat, prompt: a cat}
      - {id: dog, prompt: a dog, takes: TAKES}
"""


class Studio:
    """One storyboard in one output folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "pets.yaml"
        self.settings = Settings(output=folder / "outputs", rate_limit=60_000)
        self.folder = folder / "outputs" / "pets"
        self.write(BOARD.replace("TAKES", "1"))

    def write(self, text: str) -> None:
        self.path.write_text(text)

    @property
    def board(self) -> Storyboard:
        return load_storyboard(self.path)

    @property
    def plan(self) -> Plan:
        return plan_spoken(self.board, self.settings)

    @property
    def inventory(self) -> TakeInventory:
        return read_inventory(self.plan, self.settings)

    def render(self, observer: RunObserver | None = None) -> RunResult:
        return asyncio.run(run_locally(self.board, self.settings, observer=observer))

    def reroll(
        self, frames: str, *, count: int = 1, prompt: str | None = None, observer: RunObserver | None = None
    ) -> RunResult:
        extra = select_extra_takes(self.plan, frames, count=count, prompt=prompt)
        return asyncio.run(run_locally(self.board, self.settings, extra, observer=observer))

    def pick(self, frame: str, take: int) -> RunResult:
        pick_take(self.plan, self.settings, select_frame(self.plan, frame), take)
        return asyncio.run(run_locally(self.board, self.settings, ExtraTakes()))

    def take(self, frame: int, number: int = 1) -> Take:
        """Return a take that is there."""
        take = self.inventory.frames[frame].find(number)
        assert take is not None
        return take

    def there(self) -> list[list[int]]:
        """Return the numbers of the takes of each frame."""
        return [[take.spec.number for take in frame.takes] for frame in self.inventory.frames]

    def selected(self) -> list[int | None]:
        return [frame.selected.spec.number if frame.selected else None for frame in self.inventory.frames]

    def segments(self) -> set[str]:
        return {path.name for path in (self.folder / "segments").iterdir()}
