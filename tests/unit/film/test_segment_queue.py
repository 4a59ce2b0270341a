"""Segments are ready once they have all their frames, and are handed out in the film's order, shared by the workers."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.film.capacity import Capacity
from pipelines.film.frame_picture import FramePicture
from pipelines.film.segment_queue import FrameArrivals, SegmentQueue
from pipelines.film.segments import Segment, cut_segments
from tests.support.film_samples import timeline_of

A, B = FramePicture(Path("a.png")), FramePicture(Path("b.png"))


def dissolved_segments() -> list[Segment]:
    """Return the segments of two holds and the dissolve between them."""
    timeline = timeline_of([60, 60])
    return cut_segments(
        replace(timeline, holds=(replace(timeline.holds[0], transition="dissolve", half=4), timeline.holds[1]))
    )


def test_a_segment_is_complete_with_its_last_frame() -> None:
    """A transition waits for both of its frames."""
    arrivals = FrameArrivals(dissolved_segments())

    assert [arrivals.add(1, B), arrivals.add(0, A)] == [[2], [0, 1]]
    assert arrivals.pictures == {0: A, 1: B}


def test_a_frame_that_comes_again_completes_its_segments_again() -> None:
    """With the picture that it has now."""
    arrivals = FrameArrivals(dissolved_segments())
    arrivals.add(0, A)
    arrivals.add(1, A)

    assert arrivals.add(1, B) == [1, 2]
    assert arrivals.pictures == {0: A, 1: B}


def test_a_frame_of_no_segment_completes_none() -> None:
    """As of a storyboard that has changed meanwhile."""
    assert FrameArrivals(dissolved_segments()).add(9, A) == []


@pytest.mark.parametrize(
    ("workers", "batch_size", "batches"),
    [
        (1, 16, [[0, 1, 2, 3, 4, 5, 6]]),
        (1, 3, [[0, 1, 2], [3, 4, 5], [6]]),
        (2, 16, [[0, 1, 2], [3, 4], [5], [6]]),
        (8, 16, [[0], [1], [2], [3], [4], [5], [6]]),
    ],
)
async def test_a_worker_takes_its_share_of_the_queue(workers: int, batch_size: int, batches: list[list[int]]) -> None:
    """The film's first segments first; never more than a batch may hold."""
    queue = SegmentQueue(Capacity(workers, 96, batch_size))
    queue.put([6, 2, 4, 0, 1, 3, 5])

    taken = []
    while len(queue):
        taken.append(await queue.take())

    assert taken == batches
