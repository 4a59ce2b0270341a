"""Bounds on the making of one film: how much of it is worked on at once, and how long it may take."""

import os
from dataclasses import dataclass

from pipelines.storyboard.timeline import Timeline

_MAX_WORKERS = 8
# Over all workers together: eight pictures of 33 million pixels (8K) at a time would fill the memory.
_MAX_PIXELS_AT_WORK = 40_000_000
_CACHE_BYTES = 128 << 20
_MAX_CACHED_FRAMES = 96
# One encoder takes on no more segments than this: the other workers are to have something to do as well.
_MAX_BATCH = 16


@dataclass(frozen=True, slots=True)
class Capacity:
    """Bounds on the work that is done on one film at once.

    Attributes:
        workers: encoders that run side by side; each has one thread that renders its pictures.
        cached_frames: frames that are kept in memory as they were drawn.
        batch_size: segments that one encoder takes on at most.
    """

    workers: int
    cached_frames: int
    batch_size: int


def capacity_for(timeline: Timeline) -> Capacity:
    """Return what this machine can bear of a film, by its processors and the film's size."""
    size = timeline.output.size
    pixels = size.width * size.height
    workers = max(1, min(os.cpu_count() or 1, _MAX_WORKERS, _MAX_PIXELS_AT_WORK // pixels))
    # 4:2:0 takes 12 bits a pixel. A frame that moves is drawn at twice the film's width and height.
    frame_bytes = pixels * 3 // 2 * (4 if any(hold.motion for hold in timeline.holds) else 1)
    # A transition needs two frames at a time, so one more than there are workers is the least.
    cached_frames = max(workers + 1, min(_CACHE_BYTES // frame_bytes, _MAX_CACHED_FRAMES))
    # A longer batch would push frames out of the cache that its next segments need, and draw them twice.
    batch_size = max(1, min(_MAX_BATCH, cached_frames // workers))
    return Capacity(workers, cached_frames, batch_size)


def time_limit_s(timeline: Timeline) -> float:
    """Return the seconds after which a film is given up: a hundred times what a slow machine takes."""
    size = timeline.output.size
    megapixels = size.width * size.height / 1e6
    return 120 + megapixels * (10 * len(timeline.holds) + 3 * timeline.video_frames)
