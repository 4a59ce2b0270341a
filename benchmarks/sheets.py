"""The contact sheet, beside a loop that opens every take whole; and the memory of a long one."""

import itertools
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from benchmarks.assembling import paint_sketches
from benchmarks.measure import BIN, Kind, Row, ratio_row, run
from pipelines.report.contact_sheet import write_contact_sheet
from pipelines.report.sheet_layout import SheetFrame, SheetScene
from pipelines.report.thumbnails import Thumbnails

# Other names of a few takes: to paint a thousand would take longer than all that is measured.
_DISTINCT = 20
_NAIVE = 60
_SCENE = 24
_THUMBNAIL = (320, 183)


def rows(folder: Path) -> Iterator[Row]:
    """Measure in a folder that holds nothing else."""
    painted = _painted_jpegs(folder / "sheets")
    takes = _linked(painted, folder / "sheets" / "1000", 1000)
    naive_s = _naive_s(takes[:_NAIVE]) * len(takes) / _NAIVE
    ours = run(_sheet_command(takes[0].parent))
    beside = f"opening and shrinking each whole, one after another ({naive_s:.1f} s, from {_NAIVE} takes)"
    named = f"contact sheet of {len(takes):,} JPEG takes of 1344x768"
    yield ratio_row(named, ours.wall_s / naive_s, beside, "0.4", detail=f"{ours.wall_s:.1f} s")
    again = run(_sheet_command(takes[0].parent))
    named, ratio = f"{named}, again, its thumbnails kept", again.wall_s / naive_s
    yield ratio_row(named, ratio, beside, "0.15", detail=f"{again.wall_s:.1f} s")
    few, many = (_peak_mib(painted, folder / "sheets" / f"peak-{count}", count) for count in (100, 2000))
    named = "peak memory of a contact sheet of 2,000 frames"
    yield Row(named, many, "MiB", Kind.MEMORY, f"{few:.0f} MiB at 100")
    yield ratio_row(f"{named} over one of 100", many / few, f"{few:.0f} MiB", "flat")


def _painted_jpegs(folder: Path) -> list[Path]:
    folder.mkdir()
    paint_sketches(folder, _DISTINCT)
    jpegs = []
    for path in sorted(folder.glob("*.png")):
        jpegs.append(path.with_suffix(".jpg"))
        with Image.open(path) as sketch:
            sketch.convert("RGB").save(jpegs[-1], quality=90)
    return jpegs


def _linked(painted: Sequence[Path], folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    takes = [folder / f"{number:04d}.jpg" for number in range(count)]
    for source, take in zip(itertools.cycle(painted), takes, strict=False):
        os.link(source, take)
    return takes


def _naive_s(takes: Sequence[Path]) -> float:
    sheet = Image.new("RGB", (_THUMBNAIL[0] * 10, _THUMBNAIL[1] * -(-len(takes) // 10)))
    started = time.perf_counter()
    for number, take in enumerate(takes):
        with Image.open(take) as picture:
            small = picture.convert("RGB").resize(_THUMBNAIL, Image.Resampling.LANCZOS)
        sheet.paste(small, (number % 10 * _THUMBNAIL[0], number // 10 * _THUMBNAIL[1]))
    sheet.save(takes[0].parent.parent / "naive.jpg")
    return time.perf_counter() - started


def _peak_mib(painted: Sequence[Path], folder: Path, count: int) -> float:
    return run(_sheet_command(_linked(painted, folder, count)[0].parent)).peak_mib


def _sheet_command(takes: Path) -> list[str]:
    return [str(BIN / "python"), "-m", "benchmarks.sheets", str(takes)]


def _sheet(folder: Path) -> None:
    takes = sorted(folder.glob("*.jpg"))
    home = folder.with_name(f"{folder.name}-sheet")
    made = Thumbnails(home / "thumbnails").make(takes)
    frames = [SheetFrame(n, f"shot-{n} a harbor, view {n}, {take.stem}", made[take]) for n, take in enumerate(takes)]
    scenes = [
        SheetScene(f"Scene {start // _SCENE + 1}", tuple(frames[start : start + _SCENE]))
        for start in range(0, len(frames), _SCENE)
    ]
    write_contact_sheet("Bench", scenes, home)


if __name__ == "__main__":
    _sheet(Path(sys.argv[1]))
