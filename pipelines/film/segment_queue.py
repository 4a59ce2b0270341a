"""The order of encoding: which segments have all their frames, and which of them an encoder takes on next."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence

from pipelines.film.capacity import Capacity
from pipelines.film.frame_picture import FramePicture
from pipelines.film.segments import Segment


class FrameArrivals:
    """The frames of a film that have a picture, and the segments that they complete.

    Attributes:
        pictures: that of each frame that has arrived, by the frame's number.
    """

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.pictures: dict[int, FramePicture] = {}
        self._missing_frames = [set(segment.frames) for segment in segments]
        # The other way round, so that a frame does not look at every segment of a long film.
        self._segments_with: defaultdict[int, list[int]] = defaultdict(list)
        for number, frames in enumerate(self._missing_frames):
            for frame in frames:
                self._segments_with[frame].append(number)

    def add(self, frame: int, picture: FramePicture) -> list[int]:
        """Take note of a frame's picture; return the numbers of those segments with the frame that are complete now.

        A frame may come again with another picture; its segments are then returned again.
        """
        self.pictures[frame] = picture
        numbers = self._segments_with[frame]
        for number in numbers:
            self._missing_frames[number].discard(frame)
        return [number for number in numbers if not self._missing_frames[number]]


class SegmentQueue:
    """The numbers of segments that are ready to be encoded, handed out in batches, the film's first ones first."""

    def __init__(self, capacity: Capacity) -> None:
        self._capacity = capacity
        self._numbers: asyncio.PriorityQueue[int] = asyncio.PriorityQueue()

    def __len__(self) -> int:
        return self._numbers.qsize()

    def put(self, numbers: Iterable[int]) -> None:
        """Add segments by their numbers."""
        for number in numbers:
            self._numbers.put_nowait(number)

    async def take(self) -> list[int]:
        """Wait for a segment; return its number and those of the others that the same encoder should take on.

        Where the queue is not empty, this returns without giving way to other tasks.
        """
        first = await self._numbers.get()
        # Each worker gets its share, so that none waits while another has a long batch before it.
        share = min(self._capacity.batch_size, (len(self) + 1) // self._capacity.workers)
        return [first, *(self._numbers.get_nowait() for _ in range(share - 1))]
