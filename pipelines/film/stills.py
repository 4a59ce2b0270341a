"""Stills as H.264: each frame encoded once, and held by copies that cost a few bytes and no encoding.

A copy is a picture that says of each of its blocks: as before (ITU-T H.264, P_Skip, 8.4.1.1). It is the same for every
still, so it is encoded once, from plain gray, and spliced in behind each still encoded with the same parameters.
Measured with 60 frames of 1344x768, about 1 MB each, against one ffmpeg that encodes every video frame at the same
preset: held for 96 video frames each, 0.12 of the time and 0.75 of the bytes; for 24, 0.23 and 0.75; for 6, 0.5 and
1.0; for 1, 1.0 of the time. Four frames held for 1,440: 0.04 of the time, 1.45 of the bytes (more keyframes).
"""

import asyncio
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from pipelines.errors import FilmError
from pipelines.film.encoding import blank_filter, encoder_arguments, picture_filter, rate
from pipelines.film.ffmpeg import running_ffmpeg
from pipelines.film.pictures import require_whole
from pipelines.plan import Hold
from pipelines.storyboard.board import Output

# A still comes again whole after this many video frames, so that players can seek: its own bytes every few seconds.
_KEYFRAME_EVERY = 120
# An access unit delimiter (H.264, 7.3.2.4) opens each picture, and emulation prevention keeps these bytes out of it.
_DELIMITER = b"\0\0\0\1\x09"
_START_CODE = b"\0\0\1"
_PARAMETER_SETS = (7, 8)
_READ_AHEAD = 64
_CHUNK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Copies:
    """Pictures that repeat the one before them, in order; `headers` are the parameter sets they were encoded with."""

    headers: tuple[bytes, ...]
    pictures: tuple[bytes, ...]

    def hold(self, still: bytes, length: int) -> Iterator[bytes]:
        """Yield the stream of `still` held for `length` video frames, a keyframe's stretch at a time."""
        stretch = len(self.pictures) + 1
        for start in range(0, length, stretch):
            yield b"".join((still, *self.pictures[: min(stretch, length - start) - 1]))


async def encode_copies(output: Output, holds: Sequence[Hold], *, folder: Path) -> Copies:
    """Encode as many copies as the longest of `holds` can use between two keyframes.

    Raises:
        FilmError: ffmpeg failed.
    """
    count = min(_KEYFRAME_EVERY, max(hold.length for hold in holds))
    source = f"color=size={output.size}:rate={rate(output.fps)}"
    arguments = ["-f", "lavfi", "-i", source, "-frames:v", str(count), "-vf", blank_filter()]
    async with running_ffmpeg([*arguments, *encoder_arguments(output)], folder=folder, stdout=PIPE) as encoder:
        assert encoder.stdout is not None
        first, *copies = [unit async for unit in access_units(encoder.stdout)]
    return Copies(parameter_sets(first), tuple(copies))


async def write_stills(
    frames: Sequence[Path], holds: Sequence[Hold], output: Output, *, copies: Copies, sink: StreamWriter, folder: Path
) -> None:
    """Write the stream of every hold in turn to `sink`; memory does not grow with the frames or the holds.

    Args:
        frames: PNG files by frame number, of any sizes and pixel formats.
        holds: which frame is shown, for how long.
        output: what to encode to.
        copies: from `encode_copies`.
        sink: where to write.
        folder: an empty folder of ours to work in.

    Raises:
        FilmError: ffmpeg failed, or a frame is no whole PNG.
    """
    stills = [frames[hold.frame] for hold in holds]
    arguments = _still_arguments(stills, output, folder)
    shown = 0
    try:
        async with running_ffmpeg(arguments, folder=folder, stdout=PIPE) as encoder:
            assert encoder.stdout is not None
            async for still in access_units(encoder.stdout):
                _require_same(parameter_sets(still), copies.headers)
                for stretch in copies.hold(still, holds[shown].length):
                    sink.write(stretch)
                    await sink.drain()
                shown += 1
    except FilmError:
        # ffmpeg reads a few frames ahead, and does not say which one it stumbled over.
        await asyncio.to_thread(require_whole, stills[shown : shown + _READ_AHEAD])
        raise
    if shown != len(holds):
        raise FilmError(f"ffmpeg stopped after {shown} of {len(holds)} frames and gave no reason")


def _still_arguments(stills: Sequence[Path], output: Output, folder: Path) -> list[str]:
    # Links with plain names: quotes, percent signs and newlines in the user's never reach ffmpeg.
    for number, still in enumerate(stills):
        (folder / f"{number}.png").symlink_to(still.absolute())
    (folder / "stills.ffconcat").write_text("".join(_list_lines(len(stills), output.fps)))
    # Times as whole video frames, without memory: a change of size or pixel format makes ffmpeg start its filters anew.
    times = f"settb=1/({rate(output.fps)}),setpts=round(T*{rate(output.fps)})"
    # A broken PNG must end the film, not leave a gray patch in it.
    strict = ["-xerror", "-err_detect", "+crccheck+explode"]
    source = ["-f", "concat", "-safe", "0", "-i", "stills.ffconcat"]
    keyframes = ["-force_key_frames", "expr:1", "-forced-idr", "1"]
    filters = f"{picture_filter(output)},{times}"
    return [*strict, *source, "-vf", filters, *keyframes, *encoder_arguments(output)]


def _list_lines(count: int, fps: Fraction) -> Iterator[str]:
    yield "ffconcat version 1.0\n"
    # The list counts in whole microseconds: cutting at rounded times keeps the error from adding up.
    cuts_us = (round(number * 1_000_000 / fps) for number in range(count + 1))
    for number, (start_us, end_us) in enumerate(pairwise(cuts_us)):
        yield f"file {number}.png\noption framerate {rate(fps)}\nduration {end_us - start_us}us\n"


def _require_same(headers: tuple[bytes, ...], wanted: tuple[bytes, ...]) -> None:
    if headers != wanted:
        raise FilmError("this ffmpeg's x264 gives each piece headers of its own; reinstall imageio-ffmpeg")


def parameter_sets(unit: bytes) -> tuple[bytes, ...]:
    """Return the sequence and picture parameter sets in an access unit."""
    units = (unit.rstrip(b"\0") for unit in unit.split(_START_CODE)[1:])
    return tuple(unit for unit in units if unit[0] & 0x1F in _PARAMETER_SETS)


async def access_units(stream: StreamReader) -> AsyncIterator[bytes]:
    """Cut a raw H.264 stream with delimiters into its pictures."""
    pending = bytearray()
    while chunk := await stream.read(_CHUNK_BYTES):
        # Not from 0: the delimiter that opens the picture is its own. Not from the end: one may be cut in two.
        begin = max(1, len(pending) - len(_DELIMITER) + 1)
        pending += chunk
        while (end := pending.find(_DELIMITER, begin)) > 0:
            yield bytes(pending[:end])
            del pending[:end]
            begin = 1
    if pending:
        yield bytes(pending)
