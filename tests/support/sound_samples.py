"""Sounds to test with: tones written as WAV files, and a film's sound decoded sample by sample."""

import asyncio
import math
import re
import wave
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.common.files import hash_file
from pipelines.film.assembler import cut_film
from pipelines.storyboard.model import Place, Sound, SoundMix
from pipelines.storyboard.speech import Speech, Word
from pipelines.storyboard.timeline import Spoken, Timeline
from tests.support.film_samples import ask_ffmpeg, flat_frames, timeline_of

# Samples between -1 and 1; two columns where there are two channels.
Samples = npt.NDArray[np.float64]
# Writes samples to a WAV, and makes a sound of it; see `wav_writer`.
WavWriter = Callable[..., Sound]
# Assembles a film with sounds; see `film_with`.
FilmWithSounds = Callable[..., Path]

RATE_HZ = 48_000
SPEECH_HZ = 24_000
# PCM is what was mixed, to the bit; AAC and Opus only sound like it.
EXACT = "prores"
SUFFIXES = {"h264": "mp4", "vp9": "webm", "prores": "mov", "gif": "gif"}
NOWHERE = Place(0, 0, "")
PEAK = 0.25


def tone(seconds: float, *, hz: float = 997, peak: float = PEAK, rate_hz: int = RATE_HZ) -> Samples:
    """Return a sine."""
    return peak * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)


def silence(seconds: float) -> Samples:
    """Return samples of nothing."""
    return np.zeros(round(seconds * RATE_HZ))


def surf(seconds: float) -> Samples:
    """Return noise that swells and ebbs, without the height of white noise, which AAC leaves out."""
    white = np.random.default_rng(7).uniform(-1, 1, round(seconds * RATE_HZ))
    return np.convolve(white, np.ones(16) / 16, "same") * np.hanning(len(white))


def write_wav(path: Path, samples: Samples, *, rate_hz: int = RATE_HZ, width: int = 2) -> Path:
    """Write a PCM WAV of `width` bytes a sample."""
    whole = np.round(samples * (2 ** (8 * width - 1) - 1)).astype("<i4")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate_hz)
        file.writeframes(whole.reshape(-1, 1).view(np.uint8)[:, :width].tobytes())
    return path


def wav_writer(folder: Path) -> WavWriter:
    """Return a function that writes samples to a WAV in a folder and makes a sound of it."""

    def write(samples: Samples, *, name: str = "sound.wav", **settings: object) -> Sound:
        return Sound(write_wav(folder / name, samples), NOWHERE, **settings)  # type: ignore[arg-type]

    return write


def spoken_as(file: Path, samples: Samples, start: int, end: int, *, rate_hz: int = SPEECH_HZ) -> Spoken:
    """Write samples as a voice does, as one long word that is spoken between two video frames."""
    length_s = Fraction(len(samples), rate_hz)
    write_wav(file, samples, rate_hz=rate_hz)
    speech = Speech(hash_file(file), file, length_s, (Word("aah", 0, Fraction(0), length_s),))
    return Spoken(speech, start, end)


def with_sounds(timeline: Timeline, *sounds: Sound, normalize: bool = False) -> Timeline:
    """Return a timeline with these sounds."""
    return replace(timeline, sound=SoundMix(sounds, normalize))


def film_with(
    folder: Path,
    *sounds: Sound,
    spoken: Sequence[Spoken] = (),
    mix: SoundMix | None = None,
    lengths: Sequence[int] = (24, 24),
    normalize: bool = False,
    fps: Fraction = Fraction(24),
    codec: str = EXACT,
    kept: Path | None = None,
) -> Path:
    """Assemble a film with these sounds, of one flat frame; its picture is taken from `kept` if it is there already."""
    timeline = with_sounds(timeline_of(lengths, fps=fps, codec=codec), *sounds, normalize=normalize)
    timeline = replace(timeline, spoken=tuple(spoken), sound=mix or timeline.sound)
    kept = kept or folder / "kept"
    # Written once: a file that is written again counts as another picture.
    frames = sorted((kept / "frames").glob("*.png")) or flat_frames(kept / "frames", ["red"])
    target = folder / f"film.{SUFFIXES[codec]}"
    return asyncio.run(cut_film(timeline, frames * len(lengths), target, segments=kept / "segments")).path


def heard(film: Path) -> Samples:
    """Decode the sound of a film: 48,000 samples a second in two columns."""
    raw = ask_ffmpeg("-i", f"file:{film}", "-map", "0:a:0", "-f", "f32le", "-")
    return np.frombuffer(raw, "<f4").reshape(-1, 2).astype(float)


def loudness_lufs(path: Path, start_s: float = 0, end_s: float = 86_400) -> float:
    """Return the integrated loudness between two instants (EBU R 128), by ffmpeg's meter."""
    return float(_metered(path, f"atrim={start_s}:{end_s},")["I"])


def true_peak_db(path: Path) -> float:
    """Return the true peak in dBTP, by ffmpeg's meter."""
    return float(_metered(path, "")["Peak"])


def _metered(path: Path, filters: str) -> dict[str, str]:
    arguments = ["-v", "info", "-nostats", "-i", f"file:{path}", "-map", "0:a:0"]
    said = ask_ffmpeg(*arguments, "-af", f"{filters}ebur128=peak=true", "-f", "null", "-", stream="stderr").decode()
    return dict(re.findall(r"^ +(I|Peak): +(\S+)", said.rpartition("Summary:")[2], re.MULTILINE))


def sides(samples: Samples) -> tuple[Samples, Samples]:
    """Return what is the same on both sides, as the voice is, and what is the opposite on both, as `apart` makes it."""
    return samples.mean(axis=1), (samples[:, 0] - samples[:, 1]) / 2


def apart(samples: Samples) -> Samples:
    """Return one channel as two that are each other's opposite: it can be told from a voice in the middle."""
    return np.outer(samples, [1, -1])


def level(samples: Samples, start_s: float = 0, end_s: float = math.inf) -> float:
    """Return the RMS between two instants as a share of that of `tone` as it comes: 1 is as loud."""
    end = None if end_s == math.inf else round(end_s * RATE_HZ)
    part = samples[round(start_s * RATE_HZ) : end]
    return float(np.sqrt((part**2).mean())) / (PEAK / math.sqrt(2))


def span_s(samples: Samples) -> tuple[float, float]:
    """Return when a tone is first and last heard."""
    loud = np.nonzero(np.abs(samples).max(axis=1) > PEAK / 2)[0]
    return loud[0] / RATE_HZ, (loud[-1] + 1) / RATE_HZ
