"""Timeline + frames -> film: segments are encoded as their frames come, by a bounded pool, and joined in the end."""

import asyncio
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from pipelines.common.background import lower_priority
from pipelines.common.errors import FilmError, StorageError
from pipelines.common.files import atomic_path, storage_errors
from pipelines.common.geometry import Fit
from pipelines.film.copies import Copies, encode_copies
from pipelines.film.encoding import encoder_arguments
from pipelines.film.ffmpeg import require_encoder
from pipelines.film.identity import film_identity, frame_identity, identity_mark, mark_end, read_identity
from pipelines.film.joining import JoinInput, join_pieces
from pipelines.film.painting import FrameCache, FrameRenderer, ReadFrame, read_frame, require_size
from pipelines.film.pieces import EncodeContext, Piece, batches, encode_batch
from pipelines.film.probe import Film, read_animation, read_film
from pipelines.film.segments import Segment, cut_segments
from pipelines.film.sound import MixedSound, mixed_sound
from pipelines.storyboard.model import Output
from pipelines.storyboard.presets import encoding_of
from pipelines.storyboard.timeline import Timeline

__all__ = ["Film", "FilmAssembler", "assemble_film", "cut_film", "require_encoder"]

# The picture of each frame by its number: all of them, or those that are there.
Frames = Sequence[Path] | Mapping[int, Path]

_MOST_WORKERS = 8
# What may be in the works at once, in pixels: pictures of 33 million each must not be eight at a time.
_PIXELS_AT_WORK = 40_000_000
_DRAWINGS_BYTES = 128 << 20
_MOST_DRAWINGS = 96
# One encoder for so many segments at most: the others of the pool shall have something to do as well.
_MOST_TOGETHER = 16


def assemble_film(timeline: Timeline, frames: Sequence[Path], target: Path) -> Film:
    """Cut the film; see `cut_film`. For callers without an event loop, or from a thread of their own."""
    return asyncio.run(cut_film(timeline, frames, target))


async def cut_film(
    timeline: Timeline,
    frames: Sequence[Path],
    target: Path,
    *,
    segments: Path | None = None,
    limit_s: float | None = None,
) -> Film:
    """Make the film of `timeline` at `target`, whole or not at all, and check it against the timeline.

    Args:
        timeline: which frame is on screen when and how, and the film's size, rate and quality.
        frames: PNG files; `frames[n]` is frame number n. Sizes and pixel formats may differ.
        target: where the film goes; its folder is made. Cancelling leaves it as it was. A film that stands there
            already and would come out the same is left as it is.
        segments: a folder that keeps encoded pieces for another time; by default none are kept.
        limit_s: seconds to give up after; by default a bound that grows with the work.

    Raises:
        FilmError: a frame cannot be read, ffmpeg is missing, fails or takes far too long, or the film differs from
            the timeline.
        StorageError: the film could not be written.
    """
    with storage_errors(target), tempfile.TemporaryDirectory(prefix="storyreel-") as folder:
        async with FilmAssembler(timeline, segments or Path(folder)) as cutter:
            return await cutter.cut(frames, target, limit_s=limit_s)


class FilmAssembler:
    """Cuts one film. Tell it of frames as they come, and it encodes what they complete; then let it cut the film.

    Pieces are kept in a folder under the hash of all that went into them, so that no piece is encoded twice.
    """

    def __init__(
        self,
        timeline: Timeline,
        folder: Path,
        *,
        told: Callable[[], None] = lambda: None,
        read: ReadFrame = read_frame,
    ) -> None:
        """Prepare to cut a film.

        Args:
            timeline: what to cut.
            folder: where its pieces are kept.
            told: called for each segment whose piece is there.
            read: reads a frame; called from several threads at once.
        """
        self._timeline = timeline
        self._folder = folder
        self._told = told
        self._segments = cut_segments(timeline)
        self._ready: set[Path] = set()
        self._workers = _workers(timeline)
        self._room = asyncio.Semaphore(self._workers)
        self._threads = ThreadPoolExecutor(self._workers, "painter", initializer=lower_priority)
        self._locks: defaultdict[Path, asyncio.Lock] = defaultdict(asyncio.Lock)
        kept = _drawings(timeline, self._workers)
        self._drawings = FrameCache(timeline.output, kept=kept, read=read)
        # No more than can be painted without drawing a frame twice.
        self._most_together = max(1, min(_MOST_TOGETHER, kept // self._workers))
        self._mixing = asyncio.Lock()
        self._crafting = asyncio.Lock()
        self._craft: EncodeContext | None = None
        # What the film was made of, once it is cut.
        self.used: set[Path] = set()
        self._present: dict[int, Path] = {}
        self._complete: asyncio.PriorityQueue[int] = asyncio.PriorityQueue()
        self._early: list[asyncio.Task[None]] = []
        self._waiting = {number: set(segment.frames) for number, segment in enumerate(self._segments)}
        self._awaited_by: defaultdict[int, list[int]] = defaultdict(list)
        for number, frames in self._waiting.items():
            for frame in frames:
                self._awaited_by[frame].append(number)

    async def __aenter__(self) -> Self:
        encoding = [self._encode_early() for _ in range(self._workers)]
        self._early = [asyncio.create_task(work) for work in (*encoding, self._mix_early())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._early:
            task.cancel()
        await asyncio.gather(*self._early, return_exceptions=True)
        self._threads.shutdown()

    def __len__(self) -> int:
        return len(self._segments)

    def arrived(self, frame: int, path: Path) -> None:
        """Take note of a frame's picture; segments that lack no other are encoded in the background.

        What goes wrong there is met again, and told, when the film is cut.
        """
        self._present[frame] = path
        for number in self._awaited_by[frame]:
            self._waiting[number].discard(frame)
            if not self._waiting[number]:
                self._complete.put_nowait(number)

    async def cut(self, frames: Sequence[Path], target: Path, *, limit_s: float | None = None) -> Film:
        """Make the film at `target`; see `cut_film`."""
        timeline = self._timeline
        await asyncio.to_thread(require_encoder, timeline.output.codec)
        limit_s = limit_s or _time_limit_s(timeline)
        try:
            async with asyncio.timeout(limit_s):
                return await self._cut(frames, target)
        except TimeoutError as exc:
            raise FilmError(f"{target}: not finished after {limit_s:.0f} s; is the machine overloaded?") from exc

    async def _cut(self, frames: Sequence[Path], target: Path) -> Film:
        timeline = self._timeline
        pieces = [self._path(segment, frames) for segment in self._segments]
        sound = mixed_sound(timeline, self._folder)
        self.used = {*pieces, *([sound.path] if sound else ())}
        identity = film_identity(timeline, pieces, sound.path if sound else None)
        if await asyncio.to_thread(read_identity, target) == identity:
            return _planned(timeline, target)
        if timeline.output.fit is Fit.ERROR:
            await asyncio.to_thread(require_size, frames, timeline.output.size)
        with storage_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        await self._encode_missing(pieces, frames)
        if sound:
            await self._mix(sound)
        reel = JoinInput(self._segments, pieces, sound.path if sound else None)
        try:
            return await self._join(reel, target, comment=identity_mark(identity))
        except FilmError:
            # One of them may not be what its name says: the next run makes them anew.
            for path in self.used:
                path.unlink(missing_ok=True)
            raise

    async def _join(self, reel: JoinInput, target: Path, *, comment: str) -> Film:
        timeline = self._timeline
        with atomic_path(target) as temporary, tempfile.TemporaryDirectory(prefix="storyreel-") as folder:
            await join_pieces(reel, timeline, temporary, comment=comment, folder=Path(folder))
            if not encoding_of(timeline.output.codec).copies:
                mark_end(temporary, comment)
            film = await _read_back(temporary, timeline, name=target)
            _require_as_planned(film, timeline)
        return film

    async def _mix(self, sound: MixedSound) -> None:
        async with self._mixing:
            await sound.mix()

    async def _mix_early(self) -> None:
        with suppress(FilmError, StorageError):
            if sound := mixed_sound(self._timeline, self._folder):
                await self._mix(sound)

    async def _encode_missing(self, pieces: Sequence[Path], frames: Sequence[Path]) -> None:
        """Encode every segment whose piece is not there; the first failure ends it."""
        for piece in filter(Path.is_file, pieces):
            self._note(piece)
        missing: asyncio.PriorityQueue[int] = asyncio.PriorityQueue()
        for number, piece in enumerate(pieces):
            if not piece.is_file():
                missing.put_nowait(number)

        async def encode() -> None:
            while not missing.empty():
                await self._encode(self._share_of(missing, missing.get_nowait()), frames)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._workers):
                    group.create_task(encode())
        except BaseExceptionGroup as errors:
            # Not with except*, which would raise a group again.
            raise errors.exceptions[0] from None

    async def _encode_early(self) -> None:
        while True:
            share = self._share_of(self._complete, await self._complete.get())
            with suppress(FilmError, StorageError):
                await self._encode(share, self._present)

    def _share_of(self, ready: asyncio.PriorityQueue[int], first: int) -> list[Segment]:
        """Return a segment that is ready, and what else of it one worker should take on now."""
        count = min(self._most_together, (ready.qsize() + 1) // self._workers)
        return [self._segments[number] for number in (first, *(ready.get_nowait() for _ in range(count - 1)))]

    async def _encode(self, segments: Sequence[Segment], frames: Frames) -> None:
        """Encode segments, but for those that somebody has encoded, or does at this moment."""
        pieces = {path: Piece(segment, path) for segment in segments for path in [self._path(segment, frames)]}
        async with AsyncExitStack() as held:
            # In one order, so that two workers never wait for each other.
            for path in sorted(pieces):
                await held.enter_async_context(self._locks[path])
            await held.enter_async_context(self._room)
            missing = [piece for path, piece in pieces.items() if not path.is_file()]
            if missing:
                craft, painter = await self._crafted(), FrameRenderer(self._drawings, frames)
                for batch in batches(missing, craft):
                    with storage_errors(self._folder), tempfile.TemporaryDirectory(prefix="storyreel-") as folder:
                        await encode_batch(batch, craft=craft, painter=painter, folder=Path(folder), told=self._note)
            for path in pieces:
                self._note(path)

    def _note(self, path: Path) -> None:
        if path not in self._ready:
            self._ready.add(path)
            self._told()

    def _path(self, segment: Segment, frames: Frames) -> Path:
        output, style = replace(self._timeline.output, name=""), self._timeline.captions
        captioned = style.burn and any(text for _, text in segment.captions)
        besides = (output, encoder_arguments(output, passing=segment.passing), style if captioned else None)
        identities = {frame: frame_identity(frames[frame]) for frame in segment.frames}
        return self._folder / f"{segment.key(identities, besides)}.{encoding_of(output.codec).piece}"

    async def _crafted(self) -> EncodeContext:
        async with self._crafting:
            if self._craft is None:
                output = self._timeline.output
                self._craft = EncodeContext(output, self._timeline.captions, await _copies(output), self._threads)
        return self._craft


async def _copies(output: Output) -> Copies | None:
    if encoding_of(output.codec).piece != "h264":
        return None
    with storage_errors(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory(prefix="storyreel-") as folder:
        return await encode_copies(output, folder=Path(folder))


def _workers(timeline: Timeline) -> int:
    size = timeline.output.size
    return max(1, min(os.cpu_count() or 1, _MOST_WORKERS, _PIXELS_AT_WORK // (size.width * size.height)))


def _drawings(timeline: Timeline, workers: int) -> int:
    """Return how many drawn frames to keep: a frame is wanted again for the transitions around it."""
    size = timeline.output.size
    # In 12 bits a pixel; a frame that is to move is drawn at twice the size.
    moving = any(hold.motion for hold in timeline.holds)
    each_bytes = size.width * size.height * 3 // 2 * (4 if moving else 1)
    # A transition needs two at a time.
    return max(workers + 1, min(_DRAWINGS_BYTES // each_bytes, _MOST_DRAWINGS))


def _time_limit_s(timeline: Timeline) -> float:
    """Return a generous bound: a hundred times what a slow machine takes."""
    size = timeline.output.size
    megapixels = size.width * size.height / 1e6
    return 120 + megapixels * (10 * len(timeline.holds) + 3 * timeline.video_frames)


async def _read_back(path: Path, timeline: Timeline, *, name: Path) -> Film:
    fps = timeline.output.fps
    if encoding_of(timeline.output.codec).copies:
        return await read_film(path, fps=fps, name=name)
    return await asyncio.to_thread(read_animation, path, fps=fps, name=name)


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
