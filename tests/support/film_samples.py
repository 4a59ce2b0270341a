"""Small films to test with: flat frames in plain colours, and their MP4s read back picture by picture."""

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import accumulate, groupby, pairwise
from pathlib import Path
from typing import Literal

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from pipelines.common.geometry import Fit, Size
from pipelines.storyboard.model import Output
from pipelines.storyboard.timeline import Chapter, Hold, Timeline

Picture = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

SMALL = Size(64, 48)
RGB = ("-pix_fmt", "rgb24")
COLOURS: Mapping[str, Colour] = {
    "red": (220, 30, 30),
    "green": (30, 200, 40),
    "blue": (40, 50, 210),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "yellow": (230, 220, 30),
    "purple": (140, 40, 160),
    "gray": (128, 128, 128),
}
# H.264 in 4:2:0 at eight bits: converting there and back costs a level or two.
TOLERANCE = 4


def flat_frames(folder: Path, names: Sequence[str], *, size: Size = SMALL) -> list[Path]:
    """Write one flat PNG a colour name, numbered from 0."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"frame_{number:04d}.png" for number in range(len(names))]
    for name, path in zip(names, paths, strict=True):
        Image.new("RGB", (size.width, size.height), COLOURS[name]).save(path)
    return paths


def timeline_of(
    lengths: Sequence[int],
    *,
    fps: Fraction = Fraction(24),
    size: Size = SMALL,
    fit: Fit = Fit.COVER,
    crf: int = 18,
    codec: str = "h264",
    title: str = "Harbor",
    scenes: Mapping[str, int] | None = None,
) -> Timeline:
    """Return a timeline of one hold a length; `scenes` says how many frames each chapter has, by its title."""
    cuts = [0, *accumulate(lengths)]
    holds = tuple(Hold(number, start, end - start) for number, (start, end) in enumerate(pairwise(cuts)))
    scenes = {"All": len(lengths)} if scenes is None else scenes
    firsts = [0, *accumulate(scenes.values())]
    chapters = tuple(
        Chapter(name, cuts[first], cuts[last]) for name, (first, last) in zip(scenes, pairwise(firsts), strict=True)
    )
    return Timeline(title, Output(fps, size, codec, crf, fit), holds, chapters)


def pictures(path: Path, size: Size = SMALL) -> list[Picture]:
    """Decode every picture of a film, one RGB array a video frame, none dropped and none doubled."""
    raw = ask_ffmpeg("-i", f"file:{path}", "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "rawvideo", *RGB, "-")
    return list(np.frombuffer(raw, np.uint8).reshape(-1, size.height, size.width, 3))


def ask_ffmpeg(*arguments: str, stream: Literal["stdout", "stderr"] = "stdout") -> bytes:
    """Run ffmpeg for a test's own purposes; return its output."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner", "-loglevel", "error", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return done.stdout if stream == "stdout" else done.stderr


def similarity(film: Path, video_frame: int, frame: Path) -> float:
    """Return the SSIM of a film's picture and the frame that it should show, by ffmpeg's own measure."""
    picture = f"[0:v]select=eq(n\\,{video_frame}),setpts=0,format=gbrp[film];[1:v]format=gbrp[frame]"
    graph = f"{picture};[film][frame]ssim=stats_file=-"
    said = ask_ffmpeg("-i", str(film), "-i", str(frame), "-lavfi", graph, "-frames:v", "1", "-f", "null", "-")
    return float(said.decode().split("All:")[1].split()[0])


def noisy_gradient(size: Size) -> Image.Image:
    """Draw something like a photograph: slopes, an edge, and grain."""
    x, y = np.meshgrid(np.linspace(0, 1, size.width), np.linspace(0, 1, size.height))
    slopes = np.stack([200 * x, 180 * y, 110 * (x + y)], axis=-1)
    slopes[(x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.05] += 35
    grain = np.random.default_rng(7).normal(0, 1.5, (*x.shape, 1))
    return Image.fromarray(np.clip(slopes + grain, 0, 255).astype(np.uint8))


def dissolved(lengths: Sequence[int], *, half: int = 4, **output: object) -> Timeline:
    """Return a timeline with a dissolve between any two holds."""
    timeline = timeline_of(lengths, **output)  # type: ignore[arg-type]
    last = len(lengths) - 1
    holds = [
        replace(hold, transition="dissolve", half=half) if n < last else hold for n, hold in enumerate(timeline.holds)
    ]
    return replace(timeline, holds=tuple(holds))


@dataclass
class Watching:
    """An observer that keeps what it hears."""

    encoded: list[tuple[float, float | None]] = field(default_factory=list)
    joined: list[Path] = field(default_factory=list)

    def segment_encoded(self, megapixels: float, seconds: float | None) -> None:
        self.encoded.append((megapixels, seconds))

    def joining(self, film: Path) -> None:
        self.joined.append(film)


def fake_ffmpeg(path: Path, monkeypatch: pytest.MonkeyPatch, *lines: str) -> Path:
    """Put a script in ffmpeg's place: it writes its process number down, runs `lines`, then the real one.

    Returns the file of process numbers, one a line; queries (`-encoders`, `-version`) go to the real one at once.
    """
    pids = path.with_suffix(".pids")
    real = imageio_ffmpeg.get_ffmpeg_exe()
    script = [
        "#!/bin/bash",
        f"REAL={shlex.quote(real)}",
        'case "$*" in *-encoders* | -version) exec "$REAL" "$@" ;; esac',
        f"echo $$ >> {shlex.quote(str(pids))}",
        *lines,
        'exec "$REAL" "$@"',
    ]
    path.write_text("\n".join(script))
    path.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(path))
    return pids


def colour_runs(path: Path) -> list[tuple[str, int]]:
    """Return the colours that a film shows and for how many video frames each."""
    return [(name, len(list(run))) for name, run in groupby(map(colour_of, pictures(path)))]


def colour_of(picture: Picture) -> str:
    """Name the colour of a picture that is flat, else describe it."""
    # Its extremes tell as much as all its pixels, and are found once for all the colours: fast, row by row.
    rows = picture.reshape(len(picture), -1)
    least = rows.min(axis=0).reshape(-1, 3).min(axis=0).tolist()
    most = rows.max(axis=0).reshape(-1, 3).max(axis=0).tolist()
    for name, colour in COLOURS.items():
        channels = zip(least, most, colour, strict=True)
        if all(value - TOLERANCE <= low and high <= value + TOLERANCE for low, high, value in channels):
            return name
    return f"unknown: {picture.reshape(-1, 3).mean(axis=0).round()}"
