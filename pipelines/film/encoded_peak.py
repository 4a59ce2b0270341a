"""The peak of an encoded sound, as a player makes it: encoders add to the peaks of what they are given."""

import asyncio
from asyncio.subprocess import PIPE
from pathlib import Path

import numpy as np

from pipelines.common.ffmpeg import file_url, running_ffmpeg
from pipelines.film.loudness import REACH, peaks
from pipelines.film.resampling import Samples
from pipelines.film.sound_files import SAMPLES
from pipelines.film.stems import CHUNK, SIDES


async def encoded_peak(file: Path, *, least: float) -> float:
    """Return the highest peak of a sound file, as a factor.

    Args:
        file: a sound that ffmpeg has written.
        least: peaks that are lower may come out somewhat too low.

    Raises:
        FilmError: ffmpeg failed.
    """
    before, highest = np.zeros((2 * REACH, SIDES), np.float32), 0.0

    def measure(samples: Samples) -> float:
        # The last block is filled up with silence, in which the last peak dies away.
        filled = np.pad(samples, ((0, CHUNK + 2 * REACH - len(samples)), (0, 0)))
        return float(peaks(filled, least=least).max())

    async with running_ffmpeg(["-i", file_url(file), *SAMPLES, "-"], folder=Path.cwd(), stdout=PIPE) as decoder:
        assert decoder.stdout is not None
        while raw := await _read_up_to(decoder.stdout, CHUNK * SIDES * 4):
            samples = np.concatenate([before, np.frombuffer(raw, "<f4").reshape(-1, SIDES)])
            highest = max(highest, await asyncio.to_thread(measure, samples))
            before = samples[-2 * REACH :]
    return highest


async def _read_up_to(stream: asyncio.StreamReader, size: int) -> bytes:
    try:
        return await stream.readexactly(size)
    except asyncio.IncompleteReadError as exc:
        return exc.partial
