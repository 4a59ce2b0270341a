"""Segments are encoded side by side, by no more encoders than the machine bears, and none of them twice."""

import asyncio
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path

from pipelines.common.background import lower_priority
from pipelines.common.files import storage_errors
from pipelines.film.capacity import Capacity
from pipelines.film.copies import Copies, encode_copies
from pipelines.film.effort import FilmObserver, megapixels
from pipelines.film.identity import piece_name
from pipelines.film.painting import FrameCache, FrameRenderer, ReadFrame
from pipelines.film.pieces import EncodeContext, Piece, batches, encode_batch
from pipelines.film.segment_queue import SegmentQueue
from pipelines.film.segments import FramePaths, Segment
from pipelines.storyboard.model import Output
from pipelines.storyboard.presets import encoding_of
from pipelines.storyboard.timeline import Timeline


class EncodingPool:
    """The encoders of one film, and the folder in which their pieces are kept.

    A piece is a file named by all that goes into it, so one that is there need not be encoded.
    """

    def __init__(
        self,
        timeline: Timeline,
        folder: Path,
        capacity: Capacity,
        *,
        observer: FilmObserver,
        read: ReadFrame,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timeline = timeline
        self._folder = folder
        self._capacity = capacity
        self._observer = observer
        self._clock = clock
        self._reported: set[Path] = set()
        self._slots = asyncio.Semaphore(capacity.workers)
        self._threads = ThreadPoolExecutor(capacity.workers, "frame-renderer", initializer=lower_priority)
        self._locks: defaultdict[Path, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._cache = FrameCache(timeline.output, kept=capacity.cached_frames, read=read)
        self._context_lock = asyncio.Lock()
        self._context: EncodeContext | None = None

    def close(self) -> None:
        """Wait for the threads to end; nothing can be encoded after that."""
        self._threads.shutdown()

    def piece_path(self, segment: Segment, frames: FramePaths) -> Path:
        """Return the file that holds a segment once it is encoded, given the pictures of its frames.

        Raises:
            FilmError: one of the pictures is gone.
        """
        return self._folder / piece_name(segment, self._timeline, frames)

    async def encode_all(self, pieces: Sequence[Piece], frames: FramePaths) -> None:
        """Encode every piece that is not there; the first failure ends the others.

        Raises:
            FilmError: a frame cannot be read, or ffmpeg failed.
            StorageError: a piece could not be written.
        """
        queue = SegmentQueue(self._capacity)
        for number, piece in enumerate(pieces):
            if piece.path.is_file():
                self._report(piece)
            else:
                queue.put([number])

        async def work() -> None:
            while len(queue):
                await self.encode([pieces[number].segment for number in await queue.take()], frames)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._capacity.workers):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            # Not with except*: what is raised in such a block comes out as a group again.
            raise errors.exceptions[0] from None

    async def encode(self, segments: Sequence[Segment], frames: FramePaths) -> None:
        """Encode segments, but for those whose piece is there; where another call encodes one now, wait for it.

        Raises:
            FilmError: a frame cannot be read, or ffmpeg failed.
            StorageError: a piece could not be written.
        """
        # Named at this moment, not when they were queued: a picture may have been replaced since.
        pieces = {path: Piece(segment, path) for segment in segments for path in [self.piece_path(segment, frames)]}
        async with AsyncExitStack() as held:
            # All calls lock in the same order, so two of them never wait for each other.
            for path in sorted(pieces):
                await held.enter_async_context(self._locks[path])
            # The slot comes last: a call that waits for a lock must not keep an encoder from working.
            await held.enter_async_context(self._slots)
            missing = [piece for path, piece in pieces.items() if not path.is_file()]
            if missing:
                await self._encode_batches(missing, frames)
            for piece in pieces.values():
                self._report(piece)

    async def _encode_batches(self, pieces: Sequence[Piece], frames: FramePaths) -> None:
        context, renderer = await self._shared_context(), FrameRenderer(self._cache, frames)
        for batch in batches(pieces, context):
            with storage_errors(self._folder), tempfile.TemporaryDirectory(prefix="storyreel-") as folder:
                await encode_batch(
                    batch, context=context, renderer=renderer, folder=Path(folder), on_encoded=self._timed_report()
                )

    async def _shared_context(self) -> EncodeContext:
        """Return what all pieces share; made by the first call, for which the others wait."""
        async with self._context_lock:
            if self._context is None:
                output = self._timeline.output
                self._context = EncodeContext(output, self._timeline.captions, await _copies(output), self._threads)
        return self._context

    def _timed_report(self) -> Callable[[Piece], None]:
        """Return a function that reports each piece of a batch, with the time since the one before it."""
        before = self._clock()

        def report(piece: Piece) -> None:
            nonlocal before
            now = self._clock()
            self._report(piece, seconds=now - before)
            before = now

        return report

    def _report(self, piece: Piece, *, seconds: float | None = None) -> None:
        """Tell the observer of a piece that is there, once for each."""
        if piece.path not in self._reported:
            self._reported.add(piece.path)
            self._observer.segment_encoded(megapixels(piece.segment, self._timeline.output), seconds)


async def _copies(output: Output) -> Copies | None:
    if encoding_of(output.codec).piece != "h264":
        return None
    with storage_errors(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory(prefix="storyreel-") as folder:
        return await encode_copies(output, folder=Path(folder))
