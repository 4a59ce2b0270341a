"""Segments are encoded side by side, by no more encoders than the machine bears, and none of them twice."""

import asyncio
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.common.background import lower_priority
from pipelines.common.ffmpeg import ffmpeg_build
from pipelines.common.files import storage_errors
from pipelines.common.quality import Quality
from pipelines.film.capacity import Capacity
from pipelines.film.claims import PieceClaims
from pipelines.film.copies import Copies, encode_copies
from pipelines.film.effort import FilmObserver, megapixels
from pipelines.film.encoding import is_draft
from pipelines.film.frame_picture import FramePictures, hash_pictures
from pipelines.film.identity import piece_name
from pipelines.film.painting import FrameCache, FrameRenderer, ReadFrame
from pipelines.film.pieces import EncodeContext, Piece, batches, encode_batch
from pipelines.film.segment_queue import SegmentQueue
from pipelines.film.segments import Segment
from pipelines.storyboard.model import Output
from pipelines.storyboard.presets import encoding_of
from pipelines.storyboard.timeline import Timeline

# How often other runs' pieces are asked for.
_ASK_AGAIN_S = 1.0
# As long after another run had it, a piece may be there, and a shared folder not show it.
_LATE_S = 5.0


@dataclass(frozen=True, slots=True)
class Timing:
    """How waits are made and measured, in seconds."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic


class EncodingPool:
    """The encoders of one film, and the folder in which their pieces are kept.

    A piece is a file named by all that goes into it, so one that is there need not be encoded; on every machine it has
    the same name.
    """

    def __init__(
        self,
        timeline: Timeline,
        folder: Path,
        capacity: Capacity,
        *,
        observer: FilmObserver,
        read: ReadFrame,
        claims: PieceClaims,
        timing: Timing | None = None,
    ) -> None:
        self._timeline = timeline
        self._folder = folder
        self._capacity = capacity
        self._observer = observer
        self._claims = claims
        self._timing = timing or Timing()
        # When another run was last known to encode a piece, by its name.
        self._held_elsewhere: dict[str, float] = {}
        self._reported: set[int] = set()
        self._slots = asyncio.Semaphore(capacity.workers)
        self._threads = ThreadPoolExecutor(capacity.workers, "frame-renderer", initializer=lower_priority)
        self._locks: defaultdict[Path, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._cache = FrameCache(timeline.output, kept=capacity.cached_frames, read=read)
        self._context_lock = asyncio.Lock()
        self._context: EncodeContext | None = None

    def close(self) -> None:
        """Wait for the threads to end; nothing can be encoded after that."""
        self._threads.shutdown()

    async def name_pieces(self, segments: Sequence[Segment], frames: FramePictures) -> list[Piece]:
        """Return the piece of each segment, given the pictures of its frames.

        Of a draft, those that are there as the final film has them are these.

        Raises:
            FilmError: ffmpeg is missing or does not run, or a font is gone.
        """
        # In a thread: ffmpeg is asked for its build, and fonts are read.
        return await asyncio.to_thread(self._name_pieces, segments, frames)

    def _name_pieces(self, segments: Sequence[Segment], frames: FramePictures) -> list[Piece]:
        build, output = ffmpeg_build(), self._timeline.output
        final = replace(self._timeline, output=replace(output, quality=Quality.FINAL))

        def piece_of(segment: Segment) -> Piece:
            path = self._folder / piece_name(segment, final, frames, build=build)
            # A piece of the final film that is there is better than a draft of it, and sooner there.
            if not is_draft(output, segment.kind) or path.is_file():
                return Piece(segment, path)
            return Piece(segment, self._folder / piece_name(segment, self._timeline, frames, build=build), draft=True)

        return [piece_of(segment) for segment in segments]

    async def encode_all(self, pieces: Sequence[Piece], frames: FramePictures) -> None:
        """Encode every piece that is not there, and wait for those that other runs encode; the first failure ends it.

        What another run was to encode and did not is encoded here in the end.

        Raises:
            FilmError: a frame cannot be read, or ffmpeg failed.
            StorageError: a piece could not be written.
        """
        # It may have been written just now, and the folder not show it yet.
        self._held_elsewhere = dict.fromkeys(self._held_elsewhere, self._timing.clock())
        left = await self._encode_round(pieces, frames)
        while left:
            await self._timing.sleep(_ASK_AGAIN_S)
            left = await self._encode_round(left, frames)

    async def _encode_round(self, pieces: Sequence[Piece], frames: FramePictures) -> list[Piece]:
        """Encode those pieces that are not there, but for those that other runs encode; return these."""
        there = await asyncio.to_thread(self._list_folder)
        queue = SegmentQueue(self._capacity)
        for number, piece in enumerate(pieces):
            if piece.path.name in there:
                self._report(piece)
            else:
                queue.put([number])
        left: list[Piece] = []

        async def work() -> None:
            while len(queue):
                left.extend(await self._encode([pieces[number] for number in await queue.take()], frames))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._capacity.workers):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            # Not with except*: what is raised in such a block comes out as a group again.
            raise errors.exceptions[0] from None
        return left

    def _list_folder(self) -> frozenset[str]:
        # A listing: that a single file is not there, a network file system may say again without looking again.
        try:
            with os.scandir(self._folder) as entries:
                return frozenset(entry.name for entry in entries)
        except OSError:
            # It is made with the first piece; where it cannot be read, that is told as pieces are written.
            return frozenset()

    async def encode(self, segments: Sequence[Segment], frames: FramePictures) -> None:
        """Encode segments, but for those whose piece is there, or is being encoded by another run.

        Where another call encodes one now, wait for it.

        Raises:
            FilmError: a frame cannot be read, or ffmpeg failed.
            StorageError: a piece could not be written.
        """
        # As they are at this moment, not when they were queued, nor later: a picture may be replaced at any time.
        pictures = {frame: frames[frame] for segment in segments for frame in segment.frames}
        shown = dict(zip(pictures, await hash_pictures(pictures.values()), strict=True))
        await self._encode(await self.name_pieces(segments, shown), shown)

    async def _encode(self, pieces: Sequence[Piece], frames: FramePictures) -> list[Piece]:
        """Encode pieces, but for those that are there; return those that are left to other runs."""
        distinct = {piece.path: piece for piece in pieces}
        async with AsyncExitStack() as held:
            # All calls lock in the same order, so two of them never wait for each other.
            for path in sorted(distinct):
                await held.enter_async_context(self._locks[path])
            # The slot comes last: a call that waits for a lock must not keep an encoder from working.
            await held.enter_async_context(self._slots)
            missing = [piece for path, piece in distinct.items() if not path.is_file()]
            if missing:
                await self._encode_claimed(missing, frames)
        left = {piece.path for piece in missing if not piece.path.is_file()}
        for piece in pieces:
            if piece.path not in left:
                self._report(piece)
        return [piece for piece in pieces if piece.path in left]

    async def _encode_claimed(self, pieces: Sequence[Piece], frames: FramePictures) -> None:
        """Encode those pieces that no other run encodes, nor may have written just now."""
        async with self._claimed(pieces) as claimed:
            # Looked for again: another run may have written it since, and released it before it was claimed here.
            missing = [piece for piece in claimed if not piece.path.is_file()]
            if due := [piece for piece in missing if not self._may_be_late(piece)]:
                await self._encode_batches(due, frames)

    @asynccontextmanager
    async def _claimed(self, pieces: Sequence[Piece]) -> AsyncIterator[list[Piece]]:
        """Claim pieces for as long as the block lasts; yield those that were granted."""
        granted = await self._claims.claim([piece.path.name for piece in pieces])
        try:
            claimed = [piece for piece in pieces if piece.path.name in granted]
            elsewhere = {piece.path.name for piece in pieces} - granted
            self._held_elsewhere |= dict.fromkeys(elsewhere, self._timing.clock())
            yield claimed
        finally:
            if granted:
                await self._claims.release(sorted(granted))

    def _may_be_late(self, piece: Piece) -> bool:
        """Say whether another run may have written a piece so shortly ago that the folder does not show it yet."""
        held_at = self._held_elsewhere.get(piece.path.name)
        return held_at is not None and self._timing.clock() < held_at + _LATE_S

    async def _encode_batches(self, pieces: Sequence[Piece], frames: FramePictures) -> None:
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
        before = self._timing.clock()

        def report(piece: Piece) -> None:
            nonlocal before
            now = self._timing.clock()
            self._report(piece, seconds=now - before)
            before = now

        return report

    def _report(self, piece: Piece, *, seconds: float | None = None) -> None:
        """Tell the observer of a segment whose piece is there, once for each."""
        # Not once for each piece: segments that show the same share one.
        if piece.segment.start not in self._reported:
            self._reported.add(piece.segment.start)
            self._observer.segment_encoded(megapixels(piece.segment, self._timeline.output), seconds)


async def _copies(output: Output) -> Copies | None:
    if encoding_of(output.codec).piece != "h264":
        return None
    with storage_errors(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory(prefix="storyreel-") as folder:
        return await encode_copies(output, folder=Path(folder))
