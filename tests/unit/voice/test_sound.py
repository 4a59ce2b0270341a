"""Sound as samples."""

import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pipelines.voice.errors import VoiceError
from pipelines.voice.sound import RATE_HZ, cut_after, cut_before, heard_stretches, read_sound, wav_bytes
from pipelines.voice.voices import Samples

HZ = 24_000


def _tone(length_s: float, *, level: float = 0.5, rate_hz: int = HZ) -> Samples:
    tone: Samples = (level * np.sin(np.arange(int(length_s * rate_hz)) * 0.06)).astype(np.float32)
    return tone


def _silence(length_s: float) -> Samples:
    return np.zeros(int(length_s * HZ), np.float32)


def _noise(length_s: float, level: float) -> Samples:
    return (level * np.random.default_rng(0).standard_normal(int(length_s * HZ))).astype(np.float32)


def test_what_is_heard_is_told_from_silence() -> None:
    """Loud and soft, to a hundredth of a second."""
    sound = np.concatenate([_silence(0.5), _tone(1), _silence(0.25), _tone(0.5, level=0.02), _silence(1)])

    assert heard_stretches(sound, HZ) == [(Fraction(1, 2), Fraction(3, 2)), (Fraction(7, 4), Fraction(9, 4))]


def test_what_stands_out_of_a_noise_that_never_stops_is_heard() -> None:
    """A room is never silent."""
    sound = np.concatenate([_silence(1), _tone(1), _silence(1)]) + _noise(3, 0.01)

    [(start_s, end_s)] = heard_stretches(sound, HZ)

    assert (float(start_s), float(end_s)) == pytest.approx((1, 2), abs=0.02)


@pytest.mark.parametrize("sound", [_silence(1), _silence(0), _tone(1, level=0.0005), _silence(0.001)])
def test_nothing_is_heard_in_silence(sound: Samples) -> None:
    """Nor in what no one hears, nor where there is no sound at all."""
    assert heard_stretches(sound, HZ) == []


def test_a_sound_is_cut_a_little_around_what_is_heard() -> None:
    """It fades at its end, so that the cut makes no click."""
    sound = np.concatenate([_silence(1), _tone(1), _noise(2, 0.001)])

    started = cut_before(sound, HZ)
    ended = cut_after(sound, HZ, Fraction(2))

    assert len(started) / HZ == pytest.approx(3.03, abs=0.001)
    assert len(ended) / HZ == pytest.approx(2.15, abs=0.001)
    assert ended[-1] == 0
    assert np.array_equal(ended[: 2 * HZ], sound[: 2 * HZ])


def test_a_sound_is_read_as_it_was_written(tmp_path: Path) -> None:
    """At the rate of films, from a file or its bytes; faster, it is shorter."""
    wav = wav_bytes(_tone(1, rate_hz=RATE_HZ), RATE_HZ)
    (tmp_path / "tone.wav").write_bytes(wav)

    read, of_file = read_sound(wav, longest_s=2), read_sound(tmp_path / "tone.wav", longest_s=2)
    faster = read_sound(wav, longest_s=2, speed=Fraction(3, 2))

    assert np.array_equal(read, of_file)
    assert read == pytest.approx(_tone(1, rate_hz=RATE_HZ), abs=1e-4)
    assert len(faster) / RATE_HZ == pytest.approx(2 / 3, abs=0.01)


def test_samples_that_are_no_numbers_are_silent(tmp_path: Path) -> None:
    """Files of floats may hold anything."""
    file = tmp_path / "odd.wav"
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(4)
        out.setframerate(RATE_HZ)
        out.writeframes(np.array([np.nan, np.inf, -np.inf, 9, 0.5], "<f4").tobytes())
    data = bytearray(file.read_bytes())
    # Its samples are floats, which Python's module cannot say.
    data[20:22] = (3).to_bytes(2, "little")

    assert read_sound(bytes(data), longest_s=1).tolist() == [0, 1, -1, 1, 0.5]


def test_a_sound_that_is_too_long_is_not_read_on() -> None:
    """However long it is."""
    with pytest.raises(VoiceError, match="lasts longer than 1 s"):
        read_sound(wav_bytes(_tone(3), HZ), longest_s=1)
