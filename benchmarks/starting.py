"""The wait before anything is generated: the command itself, and a storyboard of 10,000 frames."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import BIN, Row, paired, ratio_row
from benchmarks.rendering import write_board

_FRAMES = 10_000
_ROUNDS = 5


def rows(folder: Path) -> Iterator[Row]:
    """Measure in a folder that holds nothing else."""
    python, storyreel = str(BIN / "python"), str(BIN / "storyreel")
    ours, theirs, ratio = paired([storyreel, "--help"], [python, "-c", "pass"], rounds=_ROUNDS)
    against = f"python -c pass ({theirs * 1000:.0f} ms)"
    yield ratio_row("storyreel --help", ratio, against, detail=f"{ours * 1000:.0f} ms")
    board = str(write_board(folder / "many.yaml", _FRAMES))
    load = [python, "-c", f"import yaml; yaml.safe_load(open({board!r}))"]
    for verb in ("check", "plan"):
        ours, theirs, ratio = paired([storyreel, verb, board, "--json"], load, rounds=3)
        against = f"yaml.safe_load of the same file ({theirs:.1f} s)"
        yield ratio_row(f"{verb} of {_FRAMES:,} frames", ratio, against, "2 s", detail=f"{ours:.2f} s")
