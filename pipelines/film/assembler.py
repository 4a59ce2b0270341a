"""Timeline + frames -> film: segments are encoded as their frames come, and joined in the end."""

import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from pipelines.common.errors import FilmError, StorageError, StoryreelError
from pipelines.common.files import storage_errors
from pipelines.common.geometry import Fit
from pipelines.film.capacity import capacity_for, time_limit_s
from pipelines.film.claims import PieceClaims, Unshared
from pipelines.film.effort import FilmObserver, Unobserved, megapixels
from pipelines.film.encoders import require_encoder
from pipelines.film.encoding_pool import EncodingPool
from pipelines.film.finishing import finish_film, planned_film
from pipelines.film.frame_picture import FramePicture, hash_pictures
from pipelines.film.identity import FilmMark, film_identity, read_mark
from pipelines.film.joining import JoinInput
from pipelines.film.painting import ReadFrame, read_frame, require_size
from pipelines.film.probe import Film
from pipelines.film.segment_queue import FrameArrivals, SegmentQueue
from pipelines.film.segments import cut_segments
from pipelines.film.sound import SoundMixer
from pipelines.storyboard.timeline import Timeline


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
        target: where the film goes; its folder is made. Cancelling leaves it as it was. A film that is there
            already and would come out the same is left as it is.
        segments: a folder that keeps encoded pieces for another time; by default none are kept.
        limit_s: seconds to give up after; by default a bound that grows with the work.

    Raises:
        FilmError: a frame cannot be read, ffmpeg is missing, fails or takes far too long, or the film differs from
            the timeline.
        StorageError: the film could not be written.
    """
    with storage_errors(target), tempfile.TemporaryDirectory(prefix="storyreel-") as folder:
        async with FilmAssembler(timeline, segments or Path(folder)) as assembler:
            return await assembler.cut([FramePicture(frame) for frame in frames], target, limit_s=limit_s)


class FilmAssembler:
    """The making of one film: frames are reported as they come, their segments encoded meanwhile, then the film is cut.

    It is a context manager: within its block segments are encoded in the background, and leaving it ends all of that.

    Attributes:
        used: the files that the film was made of, once it is cut.
    """

    def __init__(
        self,
        timeline: Timeline,
        folder: Path,
        *,
        observer: FilmObserver | None = None,
        read: ReadFrame = read_frame,
        claims: PieceClaims | None = None,
    ) -> None:
        """Prepare to cut a film.

        Args:
            timeline: what to cut.
            folder: where its pieces are kept.
            observer: hears of each segment once its piece is there, and when these are joined.
            read: reads a frame; called from several threads at once.
            claims: on pieces, where other runs encode into the same folder.
        """
        self._timeline = timeline
        self._segments = cut_segments(timeline)
        self._capacity = capacity_for(timeline)
        self._arrivals = FrameArrivals(self._segments)
        self._complete = SegmentQueue(self._capacity)
        self._observer = observer or Unobserved()
        self._pool = EncodingPool(
            timeline, folder, self._capacity, observer=self._observer, read=read, claims=claims or Unshared()
        )
        self._sound = SoundMixer(timeline, folder)
        self._background: list[asyncio.Task[None]] = []
        self.used: set[Path] = set()

    async def __aenter__(self) -> Self:
        encoding = [self._encode_ahead() for _ in range(self._capacity.workers)]
        self._background = [asyncio.create_task(work) for work in (*encoding, self._mix_ahead())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Cancelled tasks end their ffmpeg; only then can the threads that write to it come to an end.
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._pool.close()

    def __len__(self) -> int:
        """Return how many segments the film has."""
        return len(self._segments)

    @property
    def encoders(self) -> int:
        """How many encoders run side by side."""
        return self._capacity.workers

    @property
    def megapixels(self) -> float:
        """The effort of encoding all segments; see `effort.megapixels`."""
        return sum(megapixels(segment, self._timeline.output) for segment in self._segments)

    def arrived(self, frame: int, picture: FramePicture) -> None:
        """Take note of a frame's picture; segments that lack no other are encoded in the background.

        An error there is dropped: the work is tried again when the film is cut, and raises it then.
        """
        self._complete.put(self._arrivals.add(frame, picture))

    async def cut(self, frames: Sequence[FramePicture], target: Path, *, limit_s: float | None = None) -> Film:
        """Make the film at `target`; see `cut_film`. Pieces that other runs encode are waited for."""
        # In a thread, for it runs ffmpeg and waits for the answer.
        await asyncio.to_thread(require_encoder, self._timeline.output.codec)
        limit_s = limit_s or time_limit_s(self._timeline)
        try:
            async with asyncio.timeout(limit_s):
                return await self._cut(frames, target)
        except TimeoutError as exc:
            raise FilmError(f"{target}: not finished after {limit_s:.0f} s; is the machine overloaded?") from exc

    async def _cut(self, frames: Sequence[FramePicture], target: Path) -> Film:
        timeline = self._timeline
        frames = await hash_pictures(frames)
        pieces = await self._pool.name_pieces(self._segments, frames)
        paths = [piece.path for piece in pieces]
        sound = await self._sound.find()
        sound_path = sound.path if sound else None
        # Before anything can fail or be found unchanged: these files are still needed then.
        self.used = {*paths, *([sound_path] if sound_path else ())}
        mark = FilmMark(film_identity(timeline, paths, sound_path), draft=any(piece.draft for piece in pieces))
        if await asyncio.to_thread(read_mark, target) == mark:
            return planned_film(timeline, target)
        if timeline.output.fit is Fit.ERROR:
            await asyncio.to_thread(require_size, [frame.path for frame in frames], timeline.output.size)
        with storage_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        await self._pool.encode_all(pieces, frames)
        if sound:
            await self._sound.mix(sound)
        self._observer.joining(target)
        joined = JoinInput(self._segments, paths, sound_path)
        try:
            return await finish_film(joined, timeline, target, comment=str(mark))
        except FilmError:
            # One of these files may not hold what its name says: without them, the next run makes all of them again.
            for path in self.used:
                path.unlink(missing_ok=True)
            raise

    async def _encode_ahead(self) -> None:
        """Encode what frames complete, until it is cancelled."""
        while True:
            segments = [self._segments[number] for number in await self._complete.take()]
            with suppress(StoryreelError):
                await self._pool.encode(segments, self._arrivals.pictures)

    async def _mix_ahead(self) -> None:
        with suppress(FilmError, StorageError):
            if sound := await self._sound.find():
                await self._sound.mix(sound)
