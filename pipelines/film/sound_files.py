"""Sound files: what ffmpeg decodes of one is its sound. It is measured to the end, or decoded to be mixed."""

import asyncio
import contextlib
import math
import os
import re
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

from pipelines.common.errors import FilmError, StorageError
from pipelines.common.ffmpeg import file_url, running_ffmpeg
from pipelines.film.sound_bytes import count_tags, is_cut_mp3, wav_share
from pipelines.film.sound_containers import CONTAINERS, USUAL_CONTAINERS, Clock, Container
from pipelines.film.sound_log import LOG_OPTIONS, SoundLog
from pipelines.film.sound_losses import Loss, SampleClock, find_loss
from pipelines.storyboard.film_parts import MAX_FILM_S

T = TypeVar("T")

RATE_HZ = 48_000
# Decoded samples as the mix reads them.
SAMPLES = ("-f", "f32le", "-ar", str(RATE_HZ), "-ac", "2")
_SAMPLE_BYTES = 8
# A single channel (FC) is heard on both sides as loud as it came: left to itself, ffmpeg takes 3 dB off it.
_STEREO = (
    "aformat=channel_layouts=mono|stereo,pan=stereo|FL=FL+FC|FR=FR+FC,"
    f"aformat=sample_rates={RATE_HZ}:channel_layouts=stereo:sample_fmts=fltp"
)
# Local files of kinds that name no others. What cannot be decoded is skipped, however much it is.
_INPUT = (
    *("-protocol_whitelist", "file"),
    *("-format_whitelist", ",".join(container.demuxer for container in CONTAINERS)),
    *("-max_error_rate", "1"),
)
_TIMEOUT_S = 600
_CURE = f"use {USUAL_CONTAINERS}"
_SOUNDLESS = f"holds no sound; {_CURE}"
# By ffmpeg's words for it.
_FAULTS = {
    "matches no streams": _SOUNDLESS,
    "not on whitelist": f"is no sound file; {_CURE}",
    "moov atom not found": "was not written to its end, for its index is missing; use a whole copy of it",
}


@dataclass(frozen=True, slots=True)
class MeasuredSound:
    """What there is of a sound file.

    Attributes:
        length_s: of the sound that is there, in seconds.
        loss: what is missing of it.
    """

    length_s: Fraction
    loss: Loss = field(default_factory=Loss)


class _TooLongError(Exception):
    """The sound is longer than any film."""


async def measure_sound(file: Path, *, longest_s: int = MAX_FILM_S) -> MeasuredSound:
    """Decode a sound file to its end.

    Args:
        file: the sound.
        longest_s: what lasts longer is not read on.

    Raises:
        FilmError: it cannot be read, holds no sound, or too much of it.
    """
    log, clock = SoundLog(), SampleClock(RATE_HZ)
    # A line for each piece of sound, in samples. One channel of a byte a sample is the least to encode.
    lines = ("-ac", "1", "-ar", str(RATE_HZ), "-c:a", "pcm_u8", "-f", "framecrc", "-")
    try:
        async with _decoding(file, lines, log) as decoder:
            async for start, length, _ in _pieces(decoder):
                clock.add(start, length)
                if clock.decoded_s > longest_s:
                    raise _TooLongError
        if not clock.decoded:
            raise FilmError(f"{file}: {_SOUNDLESS}")
        stated_s = await _stated_s(file, log, clock)
    except _TooLongError as exc:
        raise FilmError(
            f"{file}: lasts longer than {longest_s} s, as no film does; cut out what is to be heard"
        ) from exc
    except OSError as exc:
        raise FilmError(f"{file}: cannot be read: {exc.strerror or exc}; put it back and try again") from exc
    loss = find_loss(clock, log.container.clock, stated_s=stated_s, complained=bool(log.complaints))
    return MeasuredSound(clock.decoded_s, loss)


async def _stated_s(file: Path, log: SoundLog, clock: SampleClock) -> Fraction | None:
    """Return how long the sound of a file should be; None where nothing states it."""
    match log.container:
        case Container("wav"):
            # ffmpeg goes by the file's size where that is less than the header states.
            return clock.decoded_s / await asyncio.to_thread(wav_share, file)
        case Container(clock=Clock.NONE) as container:
            # The frames that an MP3's header counts may be wrong; but not where there is other damage too.
            is_cut = await asyncio.to_thread(is_cut_mp3, file)
            if log.stated_s and (log.complaints or is_cut):
                return log.stated_s
            pieces = await _measure_pieces(file, container.piece_max_bytes)
            # What is skipped before or after all sound need never have been some.
            has_hole = bool(clock.gaps) or pieces.are_mixed
            return await asyncio.to_thread(_length_by_bytes, file, pieces, clock) if has_hole else None
        case _ if log.gave_up:
            by_bytes_s = await asyncio.to_thread(_length_by_bytes, file, await _measure_pieces(file), clock)
            # In an OGG of several that were joined, the statement is on the last of them alone.
            return max(by_bytes_s, log.stated_s or by_bytes_s)
    return log.stated_s


@dataclass(frozen=True, slots=True)
class _Pieces:
    """The pieces in which sound is encoded.

    Attributes:
        size: of all of them, in bytes.
        are_mixed: one is too large to be sound alone, and sound follows it.
    """

    size: int
    are_mixed: bool


async def _measure_pieces(file: Path, max_bytes: float = math.inf) -> _Pieces:
    """Add up the pieces of a file's sound, of which none counts more than `max_bytes`."""
    total, last, are_mixed = 0, 0, False
    async with _decoding(file, ("-c", "copy", "-f", "framecrc", "-"), SoundLog()) as copier:
        async for _, _, size in _pieces(copier):
            are_mixed = are_mixed or last > max_bytes
            total, last = total + round(min(size, max_bytes)), size
    return _Pieces(total, are_mixed)


def _length_by_bytes(file: Path, pieces: _Pieces, clock: SampleClock) -> Fraction:
    """Return how long a sound would be, if all bytes of its file that are no tags were sound."""
    lost_bytes = max(file.stat().st_size - count_tags(file) - pieces.size, 0)
    # What could not be decoded is one of the pieces, and has its time in the clock.
    return clock.decoded_s + lost_bytes * clock.seconds(clock.end) / pieces.size


async def decode_sound(file: Path, target: Path, *, limit_s: Fraction) -> Fraction:
    """Decode a sound file as far as it is heard, into samples; return how long they are, in seconds.

    Args:
        file: the sound.
        target: is replaced by its samples (see `SAMPLES`).
        limit_s: what comes later may be left out.

    Raises:
        FilmError: it cannot be read, or holds no sound.
        StorageError: the samples could not be written.
    """
    # Not -t, which goes by the file's times: they may jump. The size is that of all that was decoded so far.
    limit = ("-fs", str(math.ceil(limit_s * RATE_HZ) * _SAMPLE_BYTES))
    async with _decoding(file, ("-af", _STEREO, *limit, *SAMPLES, file_url(target)), SoundLog()):
        pass
    samples = (await asyncio.to_thread(target.stat)).st_size // _SAMPLE_BYTES
    if not samples:
        raise FilmError(f"{file}: {_SOUNDLESS}")
    return Fraction(samples, RATE_HZ)


async def side_by_side(
    work: Callable[[Path], Awaitable[T]], files: Iterable[Path]
) -> dict[Path, T | FilmError | StorageError]:
    """Do something with each file, with as many at once as there are processors; return the results, or the errors."""
    processors = asyncio.Semaphore(os.cpu_count() or 1)

    async def result(file: Path) -> T | FilmError | StorageError:
        async with processors:
            try:
                return await work(file)
            except (FilmError, StorageError) as exc:
                return exc

    distinct = list(dict.fromkeys(files))
    return dict(zip(distinct, await asyncio.gather(*map(result, distinct)), strict=True))


@contextlib.asynccontextmanager
async def _decoding(file: Path, output: Sequence[str], log: SoundLog) -> AsyncIterator[Process]:
    """Run ffmpeg on a file's sound while the block reads what it writes; its log is read beside.

    Raises:
        FilmError: it cannot be read, or ffmpeg takes far too long.
        StorageError: ffmpeg could not write.
    """
    arguments = [*LOG_OPTIONS, *_INPUT, "-i", file_url(file), "-map", "0:a:0", *output]
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            async with running_ffmpeg(arguments, folder=Path.cwd(), stdout=PIPE, on_stderr=log.feed) as decoder:
                yield decoder
    except TimeoutError as exc:
        raise FilmError(f"{file}: not read to its end after {_TIMEOUT_S} s") from exc
    except FilmError as exc:
        raise FilmError(f"{file}: {_reason(log.complaints or [str(exc)])}") from exc


async def _pieces(ffmpeg: Process) -> AsyncIterator[tuple[int, int, int]]:
    """Yield when each piece of a sound begins, how long it is, and its bytes, as ffmpeg's framecrc writes it."""
    assert ffmpeg.stdout is not None
    async for line in ffmpeg.stdout:
        # `0, <dts>, <pts>, <duration>, <size>, <checksum>`; lines on the whole stream begin with `#`.
        if line.startswith(b"0,"):
            _, _, start, length, size, *_ = line.split(b",")
            yield int(start), int(length), int(size)


def _reason(complaints: Sequence[str]) -> str:
    """Return what is wrong with a file, given what ffmpeg says of it."""
    for words, fault in _FAULTS.items():
        if any(words in complaint for complaint in complaints):
            return fault
    # The last one is the plainest; in front of it stands the part of ffmpeg that writes it.
    last = re.sub(r"^(\[[^]]*\] *)+", "", complaints[-1].strip().splitlines()[-1])
    return f"is no sound that ffmpeg reads: {last}; {_CURE}"
