"""A film compared with the raw pictures that it was made of: how like they look, and whether slopes of colour band."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt

from benchmarks.measure import run
from pipelines.film.encoding import on_time, raw_input
from pipelines.storyboard.model import Output

_Scores = npt.NDArray[np.float64]
_LOG = "likeness.json"


@dataclass(frozen=True, slots=True)
class Likeness:
    """How like their sources a film's pictures are, one score for each picture (libvmaf's docs, "Features").

    Attributes:
        vmaf: as viewers judge it, from 0 to 100.
        psnr_db: of their brightness, in decibels.
        cambi: the bands in their slopes, from 0; above 5 they can be seen. The sources' own do not count.
    """

    vmaf: _Scores
    psnr_db: _Scores
    cambi: _Scores


def raw_file(path: Path, output: Output) -> list[str]:
    """Return the ffmpeg arguments that read a film's raw pictures from a file."""
    # All but its last argument, which is another source.
    return [*raw_input(output)[:-1], str(path)]


def likeness(film: Path, reference: Path, output: Output) -> Likeness:
    """Compare a film with as many raw pictures of its kind, one after another in a file."""
    # Both with the same colours stated: otherwise ffmpeg converts one to the other's.
    graph = f"[0:v]{on_time(output)}[film];[1:v]{on_time(output)}[reference];[film][reference]libvmaf=log_fmt=json"
    measured = f"{graph}:log_path={_LOG}:n_threads={os.cpu_count()}:feature=name=psnr|name=cambi"
    inputs = ["-i", str(film), *raw_file(reference, output)]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *inputs, "-lavfi", measured, "-f", "null", "-"]
    run(command, cwd=film.parent)
    pictures = [picture["metrics"] for picture in json.loads((film.parent / _LOG).read_text())["frames"]]
    vmaf, psnr, cambi = (np.array([each[name] for each in pictures]) for name in ("vmaf", "psnr_y", "cambi"))
    return Likeness(vmaf, psnr, cambi)
