"""What a film file really holds: its packets counted and timed, not what its header says."""

import asyncio
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pipelines.aspect import Size
from pipelines.errors import FilmError
from pipelines.film.ffmpeg import file_url, running_ffmpeg


@dataclass(frozen=True, slots=True)
class Film:
    """A finished film.

    Attributes:
        path: the MP4.
        video_frames: pictures in it.
        duration_s: exact time on screen, in seconds.
        size: in pixels.
        fps: exact; every picture stands for 1/fps seconds.
    """

    path: Path
    video_frames: int
    duration_s: Fraction
    size: Size
    fps: Fraction


def probe_film(path: Path) -> Film:
    """Read what the film at `path` holds; for callers without an event loop, else see `read_film`.

    Raises:
        FilmError: it is no film, or its pictures don't follow one another at a constant rate.
    """
    return asyncio.run(read_film(path))


async def read_film(path: Path) -> Film:
    """Read what the film at `path` holds: every packet's time and length, in presentation.

    Raises:
        FilmError: it is no film, or its pictures don't follow one another at a constant rate.
    """
    # framecrc prints one line a packet, after edit lists are applied.
    arguments = ["-i", file_url(path), "-map", "0:v:0", "-c", "copy", "-f", "framecrc", "-"]
    async with running_ffmpeg(arguments, folder=Path.cwd(), stdout=PIPE) as process:
        assert process.stdout is not None
        return await _read_track(process.stdout, path)


async def _read_track(lines: AsyncIterable[bytes], path: Path) -> Film:
    size, tick_s, length, video_frames = Size(0, 0), Fraction(0), 0, 0
    async for line in lines:
        match line.decode().split():
            case ["#tb", _, text]:
                tick_s = Fraction(text)
            case ["#dimensions", _, text]:
                size = Size.parse(text)
            case ["0,", _, pts, duration, *_]:
                length = length or _ticks(duration)
                if (_ticks(pts), _ticks(duration)) != (video_frames * length, length):
                    raise FilmError(f"{path}: video frame {video_frames} does not stand at its time; render again")
                video_frames += 1
    if not length:
        raise FilmError(f"{path}: holds no video; render again")
    return Film(path, video_frames, video_frames * length * tick_s, size, 1 / (length * tick_s))


def _ticks(column: str) -> int:
    return int(column.rstrip(","))
