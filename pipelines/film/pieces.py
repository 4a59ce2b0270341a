"""Segments become pieces of encoded film: rendered in a thread, piped into ffmpeg, written whole or not at all."""

import asyncio
import contextlib
from asyncio import StreamReader
from asyncio.subprocess import DEVNULL, PIPE
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path

from pipelines.common.background import NICENESS
from pipelines.common.errors import FilmError
from pipelines.common.ffmpeg import fed_ffmpeg, file_url
from pipelines.common.files import atomic_path
from pipelines.common.quality import Quality
from pipelines.film.access_units import is_reference, read_units, units_of_file
from pipelines.film.bitrate import bound_of_all, bound_of_each
from pipelines.film.caption_input import caption_input
from pipelines.film.copies import Copies
from pipelines.film.encoder_input import EncoderInput, input_of_batch, input_of_segment
from pipelines.film.encoding import KEYFRAME_EVERY, encoder_arguments, keyframe_every, on_time
from pipelines.film.painting import FrameRenderer
from pipelines.film.segments import Crossing, Segment, Stay
from pipelines.film.spoken_captions import CaptionRun
from pipelines.storyboard.model import CaptionStyle, Output
from pipelines.storyboard.presets import PieceKind
from pipelines.storyboard.transitions import OWN


@dataclass(frozen=True, slots=True)
class EncodeContext:
    """The things that all pieces of one film share.

    Attributes:
        output: the film's size, rate and codec; each piece has its own quality.
        captions: how captions look, and whether they are drawn.
        copies: pictures that hold a still, where this ffmpeg makes any; None where the film's codec is not H.264.
        threads: in which pictures are rendered.
    """

    output: Output
    captions: CaptionStyle
    copies: Copies | None
    threads: Executor


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment to encode, and the file that it becomes.

    Attributes:
        segment: what it shows.
        path: the file.
        draft: whether it comes out otherwise than in the final film.
    """

    segment: Segment
    path: Path
    draft: bool = False

    def output_of(self, film: Output) -> Output:
        """Return the output of its film, at its own quality."""
        return replace(film, quality=Quality.DRAFT if self.draft else Quality.FINAL)


class _EndedEarlyError(Exception):
    """ffmpeg wrote fewer pictures than it was given."""


class _NotHeldError(Exception):
    """Copies cannot hold what x264 made of a still: it is predicted from what comes later."""


def batches(pieces: Iterable[Piece], context: EncodeContext) -> list[list[Piece]]:
    """Put together the pieces that one encoder can make: it starts in the time in which it encodes several pictures."""
    alone: list[list[Piece]] = []
    # Of one kind only: one encoder has one quality, and reads either one picture of each hold or all of them.
    alike: defaultdict[tuple[PieceKind, tuple[str, ...]], list[Piece]] = defaultdict(list)
    for piece in pieces:
        segment = piece.segment
        if context.copies is not None and _can_be_cut_out(segment, context.copies, context.output):
            alike[segment.kind, tuple(_arguments(piece, context.output))].append(piece)
        else:
            alone.append([piece])
    return [*alike.values(), *alone]


async def encode_batch(
    batch: Sequence[Piece],
    *,
    context: EncodeContext,
    renderer: FrameRenderer,
    folder: Path,
    on_encoded: Callable[[Piece], None],
) -> None:
    """Encode pieces, each whole or not at all.

    Args:
        batch: what to encode; one of `batches`.
        context: what all pieces of the film share.
        renderer: renders the frames that the segments name; not used by anything else meanwhile.
        folder: an empty folder to work in.
        on_encoded: called with each piece as soon as it is there.

    Raises:
        FilmError: a frame cannot be read, or ffmpeg failed.
        StorageError: a piece could not be written.
    """
    if context.copies is not None and _can_be_cut_out(batch[0].segment, context.copies, context.output):
        await _encode_together(
            batch, context.copies, context=context, renderer=renderer, folder=folder, on_encoded=on_encoded
        )
        return
    for piece in batch:
        await _write_alone(piece, context=context, renderer=renderer, folder=folder)
        on_encoded(piece)


def _can_be_cut_out(segment: Segment, copies: Copies, output: Output) -> bool:
    """Say whether a segment can be cut out of a longer stream.

    Not if ffmpeg's filters have to make its pictures, nor a still that there are no copies to hold. Nor what moves for
    long, which is worth an encoder of its own, nor if there is a highest bitrate: what was sent before would count.
    """
    plain = all(isinstance(part, Stay) or (isinstance(part, Crossing) and part.type in OWN) for part in segment.parts)
    short = segment.length <= KEYFRAME_EVERY and output.delivery.max_bitrate is None
    return plain and (bool(copies.pictures) if segment.still else short)


def _arguments(piece: Piece, film: Output) -> list[str]:
    """Return the ffmpeg arguments that encode a piece as a part of a longer stream."""
    segment, output = piece.segment, piece.output_of(film)
    if not segment.still:
        # There is no bound; see `_can_be_cut_out`.
        return encoder_arguments(output, segment.kind)
    every = keyframe_every(output)
    begins = accumulate((part.length for part in segment.parts), initial=0)
    keyframes = [begin for begin, place in zip(begins, _behind_keyframe(segment, every), strict=False) if not place]
    shortest = min(end - begin for begin, end in pairwise([*keyframes, segment.length]))
    bound = bound_of_each(output, held=min(shortest, every))
    return encoder_arguments(output, segment.kind, bound=bound)


async def _write_alone(piece: Piece, *, context: EncodeContext, renderer: FrameRenderer, folder: Path) -> None:
    with atomic_path(piece.path) as temporary:
        await _encode_alone(piece, temporary, context=context, renderer=renderer, folder=folder)


async def _encode_alone(
    piece: Piece, path: Path, *, context: EncodeContext, renderer: FrameRenderer, folder: Path
) -> None:
    """Encode every video frame of a piece, by an ffmpeg that writes the file at `path`."""
    segment = piece.segment
    pictures = input_of_segment(segment, context.output, renderer)
    keyframes = ["-force_key_frames", f"expr:not(mod(n,{keyframe_every(context.output)}))"]
    bound = bound_of_all(context.output, length=segment.length)
    arguments = encoder_arguments(piece.output_of(context.output), segment.kind, bound=bound)
    encoding = [*keyframes, *arguments, file_url(path)]
    async with _encoder(pictures, segment.captions, encoding, context=context, folder=folder):
        pass
    if context.copies is not None:
        context.copies.require_match(await asyncio.to_thread(lambda: next(units_of_file(path), b"")))


async def _encode_together(
    batch: Sequence[Piece],
    copies: Copies,
    *,
    context: EncodeContext,
    renderer: FrameRenderer,
    folder: Path,
    on_encoded: Callable[[Piece], None],
) -> None:
    """Encode pieces one after another by one ffmpeg, and cut them out of its stream.

    Of a hold that does not move one picture is encoded; copies hold it.
    """
    segments = [piece.segment for piece in batch]
    still = segments[0].still
    pictures = input_of_batch(segments, context.output, renderer)
    captions = [(1 if still else length, text) for segment in segments for length, text in segment.captions]
    encoding = [*_keyframes(segments, context.output), *_arguments(batch[0], context.output)]
    done = 0
    not_held: list[Piece] = []
    async with _encoder(pictures, captions, [*encoding, "-"], context=context, folder=folder, stdout=PIPE) as stream:
        assert stream is not None
        units = read_units(stream)
        # ffmpeg's own reason for ending early is raised as the block is left.
        with contextlib.suppress(_EndedEarlyError):
            for piece in batch:
                try:
                    with atomic_path(piece.path) as temporary:
                        await _cut_out(piece.segment, units, temporary, copies, every=keyframe_every(context.output))
                    on_encoded(piece)
                except _NotHeldError:
                    not_held.append(piece)
                done += 1
    if done < len(batch):
        raise FilmError(f"ffmpeg stopped after {done} of {len(batch)} pieces and gave no reason")
    for piece in not_held:
        await _write_alone(piece, context=context, renderer=renderer, folder=folder)
        on_encoded(piece)


def _keyframes(segments: Sequence[Segment], output: Output) -> list[str]:
    """Return the ffmpeg arguments that start each segment of a stream, and each still, with a picture of its own."""
    every = keyframe_every(output)
    if segments[0].still:
        behind = [place for segment in segments for place in _behind_keyframe(segment, every)]
    else:
        behind = [place % every for segment in segments for place in range(segment.length)]
    starts = [number for number, place in enumerate(behind) if place == 0]
    # As times, each half a video frame early: the first picture from then on is the one. An expression of numbers may
    # not have more than some hundred terms.
    times = ",".join(f"{float(max(Fraction(0), start - Fraction(1, 2)) / output.fps):.6f}" for start in starts)
    # No picture refers to one before an IDR picture, so the stream can be cut there.
    return ["-force_key_frames", times, "-forced-idr", "1"]


def _behind_keyframe(segment: Segment, every: int) -> Iterator[int]:
    """Yield for each part of a still segment how many video frames it comes behind a keyframe; 0 where it has its own.

    Where only the caption changes, the picture is encoded as a change of the one before it: in a twelfth of the bytes,
    measured with three words a second, and in a third of the time.
    """
    behind, before = 0, None
    for part in segment.parts:
        assert isinstance(part, Stay)
        if before != part.shown or behind + part.length > every:
            behind = 0
        yield behind
        # What is longer than from one keyframe to the next is repeated from one to the next.
        behind, before = (behind + part.length - 1) % every + 1, part.shown


async def _cut_out(segment: Segment, pictures: AsyncIterator[bytes], path: Path, copies: Copies, *, every: int) -> None:
    """Write a segment's own pictures, the next ones of a stream."""
    held = True
    with path.open("wb") as file:
        for number, (length, behind) in enumerate(_places(segment, every)):
            picture = await anext(pictures, b"")
            if not picture:
                raise _EndedEarlyError
            if number == 0:
                copies.require_match(picture)
            held = held and (is_reference(picture) or not segment.still)
            if not held:
                # Read on: the next piece's pictures stand behind those of this one.
                continue
            if behind:
                file.write(copies.hold_change(picture, length, behind=behind))
            else:
                file.writelines(copies.hold(picture, length))
    if not held:
        raise _NotHeldError


def _places(segment: Segment, every: int) -> Iterator[tuple[int, int]]:
    """Yield for how many video frames each picture of a stream is held, and how many it comes behind a keyframe."""
    if segment.still:
        yield from zip((part.length for part in segment.parts), _behind_keyframe(segment, every), strict=True)
    else:
        # As they come: they were encoded in these places.
        yield from [(1, 0)] * segment.length


@contextlib.asynccontextmanager
async def _encoder(
    pictures: EncoderInput,
    texts: Sequence[CaptionRun],
    encoding: list[str],
    *,
    context: EncodeContext,
    folder: Path,
    stdout: int = DEVNULL,
) -> AsyncIterator[StreamReader | None]:
    """Run an encoder on pictures, captions drawn; yield its stdout. On leaving the block all is encoded.

    `texts` says what is to be read, and for how many pictures each.
    """
    # In a thread: letters are drawn.
    drawn = await asyncio.to_thread(caption_input, texts, context.captions, context.output.size, folder=folder)
    graph = drawn.graph(pictures.filters, then=on_time(context.output))
    arguments = [*pictures.arguments, *drawn.arguments, "-filter_complex", graph, *encoding]
    async with fed_ffmpeg(
        arguments, pictures.chunks, folder=folder, stdout=stdout, niceness=NICENESS, threads=context.threads
    ) as process:
        yield process.stdout
