"""Timeline + frames -> MP4: stills are encoded, spliced to their holds, and muxed with title and chapters."""

import asyncio
import tempfile
from asyncio.subprocess import PIPE
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.errors import FilmError
from pipelines.files import atomic_path
from pipelines.film.encoding import rate
from pipelines.film.ffmpeg import file_url, require_encoder, running_ffmpeg
from pipelines.film.identity import film_identity, identity_mark, read_identity
from pipelines.film.metadata import film_metadata
from pipelines.film.pictures import require_fitting
from pipelines.film.probe import Film, read_film
from pipelines.film.stills import encode_copies, write_stills
from pipelines.plan import Timeline

__all__ = ["Film", "assemble_film", "cut_film", "require_encoder"]

# Players round what they show to the file's own clock: make it fine, and a whole multiple of the video frame.
_CLOCK_MIN_HZ = 10_000


def assemble_film(timeline: Timeline, frames: Sequence[Path], target: Path) -> Film:
    """Cut the film; see `cut_film`. For callers without an event loop, or from a thread of their own."""
    return asyncio.run(cut_film(timeline, frames, target))


async def cut_film(timeline: Timeline, frames: Sequence[Path], target: Path, *, limit_s: float | None = None) -> Film:
    """Make the MP4 of `timeline` at `target`, whole or not at all, and check it against the timeline.

    Args:
        timeline: which frame is on screen for how many video frames, and the film's size, rate and quality.
        frames: PNG files; `frames[n]` is frame number n. Sizes and pixel formats may differ.
        target: where the film goes; its folder is made. Cancelling leaves it as it was. A film that stands there
            already and would come out the same is left as it is.
        limit_s: seconds to give up after; by default a bound that grows with the work.

    Raises:
        FilmError: a frame cannot be read, ffmpeg is missing, fails or takes far too long, or the film differs from
            the timeline.
        StorageError: the film could not be written.
    """
    await asyncio.to_thread(require_encoder, timeline.output.codec)
    identity = await asyncio.to_thread(film_identity, timeline, frames)
    if await asyncio.to_thread(read_identity, target) == identity:
        return _planned(timeline, target)
    await asyncio.to_thread(require_fitting, frames, timeline.output)
    limit_s = limit_s or _time_limit_s(timeline)
    with atomic_path(target) as temporary, tempfile.TemporaryDirectory(prefix="storyreel-") as folder:
        try:
            async with asyncio.timeout(limit_s):
                await _write_film(timeline, frames, temporary, folder=Path(folder), comment=identity_mark(identity))
                film = await read_film(temporary, name=target)
        except TimeoutError as exc:
            raise FilmError(f"{target}: not finished after {limit_s:.0f} s; is the machine overloaded?") from exc
        _require_as_planned(film, timeline)
    return film


async def _write_film(timeline: Timeline, frames: Sequence[Path], path: Path, *, folder: Path, comment: str) -> None:
    (folder / "metadata.txt").write_text(film_metadata(timeline, comment=comment), encoding="utf-8")
    copies = await encode_copies(timeline.output, timeline.holds, folder=folder)
    async with running_ffmpeg(_mux_arguments(timeline, path), folder=folder, stdin=PIPE) as muxer:
        assert muxer.stdin is not None
        await write_stills(frames, timeline.holds, timeline.output, copies=copies, sink=muxer.stdin, folder=folder)


def _mux_arguments(timeline: Timeline, path: Path) -> list[str]:
    fps = timeline.output.fps
    clock_hz = fps.numerator * -(-_CLOCK_MIN_HZ // fps.numerator)
    # Delimiters, x264's notes and repeated headers go: an MP4 keeps the headers once, on its own.
    lean = "filter_units=remove_types=6-9"
    times = f"setts=pts=N:dts=N:duration=1:time_base={fps.denominator}/{fps.numerator}"
    return [
        *("-r", rate(fps), "-f", "h264", "-i", "pipe:0"),
        *("-f", "ffmetadata", "-i", "metadata.txt", "-map", "0:v", "-map_metadata", "1", "-map_chapters", "1"),
        *("-c", "copy", "-bsf:v", f"{lean},{times}"),
        *("-video_track_timescale", str(clock_hz), "-movie_timescale", str(clock_hz)),
        *("-movflags", "+faststart", "-f", "mp4", file_url(path)),
    ]


def _time_limit_s(timeline: Timeline) -> float:
    """Return a generous bound: a hundred times what a slow machine takes."""
    size = timeline.output.size
    megapixels = size.width * size.height / 1e6
    return 120 + megapixels * (10 * len(timeline.holds) + 0.1 * timeline.video_frames)


def _require_as_planned(film: Film, timeline: Timeline) -> None:
    differences = list(_differences(film, timeline))
    if differences:
        raise FilmError(f"{film.path}: is not what was planned: {'; '.join(differences)}")


def _planned(timeline: Timeline, path: Path) -> Film:
    return Film(path, timeline.video_frames, timeline.duration_s, timeline.output.size, timeline.output.fps)


def _differences(film: Film, timeline: Timeline) -> Iterator[str]:
    planned = _planned(timeline, film.path)
    for name in ("video_frames", "duration_s", "size", "fps"):
        expected, found = getattr(planned, name), getattr(film, name)
        if expected != found:
            yield f"{name} should be {expected}, is {found}"
