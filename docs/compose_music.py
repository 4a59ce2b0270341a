"""Compose the music of the first film, `configs/storyboards/sounds/garden.ogg`: `python docs/compose_music.py`.

Twelve bars of plucked strings over soft chords, which go round without a seam: what sounds beyond the end sounds on at
the beginning. The same samples each time; it is this project's own.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float64]

HERE = Path(__file__).parent
TRACK = HERE.parent / "configs/storyboards/sounds/garden.ogg"
RATE_HZ = 48_000
BAR_S = 3.0
# Notes are numbered as in MIDI: 69 is A at 440 Hz. A bass note, and the chord above it; in F major.
CHORDS = [
    (41, (57, 60, 64, 67)),  # F with a seventh and a ninth
    (38, (57, 60, 65, 69)),  # D minor
    (46, (58, 62, 65, 69)),  # B flat
    (36, (55, 60, 62, 67)),  # C, suspended
    (41, (57, 60, 65, 69)),
    (45, (55, 60, 64, 69)),  # A minor
    (46, (58, 62, 65, 70)),
    (36, (55, 60, 64, 67)),
    (38, (57, 62, 65, 69)),
    (43, (58, 62, 65, 67)),  # G minor
    (36, (58, 60, 64, 67)),  # C with a seventh, which leads home
    (41, (57, 60, 65, 69)),
]
# Which notes of the chord the eight plucks of a bar play, from the lowest on; 4 is the lowest an octave up.
PATTERN = (0, 2, 1, 3, 4, 3, 2, 1)
# A few notes above them: bar, beat of four, note.
MELODY = [(1, 2, 81), (2, 1, 77), (3, 2, 79), (5, 2, 76), (6, 1, 77), (7, 2, 79), (9, 2, 82), (10, 1, 79), (11, 2, 77)]
LENGTH = round(len(CHORDS) * BAR_S * RATE_HZ)


def main() -> None:
    """Compose, and encode as Opus."""
    rng = np.random.default_rng(7)
    dry = sum(voices(rng), start=np.zeros((2, LENGTH)))
    wet = reverberated(dry, rng)
    music = 0.75 * dry + 0.5 * wet
    music *= 0.5 / np.abs(music).max()
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "f32le", "-ar", str(RATE_HZ), "-ac", "2"]
    encoding = ["-i", "-", "-c:a", "libopus", "-b:a", "48k", "-bitexact", "-map_metadata", "-1"]
    subprocess.run([*command, *encoding, str(TRACK)], input=music.T.astype("<f4").tobytes(), check=True)


def voices(rng: np.random.Generator) -> Iterator[Samples]:
    """Yield what is played, note for note, as two channels of the length of the whole."""
    for bar, (bass, chord) in enumerate(CHORDS):
        start_s = bar * BAR_S
        yield placed(soft(bass, length_s=BAR_S * 1.2), start_s, loud=0.30, right=0.5)
        for number, note in enumerate(chord):
            yield placed(soft(note, length_s=BAR_S * 1.5), start_s, loud=0.07, right=0.2 + 0.2 * number)
        for step, place in enumerate(PATTERN):
            note = chord[place % 4] + 12 * (place // 4)
            # No hand plays a row of notes alike.
            loud = 0.22 * rng.uniform(0.75, 1) * (1.2 if step == 0 else 1)
            late_s = rng.uniform(0, 0.012)
            yield placed(plucked(note), start_s + step * BAR_S / 8 + late_s, loud=loud, right=0.35 + 0.04 * step)
    for bar, beat, note in MELODY:
        yield placed(plucked(note, decay_s=2.2), bar * BAR_S + beat * BAR_S / 4, loud=0.17, right=0.45)


def plucked(note: int, *, decay_s: float = 1.4) -> Samples:
    """Return a plucked string: harmonics that die away, the higher the sooner."""
    seconds = np.arange(round(decay_s * 3 * RATE_HZ)) / RATE_HZ
    hz = frequency(note)
    sound = np.zeros_like(seconds)
    for harmonic in range(1, 9):
        fading = np.exp(-seconds * (1 + 0.55 * harmonic) * 1.6 / decay_s)
        sound += fading * np.sin(2 * np.pi * hz * harmonic * seconds) / harmonic**1.7
    return sound * np.minimum(1, seconds / 0.004)


def soft(note: int, *, length_s: float) -> Samples:
    """Return a note that comes and goes slowly, of three strings that are a little out of tune."""
    seconds = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    hz = frequency(note)
    sound = np.zeros_like(seconds)
    for cents in (-4, 0, 5):
        turns = hz * 2 ** (cents / 1200) * seconds
        sound += np.sin(2 * np.pi * turns) + 0.25 * np.sin(4 * np.pi * turns) + 0.06 * np.sin(6 * np.pi * turns)
    return sound / 3 * np.sin(np.pi * seconds / length_s) ** 1.5


def frequency(note: int) -> float:
    """Return the frequency of a note, in Hz."""
    return 440 * 2 ** ((note - 69) / 12)


def placed(sound: Samples, start_s: float, *, loud: float, right: float) -> Samples:
    """Return a sound at its time and between the two channels, at equal power; what is beyond the end begins anew."""
    track = np.zeros(LENGTH)
    places = (round(start_s * RATE_HZ) + np.arange(len(sound))) % LENGTH
    np.add.at(track, places, sound * loud)
    return np.stack([track * np.cos(right * np.pi / 2), track * np.sin(right * np.pi / 2)])


def reverberated(dry: Samples, rng: np.random.Generator) -> Samples:
    """Return sound as a room gives it back: filtered noise that dies away within two seconds."""
    seconds = np.arange(2 * RATE_HZ) / RATE_HZ
    room = rng.standard_normal((2, len(seconds))) * np.exp(-seconds * 3.2)
    # A room swallows what is high.
    room = np.apply_along_axis(lambda noise: np.convolve(noise, np.hanning(24), "same"), 1, room)
    room /= np.sqrt((room**2).sum(axis=1, keepdims=True))
    # By way of the frequencies the whole goes round.
    return np.fft.irfft(np.fft.rfft(dry) * np.fft.rfft(room, LENGTH), LENGTH)


if __name__ == "__main__":
    main()
