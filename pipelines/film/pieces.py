"""A segment becomes a piece of encoded film: painted in a thread, piped into ffmpeg, written whole or not at all."""

import contextlib
from asyncio import StreamReader
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pipelines.errors import FilmError
from pipelines.files import atomic_path
from pipelines.film.captions import caption_filters, captions_of
from pipelines.film.copies import Copies, access_units
from pipelines.film.encoding import KEYFRAME_EVERY, encoder_arguments, on_time, raw_input
from pipelines.film.ffmpeg import fed_ffmpeg, file_url
from pipelines.film.mixing import mixed, xfade_filters
from pipelines.film.painting import Painter, stacked
from pipelines.film.segments import Crossing, Morph, Segment, Stay
from pipelines.film.smoothing import key_rate, smoothing_filters
from pipelines.priority import NICENESS
from pipelines.storyboard.board import CaptionStyle, Output
from pipelines.storyboard.transitions import OWN


@dataclass(frozen=True, slots=True)
class Craft:
    """What all pieces of one film are made with: copies where its codec has any, and the threads that paint."""

    output: Output
    captions: CaptionStyle
    copies: Copies | None
    threads: Executor


@dataclass(frozen=True, slots=True)
class _Feed:
    """What goes into an encoder: raw pictures in chunks, how they come, and what ffmpeg makes of them."""

    chunks: Iterable[memoryview]
    reading: list[str]
    filters: list[str]


async def encode_piece(segment: Segment, target: Path, *, craft: Craft, painter: Painter, folder: Path) -> None:
    """Encode a segment to `target`, whole or not at all.

    Args:
        segment: what to encode.
        target: where the piece goes.
        craft: what all pieces of the film have in common.
        painter: paints the frames that the segment names; nobody else's meanwhile.
        folder: an empty folder of ours to work in.

    Raises:
        FilmError: a frame cannot be read, or ffmpeg failed.
        StorageError: the piece could not be written.
    """
    with atomic_path(target) as temporary:
        if segment.still and craft.copies is not None:
            await _encode_stills(segment, temporary, craft.copies, craft=craft, painter=painter, folder=folder)
        else:
            await _encode_all(segment, temporary, craft=craft, painter=painter, folder=folder)


async def _encode_all(segment: Segment, path: Path, *, craft: Craft, painter: Painter, folder: Path) -> None:
    """Encode every video frame."""
    feed = _feed(segment, craft.output, painter)
    keyframes = ["-force_key_frames", f"expr:not(mod(n,{KEYFRAME_EVERY}))"]
    encoding = [*keyframes, *encoder_arguments(craft.output, passing=segment.passing), file_url(path)]
    async with _encoder(feed, segment.captions, encoding, craft=craft, folder=folder):
        pass


async def _encode_stills(
    segment: Segment, path: Path, copies: Copies, *, craft: Craft, painter: Painter, folder: Path
) -> None:
    """Encode one picture for each hold, and let copies hold it."""
    stays = [part for part in segment.parts if isinstance(part, Stay)]
    chunks = (chunk for stay in stays for chunk in painter.picture(stay.shown).chunks())
    feed = _Feed(chunks, raw_input(craft.output), [])
    told = [(1, stay.caption) for stay in stays]
    encoding = ["-force_key_frames", "expr:1", "-forced-idr", "1", *encoder_arguments(craft.output), "-"]
    shown = 0
    with path.open("wb") as piece:
        async with _encoder(feed, told, encoding, craft=craft, folder=folder, stdout=PIPE) as stream:
            assert stream is not None
            async for still in access_units(stream):
                copies.require_match(still)
                piece.writelines(copies.hold(still, stays[shown].length))
                shown += 1
    if shown != len(stays):
        raise FilmError(f"ffmpeg stopped after {shown} of {len(stays)} frames and gave no reason")


def _feed(segment: Segment, output: Output, painter: Painter) -> _Feed:
    match segment.parts:
        case (Crossing() as crossing,) if crossing.type not in OWN:
            return _Feed(_pairs(crossing, painter), raw_input(output, stacked=True), xfade_filters(crossing, output))
        case (Morph() as morph,):
            reading = raw_input(output, fps=key_rate(morph, output.fps))
            return _Feed(_keys(morph, painter), reading, smoothing_filters(morph, output))
        case _:
            return _Feed(_every_picture(segment, painter), raw_input(output), [])


def _every_picture(segment: Segment, painter: Painter) -> Iterator[memoryview]:
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


def _mixes(crossing: Crossing, painter: Painter) -> Iterator[memoryview]:
    for video_frame in range(crossing.length):
        leaving = painter.picture(crossing.leaving, video_frame)
        coming = painter.picture(crossing.coming, video_frame)
        progress = Fraction(2 * video_frame + 1, 2 * crossing.length)
        yield from mixed(crossing.type, leaving, coming, float(progress)).chunks()


def _pairs(crossing: Crossing, painter: Painter) -> Iterator[memoryview]:
    for video_frame in range(crossing.length):
        leaving = painter.picture(crossing.leaving, video_frame)
        yield from stacked(leaving, painter.picture(crossing.coming, video_frame))


def _keys(morph: Morph, painter: Painter) -> Iterator[memoryview]:
    for shown in morph.shown:
        yield from painter.picture(shown).chunks()


@contextlib.asynccontextmanager
async def _encoder(
    feed: _Feed,
    told: list[tuple[int, str | None]],
    encoding: list[str],
    *,
    craft: Craft,
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
