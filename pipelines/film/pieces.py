"""Segments become pieces of encoded film: painted in a thread, piped into ffmpeg, written whole or not at all."""

import contextlib
from asyncio import StreamReader
from asyncio.subprocess import DEVNULL, PIPE
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, chain
from pathlib import Path

from pipelines.common.background import NICENESS
from pipelines.common.errors import FilmError
from pipelines.common.files import atomic_path
from pipelines.film.captions import caption_filters, captions_of
from pipelines.film.copies import Copies, access_units
from pipelines.film.encoding import KEYFRAME_EVERY, encoder_arguments, on_time, raw_input
from pipelines.film.ffmpeg import fed_ffmpeg, file_url
from pipelines.film.mixing import mixed, xfade_filters
from pipelines.film.painting import FrameRenderer, stacked
from pipelines.film.segments import Crossing, Morph, Segment, Stay
from pipelines.film.smoothing import key_rate, smoothing_filters
from pipelines.storyboard.model import CaptionStyle, Output
from pipelines.storyboard.transitions import OWN


@dataclass(frozen=True, slots=True)
class EncodeContext:
    """What all pieces of one film are made with: copies where its codec has any, and the threads that paint."""

    output: Output
    captions: CaptionStyle
    copies: Copies | None
    threads: Executor


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment to encode, and the file that it becomes."""

    segment: Segment
    path: Path


@dataclass(frozen=True, slots=True)
class _Feed:
    """What goes into an encoder: raw pictures in chunks, how they come, and what ffmpeg makes of them."""

    chunks: Iterable[memoryview]
    reading: list[str]
    filters: list[str]


class _EndedEarlyError(Exception):
    """ffmpeg wrote less than it was asked for."""


def batches(pieces: Iterable[Piece], craft: EncodeContext) -> list[list[Piece]]:
    """Put together the pieces that one encoder can make: it starts in the time in which it encodes several pictures."""
    alone: list[list[Piece]] = []
    alike: defaultdict[tuple[bool, bool], list[Piece]] = defaultdict(list)
    for piece in pieces:
        if craft.copies is not None and _can_be_cut_out(piece.segment):
            alike[piece.segment.still, piece.segment.passing].append(piece)
        else:
            alone.append([piece])
    return [*alike.values(), *alone]


async def encode_batch(
    batch: Sequence[Piece], *, craft: EncodeContext, painter: FrameRenderer, folder: Path, told: Callable[[Path], None]
) -> None:
    """Encode pieces, each whole or not at all.

    Args:
        batch: what to encode; one of `batches`.
        craft: what all pieces of the film have in common.
        painter: paints the frames that the segments name; nobody else's meanwhile.
        folder: an empty folder of ours to work in.
        told: called with the path of each piece as soon as it is there.

    Raises:
        FilmError: a frame cannot be read, or ffmpeg failed.
        StorageError: a piece could not be written.
    """
    if craft.copies is not None and _can_be_cut_out(batch[0].segment):
        await _encode_together(batch, craft.copies, craft=craft, painter=painter, folder=folder, told=told)
        return
    for piece in batch:
        with atomic_path(piece.path) as temporary:
            await _encode_alone(piece.segment, temporary, craft=craft, painter=painter, folder=folder)
        told(piece.path)


def _can_be_cut_out(segment: Segment) -> bool:
    """Say whether a segment can be cut out of a longer stream: ffmpeg only encodes it, and need not key its middle."""
    plain = all(isinstance(part, Stay) or (isinstance(part, Crossing) and part.type in OWN) for part in segment.parts)
    return plain and (segment.still or segment.length <= KEYFRAME_EVERY)


async def _encode_alone(
    segment: Segment, path: Path, *, craft: EncodeContext, painter: FrameRenderer, folder: Path
) -> None:
    """Encode every video frame of a segment, by an ffmpeg that writes the file."""
    feed = _feed(segment, craft.output, painter)
    keyframes = ["-force_key_frames", f"expr:not(mod(n,{KEYFRAME_EVERY}))"]
    encoding = [*keyframes, *encoder_arguments(craft.output, passing=segment.passing), file_url(path)]
    async with _encoder(feed, segment.captions, encoding, craft=craft, folder=folder):
        pass


async def _encode_together(
    batch: Sequence[Piece],
    copies: Copies,
    *,
    craft: EncodeContext,
    painter: FrameRenderer,
    folder: Path,
    told: Callable[[Path], None],
) -> None:
    """Encode pieces one after another by one ffmpeg, and cut them out of its stream.

    Of a hold that does not move one picture is encoded; copies hold it.
    """
    segments = [piece.segment for piece in batch]
    still, passing = segments[0].still, segments[0].passing
    paint = _each_once if still else _every_picture
    feed = _Feed(chain.from_iterable(paint(segment, painter) for segment in segments), raw_input(craft.output), [])
    captions = [(1 if still else length, text) for segment in segments for length, text in segment.captions]
    starts = accumulate((segment.length for segment in segments[:-1]), initial=0)
    keyframes = "1" if still else "+".join(f"eq(n,{start})" for start in starts)
    forced = ["-force_key_frames", f"expr:{keyframes}", "-forced-idr", "1"]
    encoding = [*forced, *encoder_arguments(craft.output, passing=passing), "-"]
    made = 0
    async with _encoder(feed, captions, encoding, craft=craft, folder=folder, stdout=PIPE) as stream:
        assert stream is not None
        pictures = access_units(stream)
        # What ffmpeg itself has to say of its early end is raised as the block is left.
        with contextlib.suppress(_EndedEarlyError):
            for piece in batch:
                with atomic_path(piece.path) as temporary:
                    await _cut_out(piece.segment, pictures, temporary, copies)
                told(piece.path)
                made += 1
    if made < len(batch):
        raise FilmError(f"ffmpeg stopped after {made} of {len(batch)} pieces and gave no reason")


async def _cut_out(segment: Segment, pictures: AsyncIterator[bytes], path: Path, copies: Copies) -> None:
    """Write a segment's own pictures, the next ones of a stream."""
    lengths = [part.length for part in segment.parts] if segment.still else [1] * segment.length
    with path.open("wb") as file:
        for number, length in enumerate(lengths):
            picture = await anext(pictures, b"")
            if not picture:
                raise _EndedEarlyError
            if number == 0:
                copies.require_match(picture)
            file.writelines(copies.hold(picture, length))


def _feed(segment: Segment, output: Output, painter: FrameRenderer) -> _Feed:
    match segment.parts:
        case (Crossing() as crossing,) if crossing.type not in OWN:
            return _Feed(_pairs(crossing, painter), raw_input(output, stacked=True), xfade_filters(crossing, output))
        case (Morph() as morph,):
            reading = raw_input(output, fps=key_rate(morph, output.fps))
            return _Feed(_keys(morph, painter), reading, smoothing_filters(morph, output))
        case _:
            return _Feed(_every_picture(segment, painter), raw_input(output), [])


def _each_once(segment: Segment, painter: FrameRenderer) -> Iterator[memoryview]:
    for part in segment.parts:
        if isinstance(part, Stay):
            yield from painter.picture(part.shown).chunks()


def _every_picture(segment: Segment, painter: FrameRenderer) -> Iterator[memoryview]:
    for part in segment.parts:
        if isinstance(part, Crossing):
            yield from _mixes(part, painter)
        elif isinstance(part, Stay) and part.still:
            picture = painter.picture(part.shown)
            for _ in range(part.length):
                yield from picture.chunks()
        elif isinstance(part, Stay):
            for video_frame in range(part.length):
                yield from painter.picture(part.shown, video_frame).chunks()


def _mixes(crossing: Crossing, painter: FrameRenderer) -> Iterator[memoryview]:
    for video_frame in range(crossing.length):
        leaving = painter.picture(crossing.leaving, video_frame)
        coming = painter.picture(crossing.coming, video_frame)
        progress = Fraction(2 * video_frame + 1, 2 * crossing.length)
        yield from mixed(crossing.type, leaving, coming, float(progress)).chunks()


def _pairs(crossing: Crossing, painter: FrameRenderer) -> Iterator[memoryview]:
    for video_frame in range(crossing.length):
        leaving = painter.picture(crossing.leaving, video_frame)
        yield from stacked(leaving, painter.picture(crossing.coming, video_frame))


def _keys(morph: Morph, painter: FrameRenderer) -> Iterator[memoryview]:
    for shown in morph.shown:
        yield from painter.picture(shown).chunks()


@contextlib.asynccontextmanager
async def _encoder(
    feed: _Feed,
    told: list[tuple[int, str | None]],
    encoding: list[str],
    *,
    craft: EncodeContext,
    folder: Path,
    stdout: int = DEVNULL,
) -> AsyncIterator[StreamReader | None]:
    """Run an encoder on a feed, captions drawn; yield its stdout. On leaving the block all is encoded."""
    captions = captions_of(told) if craft.captions.burn else []
    drawing = caption_filters(captions, craft.captions, craft.output.size, folder=folder)
    graph = ",".join([*feed.filters, *drawing, on_time(craft.output)])
    arguments = [*feed.reading, "-filter_complex", graph, *encoding]
    threads = craft.threads
    async with fed_ffmpeg(
        arguments, feed.chunks, folder=folder, stdout=stdout, niceness=NICENESS, threads=threads
    ) as process:
        yield process.stdout
