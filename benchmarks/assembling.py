"""The film, beside the ffmpeg command that a user would write for it."""

import asyncio
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg

from benchmarks.measure import BIN, Row, paired, ratio_row
from pipelines.common.geometry import AspectRatio, Fit
from pipelines.endpoints.requests import ImageRequest
from pipelines.film.assembler import cut_film
from pipelines.server.engines.sketch import SketchEngine
from pipelines.storyboard.model import Output
from pipelines.storyboard.timeline import Hold, Timeline

_FPS = 24
_CRF = 18


def rows(folder: Path) -> Iterator[Row]:
    """Measure in a folder that holds nothing else."""
    frames = folder / "film"
    frames.mkdir()
    for count, hold in ((24, 96), (48, 24), (120, 1)):
        paint_sketches(frames, count)
        _write_list(frames, count, hold)
        ours, theirs, ratio = paired(_our_command(frames, count, hold), _bare_command(frames), rounds=3)
        name = f"film of {count} frames, each held for {hold} video frames"
        yield ratio_row(name, ratio, f"a bare ffmpeg command ({theirs:.1f} s)", "1.15", detail=f"{ours:.1f} s")


def paint_sketches(folder: Path, count: int) -> None:
    """Write sketches of the films' size, numbered from 0, where there are none."""
    engine, aspect = SketchEngine(0), AspectRatio.LANDSCAPE
    for number in range(count):
        path = folder / f"frame_{number:04d}.png"
        if not path.exists():
            path.write_bytes(engine.paint(ImageRequest(f"a harbor, view {number}", 4, aspect), aspect.size, 1))


def _write_list(folder: Path, count: int, hold: int) -> None:
    text = "\n".join(f"file frame_{number:04d}.png\nduration {hold / _FPS:.6f}" for number in range(count))
    # Without its last file a second time, ffmpeg drops the last hold.
    (folder / "list.ffconcat").write_text(f"ffconcat version 1.0\n{text}\nfile frame_{count - 1:04d}.png\n")


def _bare_command(folder: Path) -> list[str]:
    source = ["-f", "concat", "-safe", "0", "-i", str(folder / "list.ffconcat")]
    encoding = ["-fps_mode", "cfr", "-r", str(_FPS), "-c:v", "libx264", "-preset", "veryfast", "-crf", str(_CRF)]
    target = ["-pix_fmt", "yuv420p", "-movflags", "+faststart", "-y", str(folder / "bare.mp4")]
    return [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *source, *encoding, *target]


def _our_command(folder: Path, count: int, hold: int) -> list[str]:
    return [str(BIN / "python"), "-m", "benchmarks.assembling", str(folder), str(count), str(hold)]


def _cut(folder: Path, count: int, hold: int) -> None:
    output = Output(Fraction(_FPS), AspectRatio.LANDSCAPE.size, "h264", _CRF, Fit.COVER)
    holds = tuple(Hold(number, number * hold, hold) for number in range(count))
    frames = [folder / f"frame_{number:04d}.png" for number in range(count)]
    target = folder / "ours.mp4"
    target.unlink(missing_ok=True)
    asyncio.run(cut_film(Timeline("Bench", output, holds, ()), frames, target))


if __name__ == "__main__":
    _cut(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
