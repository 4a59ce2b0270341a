"""The effort of encoding: segments weighed against each other, and an observer that hears how far it has come."""

from collections.abc import Collection, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from pipelines.common.errors import FilmError
from pipelines.common.ffmpeg import ffmpeg_build
from pipelines.film.frame_picture import FramePicture
from pipelines.film.identity import piece_name
from pipelines.film.segments import Morph, Part, Segment, Stay, cut_segments
from pipelines.storyboard.model import Output, SmoothMethod
from pipelines.storyboard.timeline import Timeline

# In pictures of a frame that moves. A still is drawn anew and encoded without reference to any other picture, its next
# caption as a change of it; following what moves costs minterpolate many times what the encoder takes.
_STILL = 5
_CHANGE = 1
_FOLLOWED = 12
# Of one of the encoders that run side by side on a machine of two processors; others take a half or the double of it.
SECONDS_PER_MEGAPIXEL = 0.03


class FilmObserver(Protocol):
    """Hears how the making of films goes on, in the event loop that makes them."""

    def segment_encoded(self, megapixels: float, seconds: float | None) -> None:
        """A segment of so many megapixels is there, after so many seconds of an encoder; None where it was before."""

    def joining(self, film: Path) -> None:
        """All segments of a film are there, and become its file now."""


class Unobserved:
    """An observer for films that nothing watches."""

    def segment_encoded(self, megapixels: float, seconds: float | None) -> None:
        """Ignore it."""

    def joining(self, film: Path) -> None:
        """Ignore it."""


def megapixels(segment: Segment, output: Output) -> float:
    """Return the effort of encoding a segment, in megapixels of moving pictures that take as long."""
    pictures = sum(_pictures(part, before) for before, part in pairwise([None, *segment.parts]) if part)
    return pictures * output.size.width * output.size.height / 1e6


def effort_left(timeline: Timeline, folder: Path, pictures: Mapping[int, FramePicture]) -> float:
    """Return the effort of encoding those segments of a film whose pieces are not there, in megapixels. Blocking.

    Args:
        timeline: the film.
        folder: where its pieces are kept.
        pictures: those of the frames that have one, by the frame's number.
    """
    there = {path.name for path in folder.glob("[!.]*")}
    segments = cut_segments(timeline)
    left = [segment for segment in segments if not _is_among(there, segment, timeline, pictures)]
    return sum(megapixels(segment, timeline.output) for segment in left)


def _is_among(
    pieces: Collection[str], segment: Segment, timeline: Timeline, pictures: Mapping[int, FramePicture]
) -> bool:
    # Without pieces nothing is asked of ffmpeg, nor read of pictures.
    if not pieces or not all(frame in pictures for frame in segment.frames):
        return False
    try:
        return piece_name(segment, timeline, pictures, build=ffmpeg_build()) in pieces
    except FilmError:
        return False


def _pictures(part: Part, before: Part | None) -> int:
    match part:
        case Stay(still=True, shown=shown):
            return _CHANGE if isinstance(before, Stay) and before.shown == shown else _STILL
        case Morph(smooth=smooth) if smooth.method is SmoothMethod.MOTION:
            return _FOLLOWED * part.length
        case _:
            return part.length
