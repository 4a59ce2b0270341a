"""Storyboards for campaigns: small, quick frames, and no prompt that another storyboard has too."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from pipelines.common.geometry import AspectRatio
from pipelines.endpoints.prices import price_list

# What is set aside for a square of one step at the API of flux-api.md.
FRAME_USD = price_list("flux").model("flux-1-schnell").rates.price(AspectRatio.SQUARE.size, steps=1).usd


@dataclass(frozen=True, slots=True)
class Board:
    """A storyboard, and what its frames show in their order."""

    path: Path
    prompts: list[str]

    @property
    def folder(self) -> Path:
        """Where its renders leave what they make."""
        return self.path.parent / "outputs" / self.path.stem


def write_board(
    folder: Path, name: str, *, frames: int, budget_usd: Decimal | int | None = None, aspect: str = "1:1"
) -> Board:
    """Write a storyboard; by default its budget pays for each square frame once, to the last digit."""
    board = Board(folder / f"{name}.yaml", [f"{name}, view {number}" for number in range(frames)])
    board.path.write_text(
        f"title: {name}\noutput: {{fps: 12, size: 192x192}}\ndefaults: {{aspect: {aspect}, steps: 1, hold: 1f}}\n"
        f"budget: {{usd: {FRAME_USD * frames if budget_usd is None else budget_usd}}}\nprompts:\n"
        + "".join(f"  - {prompt}\n" for prompt in board.prompts)
    )
    return board
