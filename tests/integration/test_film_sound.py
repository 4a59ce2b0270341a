"""The film sounds as the storyboard says, when it says so, sample by sample, read back from the film."""

import asyncio
import math
import re
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pipelines.film.sound_files import MeasuredSound, measure_sound
from pipelines.storyboard.model import Sound
from tests.support import sound_samples
from tests.support.film_samples import ask_ffmpeg
from tests.support.sound_samples import (
    NOWHERE,
    PEAK,
    RATE_HZ,
    FilmWithSounds,
    Samples,
    WavWriter,
    heard,
    level,
    silence,
    span_s,
    surf,
    tone,
    wav_writer,
    write_wav,
)

# The pictures of all films are encoded once for many tests.
pytestmark = pytest.mark.xdist_group("film_sound")

RATES = [Fraction(24), Fraction(24000, 1001), Fraction(60000, 1001)]


@pytest.fixture
def wav(tmp_path: Path) -> WavWriter:
    """Return a function that writes samples to a WAV and makes a sound of it."""
    return wav_writer(tmp_path)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for what all films share: it is their sounds that differ, not their pictures."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def film_with(tmp_path: Path, kept: Path) -> FilmWithSounds:
    """Return a function that assembles a film with sounds."""
    return partial(sound_samples.film_with, tmp_path, kept=kept)


def loudness_lufs(path: Path) -> float:
    """Return the integrated loudness (EBU R 128)."""
    meter = "ebur128=metadata=1,ametadata=mode=print:key=lavfi.r128.I:file=-"
    said = ask_ffmpeg("-i", f"file:{path}", "-map", "0:a:0", "-af", meter, "-f", "null", "-").decode()
    return float(re.findall(r"lavfi.r128.I=(\S+)", said)[-1])


@pytest.mark.parametrize("seconds", [0.3, 3], ids=["short", "long"])
@pytest.mark.parametrize("fps", RATES, ids=str)
@pytest.mark.parametrize("codec", ["h264", "vp9", "prores"])
def test_the_sound_is_as_long_as_the_film_to_the_sample(
    film_with: FilmWithSounds, wav: WavWriter, codec: str, fps: Fraction, seconds: float
) -> None:
    """Whether the track is shorter or longer, and whatever the rate: priming and padding are marked as such."""
    film = film_with(wav(tone(seconds)), lengths=[17, 22], fps=fps, codec=codec)

    samples = heard(film)
    duration_s = 39 / fps
    assert len(samples) == round(duration_s * RATE_HZ)
    assert span_s(samples) == pytest.approx((0, min(seconds, float(duration_s))), abs=0.002)


@pytest.mark.parametrize("fps", RATES, ids=str)
def test_a_clip_starts_with_its_shot(film_with: FilmWithSounds, wav: WavWriter, fps: Fraction) -> None:
    """At the shot's first video frame, in AAC too."""
    film = film_with(wav(tone(0.2), frame=2), lengths=[13, 10, 30], fps=fps, codec="h264")

    start_s = float(23 / fps)
    assert span_s(heard(film)) == pytest.approx((start_s, start_s + 0.2), abs=0.002)


def test_an_offset_skips_the_files_beginning(film_with: FilmWithSounds, wav: WavWriter) -> None:
    """A tone at 0.75 s in the file is at 0.5 s in the film."""
    samples = heard(film_with(wav(np.append(silence(0.75), tone(1)), offset_s=Fraction(1, 4))))

    assert span_s(samples) == pytest.approx((0.5, 1.5), abs=0.001)


def test_an_offset_is_skipped_once(film_with: FilmWithSounds, wav: WavWriter) -> None:
    """A loop begins again at the file's beginning."""
    loud_then_quiet = np.append(tone(0.5), tone(0.5, peak=PEAK / 5))

    samples = heard(film_with(wav(loud_then_quiet, offset_s=Fraction(1, 2), loop=True)))

    assert [level(samples, half / 2, half / 2 + 0.5) for half in range(4)] == pytest.approx([0.2, 1, 0.2, 1], abs=0.01)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "m4a"])
def test_a_loop_goes_on_to_the_films_end(
    tmp_path: Path, film_with: FilmWithSounds, wav: WavWriter, suffix: str
) -> None:
    """Without silence where the file repeats, and fades there only; in files with priming and padding too."""
    file = tmp_path / f"loop.{suffix}"
    ask_ffmpeg("-y", "-i", str(wav(tone(0.5)).file), str(file))

    samples = heard(film_with(Sound(file, NOWHERE, loop=True, fade_out_s=Fraction(1)), lengths=[240]))

    tenths = [level(samples, tenth / 10, (tenth + 1) / 10) for tenth in range(100)]
    assert tenths == pytest.approx([1] * 90 + [0.95 - tenth / 10 for tenth in range(10)], abs=0.1)


def test_without_loop_a_track_plays_once(film_with: FilmWithSounds, wav: WavWriter) -> None:
    """After it comes silence."""
    samples = heard(film_with(wav(tone(0.5))))

    assert span_s(samples) == pytest.approx((0, 0.5), abs=0.001)
    assert not samples[round(0.51 * RATE_HZ) :].any()


def test_volume_is_a_factor(film_with: FilmWithSounds, wav: WavWriter) -> None:
    """1 leaves a sound as loud as it came, on both sides."""
    volumes = ["0", "0.1", "0.5", "1", "3"]
    sounds = [wav(tone(2), volume=Fraction(volume), frame=frame) for frame, volume in enumerate(volumes)]

    samples = heard(film_with(*sounds, lengths=[48] * len(volumes)))

    for shot, volume in zip(np.split(samples, len(volumes)), volumes, strict=True):
        expected = [float(volume)] * 2
        assert [level(shot[:, [side]]) for side in (0, 1)] == pytest.approx(expected, rel=0.005, abs=1e-4), volume


def envelope(samples: Samples, instants_s: Sequence[float]) -> list[float]:
    """Return how loud it is around each instant."""
    return [level(samples, instant_s - 0.01, instant_s + 0.01) for instant_s in instants_s]


@pytest.mark.parametrize(
    ("seconds", "settings", "shape"),
    [
        (9, {"fade_in_s": 1}, {0.1: 0.1, 0.5: 0.5, 0.9: 0.9, 1.1: 1, 1.9: 1}),
        (9, {"fade_out_s": 1}, {0.1: 1, 0.9: 1, 1.1: 0.9, 1.5: 0.5, 1.9: 0.1}),
        (1.5, {"fade_out_s": 1}, {0.4: 1, 0.6: 0.9, 1: 0.5, 1.4: 0.1, 1.6: 0}),
        (0.3, {"fade_out_s": 1, "loop": True}, {0.9: 1, 1.1: 0.9, 1.5: 0.5, 1.9: 0.1}),
        (9, {"fade_in_s": Fraction(1, 2), "fade_out_s": Fraction(1, 2), "frame": 1}, {0.9: 0, 1.25: 0.5, 1.75: 0.5}),
    ],
    ids=["in", "with the film", "with the file", "looped", "a clip"],
)
def test_fades_are_straight_lines(
    film_with: FilmWithSounds, wav: WavWriter, seconds: float, settings: dict[str, object], shape: dict[float, float]
) -> None:
    """In from its beginning; out to its end, which is the film's or the file's, whichever comes first."""
    samples = heard(film_with(wav(tone(seconds), **settings)))

    assert envelope(samples, list(shape)) == pytest.approx(list(shape.values()), abs=0.015)


def test_fades_of_clips_end_with_their_files(film_with: FilmWithSounds, wav: WavWriter) -> None:
    """Each in its own shot: after an offset, faded for longer than it is heard, and of any length."""
    fades: list[tuple[float, dict[str, object], dict[float, float]]] = [
        (1.5, {"fade_out_s": 1, "offset_s": Fraction(1, 2)}, {0.1: 0.9, 0.5: 0.5, 0.9: 0.1, 1.1: 0}),
        (1, {"fade_out_s": 9}, {0.1: 0.9, 0.5: 0.5, 0.9: 0.1, 1.9: 0}),
        (0.5, {"fade_out_s": Fraction(1, 2)}, {0.1: 0.8, 0.25: 0.5, 0.4: 0.2, 0.6: 0}),
    ]
    clips = [
        wav(tone(seconds), name=f"{frame}.wav", frame=frame, **settings)
        for frame, (seconds, settings, _) in enumerate(fades)
    ]

    samples = heard(film_with(*clips, lengths=[48] * len(fades)))

    for shot, (_, settings, shape) in zip(np.split(samples, len(fades)), fades, strict=True):
        assert envelope(shot, list(shape)) == pytest.approx(list(shape.values()), abs=0.015), settings


def test_sounds_are_summed(film_with: FilmWithSounds, wav: WavWriter) -> None:
    """Each stays as loud as it is alone, before, while and after others are heard."""
    hertz = [300, 700, 1500]
    sounds = [
        wav(tone(3, hz=hertz[0]), name="0.wav"),
        wav(tone(1, hz=hertz[1]), name="1.wav", frame=1),
        wav(tone(1, hz=hertz[2]), name="2.wav", frame=1),
    ]

    samples = heard(film_with(*sounds, lengths=[24, 48]))[:, 0].reshape(3, RATE_HZ)

    # A second holds whole periods: each tone is in one place of the spectrum.
    peaks = np.abs(np.fft.rfft(samples))[:, hertz] / (RATE_HZ / 2) / PEAK
    assert peaks.tolist() == [pytest.approx(row, abs=0.005) for row in ([1, 0, 0], [1, 1, 1], [1, 0, 0])]


def test_a_file_may_sound_in_many_shots(film_with: FilmWithSounds, wav: WavWriter) -> None:
    """Once in each."""
    clips = [wav(tone(0.1), frame=frame) for frame in range(20)]

    samples = heard(film_with(*clips, lengths=[5] * 20))

    starts_s = [5 * frame / 24 for frame in range(20)]
    assert [level(samples, start_s, start_s + 0.1) for start_s in starts_s] == pytest.approx([1] * 20, abs=0.01)
    assert [level(samples, start_s + 0.11, start_s + 0.2) for start_s in starts_s] == [0] * 20


PCM = [(8000, 2, 1), (22_050, 3, 2), (44_100, 2, 1), (44_100, 2, 2), (48_000, 3, 1), (96_000, 4, 2)]


def test_any_pcm_keeps_its_pitch_its_length_and_its_level(tmp_path: Path, film_with: FilmWithSounds) -> None:
    """One channel is heard on both sides, two on their own."""
    clips = []
    for frame, (rate_hz, width, channels) in enumerate(PCM):
        sides = np.outer(tone(1, rate_hz=rate_hz), [1, 0.5][:channels])
        file = write_wav(tmp_path / f"{frame}.wav", sides, rate_hz=rate_hz, width=width)
        clips.append(Sound(file, NOWHERE, frame=frame))

    samples = heard(film_with(*clips, lengths=[48] * len(PCM)))

    for shot, (rate_hz, width, channels) in zip(np.split(samples, len(PCM)), PCM, strict=True):
        right = 0.5 if channels == 2 else 1
        levels = [level(shot[:, [side]], 0.1, 0.9) for side in (0, 1)]
        assert span_s(shot) == pytest.approx((0, 1), abs=0.002), (rate_hz, width, channels)
        assert levels == pytest.approx([1, right], rel=0.005), (rate_hz, width, channels)
        assert np.abs(np.fft.rfft(shot[:RATE_HZ, 0])).argmax() == 997, (rate_hz, width, channels)


def test_a_wav_from_a_pipe_is_a_sound(tmp_path: Path, film_with: FilmWithSounds, wav: WavWriter) -> None:
    """Its header says that it is 4 GB long: the program that wrote it could not go back."""
    piped = tmp_path / "piped.wav"
    piped.write_bytes(ask_ffmpeg("-i", str(wav(tone(1)).file), "-f", "wav", "-"))

    assert asyncio.run(measure_sound(piped)) == MeasuredSound(Fraction(1))
    assert span_s(heard(film_with(Sound(piped, NOWHERE)))) == pytest.approx((0, 1), abs=0.001)


def bangs(seconds: float) -> Samples:
    """Return what cannot be made loud enough without a limiter: a faint tone with a bang each half second."""
    samples = tone(seconds, peak=0.05)
    for start in range(0, len(samples), RATE_HZ // 2):
        samples[start : start + 480] = 0.9 * np.hanning(480) * np.sin(np.arange(480) / 5)
    return samples


@pytest.mark.parametrize(
    ("samples", "codec"),
    [
        (tone(2, peak=0.002), "h264"),
        (tone(2, peak=0.99), "vp9"),
        (tone(0.3), "h264"),
        (surf(2), "h264"),
        (surf(2), "prores"),
        (bangs(2), "h264"),
        (bangs(2), "vp9"),
    ],
    ids=["faint", "loud in vp9", "a beep in silence", "surf", "surf in prores", "bangs", "bangs in vp9"],
)
def test_normalize_brings_the_mix_to_16_lufs(
    film_with: FilmWithSounds, wav: WavWriter, samples: Samples, codec: str
) -> None:
    """Within 1 LU, and with peaks below the limit."""
    film = film_with(wav(samples), lengths=[24] * 2, normalize=True, codec=codec)

    decoded = heard(film)
    assert loudness_lufs(film) == pytest.approx(-16, abs=1)
    assert np.abs(decoded).max() < 0.95
    assert len(decoded) == 2 * RATE_HZ


def test_normalized_is_as_loud_as_the_standard_says(film_with: FilmWithSounds, wav: WavWriter) -> None:
    """997 Hz on both sides with a peak of 0 dBFS are 0 LUFS (ITU-R BS.1770): 16 dB below that is expected."""
    clips = wav(tone(2, peak=0.05)), wav(tone(2, peak=0.1), name="2.wav", frame=1)

    samples = heard(film_with(*clips, lengths=[48, 48], normalize=True))

    # The gate leaves out none of it: both halves count by their power.
    mean_square = np.mean([level(samples, 0.1, 1.9) ** 2, level(samples, 2.1, 3.9) ** 2])
    assert 20 * math.log10(math.sqrt(mean_square) * PEAK) == pytest.approx(-16, abs=0.3)


@pytest.mark.parametrize("samples", [silence(2), tone(2, peak=0.00005)], ids=["none", "next to none"])
def test_silence_stays_silent(film_with: FilmWithSounds, wav: WavWriter, samples: Samples) -> None:
    """There is nothing to bring to any loudness."""
    decoded = heard(film_with(wav(samples), normalize=True))

    assert len(decoded) == 2 * RATE_HZ
    assert np.abs(decoded).max() < 0.001
