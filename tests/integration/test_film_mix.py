"""The film speaks: narration is heard where the storyboard says, and everything else makes room for it."""

import asyncio
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pipelines.common.errors import FilmError, StorageError
from pipelines.film.ducking import passages_of
from pipelines.film.sound import mixed_sound
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.model import Instant, Sound, SoundMix, Span
from pipelines.storyboard.timeline import Spoken, build_timeline
from pipelines.voice.speech import speak
from tests.support import sound_samples
from tests.support.film_samples import timeline_of
from tests.support.full_disk import files_of_at_most
from tests.support.sound_samples import (
    NOWHERE,
    RATE_HZ,
    SPEECH_HZ,
    SUFFIXES,
    FilmWithSounds,
    Samples,
    apart,
    heard,
    level,
    loudness_lufs,
    sides,
    spoken_as,
    tone,
    true_peak_db,
    with_sounds,
    write_wav,
)

# The pictures of all films are encoded once for many tests.
pytestmark = pytest.mark.xdist_group("film_sound")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for what all films share: it is their sounds that differ, not their pictures."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def film_with(tmp_path: Path, kept: Path) -> FilmWithSounds:
    """Return a function that assembles a film with sounds."""
    return partial(sound_samples.film_with, tmp_path, kept=kept)


@pytest.mark.parametrize("codec", ["h264", "vp9", "prores"])
def test_a_narration_begins_at_its_cut(tmp_path: Path, film_with: FilmWithSounds, codec: str) -> None:
    """To within a few milliseconds, in every codec; a film that has no other sound has this one."""
    spoken = spoken_as(tmp_path / "a.wav", tone(0.4, rate_hz=SPEECH_HZ), 31, 48)

    samples = heard(film_with(spoken=[spoken], codec=codec))

    (loud,) = np.nonzero(np.abs(samples[:, 0]) > 0.1)
    assert (loud[0] / RATE_HZ, loud[-1] / RATE_HZ) == pytest.approx((31 / 24, 31 / 24 + 0.4), abs=0.004)


def test_a_narration_falls_silent_where_the_next_one_begins(tmp_path: Path, film_with: FilmWithSounds) -> None:
    """Softly, and the last one with the film."""
    long = tone(3, rate_hz=SPEECH_HZ)
    first, second = spoken_as(tmp_path / "a.wav", long, 0, 18), spoken_as(tmp_path / "b.wav", 0 * long, 18, 48)

    samples = heard(film_with(spoken=[first, second]))

    loudness = [level(samples, start_s, start_s + 0.01) for start_s in (0.68, 0.72, 0.735, 0.75)]
    assert loudness == sorted(loudness, reverse=True)
    assert loudness[0] > 0.5
    assert loudness[-1] == 0


def test_a_silent_format_says_nothing(tmp_path: Path, film_with: FilmWithSounds) -> None:
    """A GIF holds no sound, and is made without."""
    spoken = spoken_as(tmp_path / "a.wav", tone(0.4, rate_hz=SPEECH_HZ), 0, 48)

    film = film_with(spoken=[spoken], codec="gif")

    assert film.suffix == f".{SUFFIXES['gif']}"


def voiced(seconds: float, *, peak: float = 0.3, seed: int = 1) -> Samples:
    """Return something like a voice: a buzz that swells four times a second."""
    times = np.arange(round(seconds * SPEECH_HZ)) / SPEECH_HZ
    buzz = sum(np.sin(2 * np.pi * 140 * n * times + seed * n) / n for n in range(1, 20))
    return peak / 3 * np.asarray(buzz) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * times))


def music(file: Path, samples: Samples, **settings: object) -> Sound:
    """Write samples as a track under the whole film."""
    settings = {"span": Span(), **settings}
    return Sound(write_wav(file, samples), NOWHERE, **settings)  # type: ignore[arg-type]


def decibels(samples: Samples, start_s: float, end_s: float) -> float:
    """Return the RMS between two instants, in dBFS."""
    part = samples[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)]
    return float(10 * np.log10((part**2).mean() + 1e-12))


def speech_over_music_lu(folder: Path, film: Path, start_s: float, end_s: float) -> float:
    """Return how far the voice is above music of `apart`, both taken from a film's sound, by ffmpeg's meter."""
    voice, rest = sides(heard(film))
    paths = [write_wav(folder / f"{name}.wav", side, width=4) for name, side in (("voice", voice), ("rest", rest))]
    voice_lufs, rest_lufs = (loudness_lufs(path, start_s, end_s) for path in paths)
    return voice_lufs - rest_lufs


def noise(seconds: float, *, peak: float = 0.3, seed: int = 3) -> Samples:
    """Return music without any quiet moment."""
    white = np.random.default_rng(seed).uniform(-1, 1, round(seconds * RATE_HZ))
    return peak * np.convolve(white, np.ones(8) / 3, "same")


@pytest.mark.parametrize("duck_db", [0, 12, 30])
@pytest.mark.parametrize("volume", [1, 8], ids=["usual", "loud"])
@pytest.mark.parametrize("codec", ["h264", "prores"])
def test_the_voice_is_12_lu_above_music(
    tmp_path: Path, film_with: FilmWithSounds, codec: str, volume: int, duck_db: int
) -> None:
    """In each phrase, whatever the storyboard says of the music's volume and of ducking."""
    spoken = [
        spoken_as(tmp_path / "a.wav", voiced(1.5), 24, 96),
        spoken_as(tmp_path / "b.wav", voiced(1, peak=0.02), 96, 168),
    ]
    track = music(tmp_path / "m.wav", apart(noise(9)), volume=Fraction(volume))

    film = film_with(spoken=spoken, lengths=[84, 84], codec=codec, mix=SoundMix((track,), duck_db=Fraction(duck_db)))

    over = [speech_over_music_lu(tmp_path, film, *phrase) for phrase in [(1, 2.5), (4, 5)]]
    assert min(over) >= 12


def test_music_goes_down_before_a_phrase_and_up_after_it(tmp_path: Path, film_with: FilmWithSounds) -> None:
    """By ramps, all the way between two phrases that are apart, and not at all in a short pause."""
    spoken = [
        spoken_as(tmp_path / f"{start}.wav", voiced(1), start, end) for start, end in [(48, 84), (84, 168), (168, 240)]
    ]
    track = music(tmp_path / "m.wav", apart(tone(11)))

    _, rest = sides(heard(film_with(spoken=spoken, lengths=[240], mix=SoundMix((track,)), codec="prores")))

    levels = [decibels(rest, at / 100, at / 100 + 0.01) for at in range(1000)]
    full = levels[100]
    expected = {
        1.7: 0, 1.74: 0, 2.0: -12, 2.9: -12, 3.2: -12, 3.49: -12, 4.4: -12, 5.3: 0, 6.0: 0, 6.74: 0, 7.0: -12, 8.8: 0,
        9.9: 0,
    }  # fmt: skip
    assert {at: levels[round(at * 100)] - full for at in expected} == pytest.approx(expected, abs=0.5)
    assert np.abs(np.diff(levels)).max() < 1


@pytest.mark.parametrize(("peak", "lufs"), [(0.9999, -18), (0.3, -18), (0.02, -18), (0.005, -28)])
def test_a_voice_is_brought_to_its_level(tmp_path: Path, film_with: FilmWithSounds, peak: float, lufs: float) -> None:
    """-18 LUFS, however loud or quiet it was recorded; a near-silent one is raised by 30 dB at most."""
    spoken = spoken_as(tmp_path / "a.wav", voiced(3, peak=peak), 0, 96)

    film = film_with(spoken=[spoken], lengths=[96])

    assert loudness_lufs(film) == pytest.approx(lufs, abs=0.5)
    assert true_peak_db(film) < -1


def test_music_is_8_lu_below_the_voice_between_phrases(tmp_path: Path, film_with: FilmWithSounds) -> None:
    """However loud its file is; its volume comes on top of that."""
    spoken = spoken_as(tmp_path / "a.wav", voiced(1), 0, 144)
    files = [music(tmp_path / f"{peak}.wav", noise(9, peak=peak)) for peak in (0.02, 0.9)]
    mixes = [SoundMix((files[0],)), SoundMix((files[1],)), SoundMix((replace(files[1], volume=Fraction(2)),))]

    # One after another: they are all written to the same file.
    loudness = [loudness_lufs(film_with(spoken=[spoken], lengths=[144], mix=mix), 2.5, 6) for mix in mixes]

    assert loudness == pytest.approx([-26, -26, -20], abs=0.3)


def test_sounds_of_shots_keep_their_volume_and_make_room_too(tmp_path: Path, film_with: FilmWithSounds) -> None:
    """A loud one is as loud as it came, but not while someone speaks."""
    spoken = spoken_as(tmp_path / "a.wav", voiced(1), 48, 144)
    rain = Sound(write_wav(tmp_path / "rain.wav", apart(tone(9))), NOWHERE)

    film = film_with(spoken=[spoken], lengths=[144], mix=SoundMix((rain,)), codec="prores")
    _, rest = sides(heard(film))

    assert level(np.outer(rest, [1, 1]), 0.5, 1.5) == pytest.approx(1, abs=0.01)
    assert speech_over_music_lu(tmp_path, film, 2, 3) >= 12


@pytest.mark.parametrize("codec", ["h264", "vp9", "prores"])
@pytest.mark.parametrize("normalize", [False, True])
def test_nothing_clips(tmp_path: Path, film_with: FilmWithSounds, codec: str, normalize: bool) -> None:
    """Sounds that are too much together are kept below -1 dB, between samples too, in the finished film."""
    sounds = [Sound(write_wav(tmp_path / f"{n}.wav", noise(3, peak=0.9, seed=n)), NOWHERE) for n in range(3)]

    film = film_with(lengths=[48], mix=SoundMix(tuple(sounds), normalize=normalize), codec=codec)

    assert true_peak_db(film) < -1
    assert len(heard(film)) == 2 * RATE_HZ


@pytest.mark.parametrize("target_lufs", [-16, -23, -12])
def test_a_film_is_brought_to_the_loudness_that_is_asked_for(
    tmp_path: Path, film_with: FilmWithSounds, target_lufs: int
) -> None:
    """To half a LU, with speech and music in it, and no peak too high."""
    spoken = [spoken_as(tmp_path / f"{start}.wav", voiced(2), start, start + 72) for start in (0, 72)]
    mix = SoundMix((music(tmp_path / "m.wav", noise(9)),), normalize=True, loudness_lufs=Fraction(target_lufs))

    film = film_with(spoken=spoken, lengths=[144], mix=mix)

    assert loudness_lufs(film) == pytest.approx(target_lufs, abs=0.5)
    assert true_peak_db(film) < -1


def test_tracks_cross_without_a_dip(tmp_path: Path, film_with: FilmWithSounds) -> None:
    """Each is heard where it should be, and in between both are together as loud as one alone."""
    first = music(tmp_path / "1.wav", noise(9, seed=1), span=Span(end=Instant(1)))
    second = music(tmp_path / "2.wav", noise(9, seed=2), span=Span(crossfade_s=Fraction(1)))
    third = music(tmp_path / "3.wav", tone(9, hz=440), span=Span(start=Instant(time_s=Fraction(5)), end=Instant(2)))

    samples = heard(film_with(lengths=[48, 96, 24], mix=SoundMix((first, second, third)), codec="prores"))[:, 0]

    levels = [decibels(samples, at / 4, at / 4 + 0.25) for at in range(16)]
    assert max(levels) - min(levels) < 1
    assert decibels(samples, 6.01, 7) < -100


def test_a_track_after_the_films_end_is_not_heard(tmp_path: Path, film_with: FilmWithSounds) -> None:
    """Where narration leaves less time than it was written for, as also where a loop begins late in its file."""
    spoken = spoken_as(tmp_path / "a.wav", tone(1, rate_hz=SPEECH_HZ), 0, 48)
    late = music(tmp_path / "1.wav", tone(1, hz=5000), span=Span(start=Instant(time_s=Fraction(5))))
    loop = music(tmp_path / "2.wav", tone(1, hz=7000), loop=True, offset_s=Fraction(3, 4))

    samples = heard(film_with(spoken=[spoken], mix=SoundMix((loop, late)), codec="prores"))[RATE_HZ:, 0]

    spectrum = np.abs(np.fft.rfft(samples)) / len(samples)
    assert spectrum[5000] < 1e-4
    assert spectrum[7000] > 1e-3


def test_a_track_that_would_go_on_ends_softly(tmp_path: Path, film_with: FilmWithSounds) -> None:
    """Where its scene does: without a click."""
    track = music(tmp_path / "m.wav", tone(9), span=Span(end=Instant(1)))

    samples = heard(film_with(lengths=[48, 48], mix=SoundMix((track,)), codec="prores"))[:, 0]

    assert decibels(samples, 1.94, 1.95) == pytest.approx(decibels(samples, 1, 1.5), abs=0.5)
    assert np.abs(samples[2 * RATE_HZ - 10 :]).max() < 0.002


@pytest.mark.parametrize("fps", [Fraction(1), Fraction(24000, 1001), Fraction(120)], ids=str)
def test_a_narration_begins_with_its_video_frame_at_any_rate(
    tmp_path: Path, film_with: FilmWithSounds, fps: Fraction
) -> None:
    """To the millisecond, where sound is kept as it is."""
    spoken = [spoken_as(tmp_path / f"{start}.wav", tone(0.2, rate_hz=SPEECH_HZ), start, start + 3) for start in (1, 4)]

    samples = np.abs(heard(film_with(spoken=spoken, lengths=[7], fps=fps, codec="prores"))[:, 0]) > 0.01

    starts = [int(np.argmax(samples[round(start / fps * RATE_HZ) - 20 :])) - 20 for start in (1, 4)]
    assert max(map(abs, starts)) < RATE_HZ / 1000
    assert len(samples) == round(7 / fps * RATE_HZ)


@pytest.mark.parametrize("rate_hz", [8000, 22_050, 44_100, 48_000, 96_000])
def test_a_voice_of_any_rate_keeps_its_pitch(tmp_path: Path, film_with: FilmWithSounds, rate_hz: int) -> None:
    """And its length."""
    spoken = spoken_as(tmp_path / "a.wav", tone(1, rate_hz=rate_hz), 0, 48, rate_hz=rate_hz)

    samples = heard(film_with(spoken=[spoken], codec="prores"))[:, 0]

    assert np.abs(np.fft.rfft(samples[:RATE_HZ])).argmax() == 997
    assert np.abs(samples[round(1.001 * RATE_HZ) :]).max() < 0.001


@pytest.mark.parametrize(("voice", "track"), [(0, 0.3), (0.3, 0), (0, 0), (0.00002, 0.3)])
def test_silence_is_mixed_as_silence(tmp_path: Path, film_with: FilmWithSounds, voice: float, track: float) -> None:
    """A voice that says nothing, or music that is not there, is brought to no level."""
    spoken = spoken_as(tmp_path / "a.wav", voiced(1, peak=voice), 24, 48)

    film = film_with(spoken=[spoken], mix=SoundMix((music(tmp_path / "m.wav", noise(3, peak=track)),)))

    assert true_peak_db(film) < -1
    assert (np.abs(heard(film)).max() < 0.001) == (track == 0 and voice == 0)


def test_the_same_film_sounds_the_same(tmp_path: Path) -> None:
    """To the byte, from nothing each time."""
    spoken = (spoken_as(tmp_path / "a.wav", voiced(1), 24, 96),)
    timeline = replace(with_sounds(timeline_of([96]), music(tmp_path / "m.wav", noise(9))), spoken=spoken)

    mixes = [mixed_sound(timeline, tmp_path / name) for name in ("first", "second")]
    for mix in mixes:
        assert mix
        asyncio.run(mix.mix())

    first, second = (mix.path.read_bytes() for mix in mixes if mix)
    assert first == second


def test_what_is_said_counts_in_the_name_of_a_mix(tmp_path: Path) -> None:
    """Other words, another time, or another ducking make another mix; where the file lies does not count."""
    spoken = spoken_as(tmp_path / "a.wav", voiced(1), 24, 96)
    moved = replace(spoken, speech=replace(spoken.speech, file=tmp_path / "b.wav"))
    plain = timeline_of([96])

    def name(spoken: Spoken | None, **settings: object) -> str | None:
        sound = SoundMix((music(tmp_path / "m.wav", noise(1)),), **settings)  # type: ignore[arg-type]
        mix = mixed_sound(replace(plain, spoken=(spoken,) if spoken else (), sound=sound), tmp_path)
        return mix.path.name if mix else None

    others = [
        name(None),
        name(replace(spoken, start=25)),
        name(replace(spoken, end=90)),
        name(replace(spoken, speech=replace(spoken.speech, key="other"))),
        name(spoken, duck_db=Fraction(13)),
    ]
    assert len({name(spoken), *others}) == 6
    assert name(moved) == name(spoken)


def test_a_spoiled_recording_is_told(tmp_path: Path, film_with: FilmWithSounds) -> None:
    """With the cure: it is spoken anew where it is not there."""
    spoken = spoken_as(tmp_path / "a.wav", voiced(1), 0, 24)
    spoken.speech.file.write_bytes(b"RIFF no more")

    with pytest.raises(FilmError) as caught:
        film_with(spoken=[spoken])

    assert str(caught.value).startswith(f"{spoken.speech.file}: is no recording of a voice: ")
    assert str(caught.value).endswith("; remove it, and it is spoken anew")


def test_a_full_disk_leaves_no_half_mix(tmp_path: Path) -> None:
    """Nor what was decoded for it; it is a storage error."""
    spoken = (spoken_as(tmp_path / "a.wav", voiced(3), 0, 96),)
    timeline, folder = replace(timeline_of([96]), spoken=spoken), tmp_path / "kept"
    mix = mixed_sound(timeline, folder)
    assert mix

    with files_of_at_most(50_000), pytest.raises(StorageError):
        asyncio.run(mix.mix())

    assert list(folder.iterdir()) == []


def test_the_built_in_voice_is_well_above_the_music(tmp_path: Path, film_with: FilmWithSounds) -> None:
    """A storyboard's own words, in each of its phrases: measured from the finished film, where they are spoken."""
    board = tmp_path / "board.yaml"
    write_wav(tmp_path / "m.wav", apart(noise(12)))
    board.write_text(
        "audio: {track: m.wav, volume: 4, loop: true}\nscenes:\n- shots:\n"
        "  - {prompt: x, hold: auto, narration: 'Six in the morning, and nobody is up. The keeper climbs the steps.'}\n"
        "  - {prompt: y, hold: 6s, narration: 'Again.'}\n"
    )
    storyboard = load_storyboard(board)
    timeline = build_timeline(storyboard, speeches=speak(storyboard, tmp_path / "voice"))

    film = film_with(spoken=timeline.spoken, lengths=[hold.length for hold in timeline.holds], mix=timeline.sound)

    phrases = [(phrase.start_s, phrase.end_s) for phrase in passages_of(timeline)]
    assert len(phrases) == 1
    spoken_s = [(float(one.start / 24), float(one.start / 24 + one.speech.length_s)) for one in timeline.spoken]
    assert min(speech_over_music_lu(tmp_path, film, *span) for span in [*phrases, *spoken_s]) >= 12
    assert true_peak_db(film) < -1
