"""A finished film read back: its packets counted and timed, whatever its header says."""

import heapq
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from pipelines.common.errors import FilmError
from pipelines.common.ffmpeg import file_url, running_ffmpeg
from pipelines.common.geometry import Size
from pipelines.common.imaging import measure_animation
from pipelines.common.picture_file import UnreadablePictureError

# Pictures that are predicted from later ones come behind them: more than three between two others no codec here has.
_MAX_EARLY = 8


@dataclass(frozen=True, slots=True)
class Film:
    """A finished film.

    Attributes:
        path: its file.
        video_frames: the number of its pictures.
        duration_s: exact time on screen, in seconds.
        size: in pixels.
        fps: exact; every picture is shown for 1/fps seconds.
    """

    path: Path
    video_frames: int
    duration_s: Fraction
    size: Size
    fps: Fraction


async def read_film(path: Path, *, fps: Fraction | None = None, name: Path | None = None) -> Film:
    """Read back the film at `path`: the time at which every packet is shown, and for how long.

    Args:
        path: the film.
        fps: its rate; where the clock of its format is too coarse for it, pictures may be a tick off their time.
        name: for the record and the messages, where the file has a temporary name.

    Raises:
        FilmError: it is not a film, or its pictures don't follow one another at a constant rate.
    """
    # framecrc prints a few lines on the track, then one a packet, after edit lists are applied:
    # `#tb 0: 1/12000`, `#dimensions 0: 1344x768`, `0, <dts>, <pts>, <duration>, <size>, <checksum>`.
    arguments = ["-i", file_url(path), "-map", "0:v:0", "-c", "copy", "-f", "framecrc", "-"]
    async with running_ffmpeg(arguments, folder=Path.cwd(), stdout=PIPE) as process:
        assert process.stdout is not None
        track = await _read_track(process.stdout, name or path, fps)
    if not track.video_frames:
        raise FilmError(f"{name or path}: holds no video; render again")
    length_s = track.length * track.tick_s
    return Film(name or path, track.video_frames, track.video_frames * length_s, track.size, 1 / length_s)


@dataclass(slots=True)
class _Track:
    """A film's video track, as far as it was read.

    Attributes:
        size: in pixels.
        tick_s: the unit of the file's clock, in seconds.
        length: of each video frame, in ticks; a fraction where the clock is too coarse for the film's rate.
        video_frames: packets so far, in the order in which they are shown.
        early: starts of packets that are shown later than some that are still to come, in ticks; a heap.
        decoded: when the last packet is decoded, in ticks.
    """

    size: Size
    tick_s: Fraction
    length: Fraction = Fraction(0)
    video_frames: int = 0
    early: list[int] = field(default_factory=list)
    decoded: int | None = None

    def add(self, decoded: int, start: int, duration: int) -> bool:
        """Take the next packet, in ticks; say whether it and those before it stand at their times."""
        if not self._is_near(duration, self.length) or (self.decoded is not None and decoded <= self.decoded):
            return False
        self.decoded = decoded
        heapq.heappush(self.early, start)
        while self.early and self._is_near(self.early[0], self.video_frames * self.length):
            heapq.heappop(self.early)
            self.video_frames += 1
        return len(self.early) <= _MAX_EARLY

    def _is_near(self, ticks: int, exact: Fraction) -> bool:
        # Rounding to a coarse clock takes a packet a tick off at most; a fine clock allows nothing.
        return abs(ticks - exact) <= (self.length.denominator > 1)


async def _read_track(lines: AsyncIterable[bytes], name: Path, fps: Fraction | None) -> _Track:
    track = _Track(Size(0, 0), Fraction(0))
    async for line in lines:
        match line.decode().split():
            case ["#tb", _, text]:
                track.tick_s = Fraction(text)
                ticks = 1 / (fps * track.tick_s) if fps else Fraction(0)
                track.length = ticks if ticks.denominator > 1 else Fraction(0)
            case ["#dimensions", _, text]:
                track.size = Size.parse(text)
            case ["0,", dts, pts, duration, *_]:
                # Where the clock is fine, the first packet says how long each has to be.
                track.length = track.length or Fraction(_ticks(duration))
                if not track.add(_ticks(dts), _ticks(pts), _ticks(duration)):
                    raise _out_of_time(name, track)
    if track.early:
        raise _out_of_time(name, track)
    return track


def _out_of_time(name: Path, track: _Track) -> FilmError:
    return FilmError(f"{name}: video frame {track.video_frames} does not stand at its time; render again")


def _ticks(column: str) -> int:
    return int(column.rstrip(","))


def read_animation(path: Path, *, fps: Fraction, name: Path) -> Film:
    """Read back an animated GIF or WebP.

    Equal pictures in a row are one there, shown for longer; so video frames are counted by the time.

    Raises:
        FilmError: it is not an animation, or damaged.
    """
    try:
        size, shown_ms = measure_animation(path)
    except UnreadablePictureError as exc:
        raise FilmError(f"{name}: cannot be read back: {exc}; render again") from exc
    video_frames = round(shown_ms * fps / 1000)
    return Film(name, video_frames, video_frames / fps, size, fps)
