"""Sound as samples: what ffmpeg decodes, where in it something is heard, and the WAV files that are kept."""

import asyncio
import io
import wave
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.common.errors import FilmError
from pipelines.common.ffmpeg import fed_ffmpeg, file_url, running_ffmpeg
from pipelines.voice.errors import VoiceError
from pipelines.voice.voices import Samples

# Of what is decoded: the films' own.
RATE_HZ = 48_000
# A step of 10 ms is short enough to place a word by, and holds a whole wave of the lowest voice.
STEPS_A_SECOND = 100
# After what is heard last: it dies away.
TAIL_S = Fraction(3, 20)
_FADE_S = Fraction(1, 50)
# Before what is heard first: it may begin softly.
_LEAD_S = Fraction(3, 100)
_CHUNK_BYTES = 1 << 20
_SAMPLE_BYTES = 4
# Below it a step is silent, whatever else there is: 20 bits of 24 would be lost.
_SILENCE_DB = -60.0
# Speech spans some 40 dB, from its vowels to its weakest consonants.
_RANGE_DB = 40.0
# Above the noise of a room that is heard all the time.
_ABOVE_NOISE_DB = 12.0
_LEAST_RANGE_DB = 20.0


def read_sound(source: Path | bytes, *, longest_s: int, speed: Fraction = Fraction(1)) -> Samples:
    """Decode a sound into samples of one channel at `RATE_HZ`. Blocking; no event loop may run in this thread.

    Args:
        source: the sound's file, or the file's bytes.
        longest_s: what lasts longer is refused.
        speed: how much faster it is to be, at the same pitch; from 0.5 to 2.

    Raises:
        VoiceError: it cannot be read, holds no sound, or too much of it.
    """
    try:
        return asyncio.run(_decode(source, longest_s=longest_s, speed=speed))
    except FilmError as exc:
        reason = str(exc).strip().splitlines()[-1]
        raise VoiceError(f"is no sound that ffmpeg reads: {reason}") from exc


async def _decode(source: Path | bytes, *, longest_s: int, speed: Fraction) -> Samples:
    data = bytearray()
    async with _decoder(source, speed) as decoder:
        async for chunk in _chunks(decoder):
            data += chunk
            if len(data) > longest_s * RATE_HZ * _SAMPLE_BYTES:
                raise VoiceError(f"lasts longer than {longest_s} s")
    if not data:
        raise VoiceError("holds no sound")
    # Not a number, or beyond the scale: samples that are floats in their file may be anything.
    samples: Samples = np.clip(np.nan_to_num(np.frombuffer(data, "<f4")), -1, 1).astype(np.float32)
    return samples


def _decoder(source: Path | bytes, speed: Fraction) -> AbstractAsyncContextManager[Process]:
    tempo = () if speed == 1 else ("-af", f"atempo={float(speed)}")
    output = ("-map", "0:a:0", *tempo, "-f", "f32le", "-ar", str(RATE_HZ), "-ac", "1", "-")
    if isinstance(source, bytes):
        arguments = ["-protocol_whitelist", "pipe", "-f", "wav", "-i", "pipe:0", *output]
        return fed_ffmpeg(arguments, [memoryview(source)], folder=Path.cwd(), stdout=PIPE)
    arguments = ["-protocol_whitelist", "file", "-i", file_url(source), *output]
    return running_ffmpeg(arguments, folder=Path.cwd(), stdout=PIPE)


async def _chunks(decoder: Process) -> AsyncIterator[bytes]:
    assert decoder.stdout is not None
    while chunk := await decoder.stdout.read(_CHUNK_BYTES):
        yield chunk


def heard_steps(samples: Samples, rate_hz: int) -> npt.NDArray[np.bool_]:
    """Return for each step of a sound (see `STEPS_A_SECOND`) whether something is heard in it.

    It is heard if it is at most 40 dB weaker than the strongest step; in a noise that never stops, if it stands out.
    """
    length = rate_hz // STEPS_A_SECOND
    steps = len(samples) // length
    if not steps:
        return np.zeros(0, np.bool_)
    powers = np.square(samples[: steps * length].reshape(steps, length)).mean(axis=1)
    levels_db = 10 * np.log10(powers + 1e-12)
    strongest_db = float(levels_db.max())
    noise_db = min(float(np.percentile(levels_db, 10)) + _ABOVE_NOISE_DB, strongest_db - _LEAST_RANGE_DB)
    heard: npt.NDArray[np.bool_] = levels_db >= max(_SILENCE_DB, strongest_db - _RANGE_DB, noise_db)
    return heard


def heard_stretches(samples: Samples, rate_hz: int) -> list[tuple[Fraction, Fraction]]:
    """Return where something is heard in a sound, in exact seconds: the start and the end of each stretch of it."""
    steps = np.concatenate([[False], heard_steps(samples, rate_hz), [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(steps)).tolist()
    times_s = [Fraction(edge, STEPS_A_SECOND) for edge in edges]
    return list(zip(times_s[::2], times_s[1::2], strict=True))


def cut_after(samples: Samples, rate_hz: int, end_s: Fraction, *, tail_s: Fraction = TAIL_S) -> Samples:
    """Return a sound up to a little after a time; it fades away, so that the cut is not heard."""
    cut = samples[: int((end_s + min(tail_s, TAIL_S)) * rate_hz)].copy()
    faded = min(len(cut), int(_FADE_S * rate_hz))
    cut[len(cut) - faded :] *= np.linspace(1, 0, faded, dtype=np.float32)
    return cut


def cut_before(samples: Samples, rate_hz: int) -> Samples:
    """Return a sound from a little before something is heard in it."""
    heard = np.flatnonzero(heard_steps(samples, rate_hz))
    start_s = Fraction(int(heard[0]), STEPS_A_SECOND) if len(heard) else Fraction(0)
    return samples[max(0, int((start_s - _LEAD_S) * rate_hz)) :]


def wav_bytes(samples: Samples, rate_hz: int) -> bytes:
    """Return samples as a WAV file of 16 bits."""
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return data.getvalue()
