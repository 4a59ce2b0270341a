"""What is heard is what the storyboard says, when it says so, sample by sample, read back from the film."""

import asyncio
import math
import os
import re
import wave
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from pipelines.common.errors import FilmError, StoryboardError
from pipelines.film.assembler import assemble_film, cut_film
from pipelines.film.sound import MixedSound, measure_sound, mixed_sound, require_sounds
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.model import Place, Sound, SoundMix
from pipelines.storyboard.timeline import Timeline
from tests.support.film_samples import ask_ffmpeg, flat_frames, timeline_of

# Samples between -1 and 1; two columns where there are two channels.
Samples = npt.NDArray[np.float64]

RATE_HZ = 48_000
RATES = [Fraction(24), Fraction(24000, 1001), Fraction(60000, 1001)]
# PCM is what was mixed, to the bit; AAC and Opus only sound like it.
EXACT = "prores"
SUFFIXES = {"h264": "mp4", "vp9": "webm", "prores": "mov", "gif": "gif"}
NOWHERE = Place(0, 0, "")
PEAK = 0.25


def tone(seconds: float, *, hz: float = 997, peak: float = PEAK, rate_hz: int = RATE_HZ) -> Samples:
    """Return a sine."""
    return peak * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)


def silence(seconds: float) -> Samples:
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


@pytest.fixture
def wav(tmp_path: Path) -> Callable[..., Sound]:
    """Return what writes samples to a WAV and makes a sound of it."""

    def write(samples: Samples, *, name: str = "sound.wav", **how: object) -> Sound:
        return Sound(write_wav(tmp_path / name, samples), NOWHERE, **how)  # type: ignore[arg-type]

    return write


def with_sounds(timeline: Timeline, *sounds: Sound, normalize: bool = False) -> Timeline:
    return replace(timeline, sound=SoundMix(sounds, normalize))


def film_with(
    folder: Path,
    *sounds: Sound,
    lengths: Sequence[int] = (24, 24),
    normalize: bool = False,
    fps: Fraction = Fraction(24),
    codec: str = EXACT,
) -> Path:
    """Assemble a film of flat frames with these sounds."""
    timeline = with_sounds(timeline_of(lengths, fps=fps, codec=codec), *sounds, normalize=normalize)
    frames = flat_frames(folder / "frames", ["red"] * len(lengths))
    return assemble_film(timeline, frames, folder / f"film.{SUFFIXES[codec]}").path


def heard(film: Path) -> Samples:
    """Decode all that a film lets hear: 48,000 samples a second in two columns."""
    raw = ask_ffmpeg("-i", f"file:{film}", "-map", "0:a:0", "-f", "f32le", "-")
    return np.frombuffer(raw, "<f4").reshape(-1, 2).astype(float)


def level(samples: Samples, start_s: float = 0, end_s: float = math.inf) -> float:
    """Return the RMS between two instants as a share of that of `tone` as it comes: 1 is as loud."""
    end = None if end_s == math.inf else round(end_s * RATE_HZ)
    part = samples[round(start_s * RATE_HZ) : end]
    return float(np.sqrt((part**2).mean())) / (PEAK / math.sqrt(2))


def span_s(samples: Samples) -> tuple[float, float]:
    """Return when a tone is first and last heard."""
    loud = np.nonzero(np.abs(samples).max(axis=1) > PEAK / 2)[0]
    return loud[0] / RATE_HZ, (loud[-1] + 1) / RATE_HZ


def loudness_lufs(path: Path) -> float:
    """Return the integrated loudness (EBU R 128)."""
    told = "ebur128=metadata=1,ametadata=mode=print:key=lavfi.r128.I:file=-"
    said = ask_ffmpeg("-i", f"file:{path}", "-map", "0:a:0", "-af", told, "-f", "null", "-").decode()
    return float(re.findall(r"lavfi.r128.I=(\S+)", said)[-1])


@pytest.mark.parametrize("seconds", [0.3, 3], ids=["short", "long"])
@pytest.mark.parametrize("fps", RATES, ids=str)
@pytest.mark.parametrize("codec", ["h264", "vp9", "prores"])
def test_the_sound_is_as_long_as_the_film_to_the_sample(
    tmp_path: Path, wav: Callable[..., Sound], codec: str, fps: Fraction, seconds: float
) -> None:
    """Whether the track is shorter or longer, and whatever the rate: priming and padding are marked as such."""
    film = film_with(tmp_path, wav(tone(seconds)), lengths=[17, 22], fps=fps, codec=codec)

    samples = heard(film)
    duration_s = 39 / fps
    assert len(samples) == round(duration_s * RATE_HZ)
    assert span_s(samples) == pytest.approx((0, min(seconds, float(duration_s))), abs=0.002)


@pytest.mark.parametrize("fps", RATES, ids=str)
def test_a_clip_starts_with_its_shot(tmp_path: Path, wav: Callable[..., Sound], fps: Fraction) -> None:
    """At the shot's first video frame, in AAC too."""
    film = film_with(tmp_path, wav(tone(0.2), frame=2), lengths=[13, 10, 30], fps=fps, codec="h264")

    start_s = float(23 / fps)
    assert span_s(heard(film)) == pytest.approx((start_s, start_s + 0.2), abs=0.002)


def test_an_offset_skips_the_files_beginning(tmp_path: Path, wav: Callable[..., Sound]) -> None:
    """What was at 0.75 s in the file is at 0.5 s in the film."""
    samples = heard(film_with(tmp_path, wav(np.append(silence(0.75), tone(1)), offset_s=Fraction(1, 4))))

    assert span_s(samples) == pytest.approx((0.5, 1.5), abs=0.001)


def test_an_offset_is_skipped_once(tmp_path: Path, wav: Callable[..., Sound]) -> None:
    """A loop begins again at the file's beginning."""
    loud_then_quiet = np.append(tone(0.5), tone(0.5, peak=PEAK / 5))

    samples = heard(film_with(tmp_path, wav(loud_then_quiet, offset_s=Fraction(1, 2), loop=True)))

    assert [level(samples, half / 2, half / 2 + 0.5) for half in range(4)] == pytest.approx([0.2, 1, 0.2, 1], abs=0.01)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "m4a"])
def test_a_loop_goes_on_to_the_films_end(tmp_path: Path, wav: Callable[..., Sound], suffix: str) -> None:
    """Without silence where the file repeats, and fades there only; in files with priming and padding too."""
    file = tmp_path / f"loop.{suffix}"
    ask_ffmpeg("-y", "-i", str(wav(tone(0.5)).file), str(file))

    samples = heard(film_with(tmp_path, Sound(file, NOWHERE, loop=True, fade_out_s=Fraction(1)), lengths=[240]))

    tenths = [level(samples, tenth / 10, (tenth + 1) / 10) for tenth in range(100)]
    assert tenths == pytest.approx([1] * 90 + [0.95 - tenth / 10 for tenth in range(10)], abs=0.1)


def test_without_loop_a_track_plays_once(tmp_path: Path, wav: Callable[..., Sound]) -> None:
    """After it comes silence."""
    samples = heard(film_with(tmp_path, wav(tone(0.5))))

    assert span_s(samples) == pytest.approx((0, 0.5), abs=0.001)
    assert not samples[round(0.51 * RATE_HZ) :].any()


@pytest.mark.parametrize("volume", ["0", "0.1", "0.5", "1", "3"])
def test_volume_is_a_factor(tmp_path: Path, wav: Callable[..., Sound], volume: str) -> None:
    """1 leaves a sound as loud as it came, on both sides."""
    samples = heard(film_with(tmp_path, wav(tone(2), volume=Fraction(volume))))

    expected = [float(volume)] * 2
    assert [level(samples[:, [side]]) for side in (0, 1)] == pytest.approx(expected, rel=0.005, abs=1e-4)


def envelope(samples: Samples, instants_s: Sequence[float]) -> list[float]:
    """Return how loud it is around each instant."""
    return [level(samples, instant_s - 0.01, instant_s + 0.01) for instant_s in instants_s]


@pytest.mark.parametrize(
    ("seconds", "how", "shape"),
    [
        (9, {"fade_in_s": 1}, {0.1: 0.1, 0.5: 0.5, 0.9: 0.9, 1.1: 1, 1.9: 1}),
        (9, {"fade_out_s": 1}, {0.1: 1, 0.9: 1, 1.1: 0.9, 1.5: 0.5, 1.9: 0.1}),
        (1.5, {"fade_out_s": 1}, {0.4: 1, 0.6: 0.9, 1: 0.5, 1.4: 0.1, 1.6: 0}),
        (1.5, {"fade_out_s": 1, "offset_s": Fraction(1, 2)}, {0.1: 0.9, 0.5: 0.5, 0.9: 0.1, 1.1: 0}),
        (1, {"fade_out_s": 9}, {0.1: 0.9, 0.5: 0.5, 0.9: 0.1}),
        (0.3, {"fade_out_s": 1, "loop": True}, {0.9: 1, 1.1: 0.9, 1.5: 0.5, 1.9: 0.1}),
        (9, {"fade_in_s": Fraction(1, 2), "fade_out_s": Fraction(1, 2), "frame": 1}, {0.9: 0, 1.25: 0.5, 1.75: 0.5}),
        (0.5, {"fade_out_s": Fraction(1, 2), "frame": 1}, {0.9: 0, 1.1: 0.8, 1.25: 0.5, 1.4: 0.2, 1.6: 0}),
    ],
    ids=["in", "with the film", "with the file", "after an offset", "longer", "looped", "a clip", "a short clip"],
)
def test_fades_are_straight_lines(
    tmp_path: Path, wav: Callable[..., Sound], seconds: float, how: dict[str, object], shape: dict[float, float]
) -> None:
    """In from its beginning; out to its end, which is the film's or the file's, whichever comes first."""
    samples = heard(film_with(tmp_path, wav(tone(seconds), **how)))

    assert envelope(samples, list(shape)) == pytest.approx(list(shape.values()), abs=0.015)


def test_sounds_are_summed(tmp_path: Path, wav: Callable[..., Sound]) -> None:
    """Each stays as loud as it is alone, before, while and after others are heard."""
    hertz = [300, 700, 1500]
    sounds = [
        wav(tone(3, hz=hertz[0]), name="0.wav"),
        wav(tone(1, hz=hertz[1]), name="1.wav", frame=1),
        wav(tone(1, hz=hertz[2]), name="2.wav", frame=1),
    ]

    samples = heard(film_with(tmp_path, *sounds, lengths=[24, 48]))[:, 0].reshape(3, RATE_HZ)

    # A second holds whole periods: each tone is in one place of the spectrum.
    peaks = np.abs(np.fft.rfft(samples))[:, hertz] / (RATE_HZ / 2) / PEAK
    assert peaks.tolist() == [pytest.approx(row, abs=0.005) for row in ([1, 0, 0], [1, 1, 1], [1, 0, 0])]


def test_a_file_may_sound_in_many_shots(tmp_path: Path, wav: Callable[..., Sound]) -> None:
    """Once in each."""
    clips = [wav(tone(0.1), frame=frame) for frame in range(20)]

    samples = heard(film_with(tmp_path, *clips, lengths=[5] * 20))

    starts_s = [5 * frame / 24 for frame in range(20)]
    assert [level(samples, start_s, start_s + 0.1) for start_s in starts_s] == pytest.approx([1] * 20, abs=0.01)
    assert [level(samples, start_s + 0.11, start_s + 0.2) for start_s in starts_s] == [0] * 20


@pytest.mark.parametrize(
    ("rate_hz", "width", "channels"),
    [(8000, 2, 1), (22_050, 3, 2), (44_100, 2, 1), (44_100, 2, 2), (48_000, 3, 1), (96_000, 4, 2)],
)
def test_any_pcm_keeps_its_pitch_its_length_and_its_level(
    tmp_path: Path, rate_hz: int, width: int, channels: int
) -> None:
    """One channel is heard on both sides, two on their own."""
    sides = np.outer(tone(1, rate_hz=rate_hz), [1, 0.5][:channels])
    file = write_wav(tmp_path / "pcm.wav", sides, rate_hz=rate_hz, width=width)

    samples = heard(film_with(tmp_path, Sound(file, NOWHERE), lengths=[48]))

    right = 0.5 if channels == 2 else 1
    assert span_s(samples) == pytest.approx((0, 1), abs=0.002)
    assert [level(samples[:, [side]], 0.1, 0.9) for side in (0, 1)] == pytest.approx([1, right], rel=0.005)
    assert np.abs(np.fft.rfft(samples[:RATE_HZ, 0])).argmax() == 997


def test_a_wav_from_a_pipe_is_a_sound(tmp_path: Path, wav: Callable[..., Sound]) -> None:
    """Its header says that it is 4 GB long: whoever wrote it could not go back."""
    piped = tmp_path / "piped.wav"
    piped.write_bytes(ask_ffmpeg("-i", str(wav(tone(1)).file), "-f", "wav", "-"))

    assert asyncio.run(measure_sound(piped)) == 1
    assert span_s(heard(film_with(tmp_path, Sound(piped, NOWHERE)))) == pytest.approx((0, 1), abs=0.001)


def bangs(seconds: float) -> Samples:
    """Return what cannot be made loud enough without a limiter: a faint tone with a bang each half second."""
    samples = tone(seconds, peak=0.05)
    for start in range(0, len(samples), RATE_HZ // 2):
        samples[start : start + 480] = 0.9 * np.hanning(480) * np.sin(np.arange(480) / 5)
    return samples


@pytest.mark.parametrize(
    ("samples", "codec"),
    [
        (tone(4, peak=0.002), "h264"),
        (tone(4, peak=0.99), "vp9"),
        (tone(0.3), "h264"),
        (surf(4), "h264"),
        (surf(4), "prores"),
        (bangs(4), "h264"),
        (bangs(4), "vp9"),
    ],
    ids=["faint", "loud in vp9", "a beep in silence", "surf", "surf in prores", "bangs", "bangs in vp9"],
)
def test_normalize_brings_the_mix_to_16_lufs(
    tmp_path: Path, wav: Callable[..., Sound], samples: Samples, codec: str
) -> None:
    """Within 1 LU, and with peaks that leave room."""
    film = film_with(tmp_path, wav(samples), lengths=[24] * 4, normalize=True, codec=codec)

    assert loudness_lufs(film) == pytest.approx(-16, abs=1)
    assert np.abs(heard(film)).max() < 0.95
    assert len(heard(film)) == 4 * RATE_HZ


def test_normalized_is_as_loud_as_the_standard_says(tmp_path: Path, wav: Callable[..., Sound]) -> None:
    """997 Hz on both sides with a peak of 0 dBFS are 0 LUFS (ITU-R BS.1770): 16 dB below that is what we want."""
    clips = wav(tone(2, peak=0.05)), wav(tone(2, peak=0.1), name="2.wav", frame=1)

    samples = heard(film_with(tmp_path, *clips, lengths=[48, 48], normalize=True))

    # The gate leaves out none of it: both halves count by their power.
    mean_square = np.mean([level(samples, 0.1, 1.9) ** 2, level(samples, 2.1, 3.9) ** 2])
    assert 20 * math.log10(math.sqrt(mean_square) * PEAK) == pytest.approx(-16, abs=0.3)


@pytest.mark.parametrize("samples", [silence(2), tone(2, peak=0.00005)], ids=["none", "next to none"])
def test_silence_stays_silent(tmp_path: Path, wav: Callable[..., Sound], samples: Samples) -> None:
    """There is nothing to bring to any loudness."""
    film = film_with(tmp_path, wav(samples), normalize=True)

    assert len(heard(film)) == 2 * RATE_HZ
    assert np.abs(heard(film)).max() < 0.001


NAMES = [
    "it's.wav",
    'a "b" c.wav',
    "100% %03d.wav",
    "two\nlines.wav",
    "c:o:l,o;n=[s].wav",
    "-y.wav",
    "back\\slash.wav",
    "file:x.wav",
    "pipe:0",
    "*?.wav",
    "日本 ü.wav",
]


def test_a_file_may_have_any_name(tmp_path: Path, wav: Callable[..., Sound]) -> None:
    """None is taken for a pattern, an option, a protocol or a filter."""
    clips = [wav(tone(0.5), name=name, frame=number) for number, name in enumerate(NAMES)]

    samples = heard(film_with(tmp_path, *clips, lengths=[12] * len(NAMES)))

    levels = {name: level(samples, number / 2, (number + 1) / 2) for number, name in enumerate(NAMES)}
    assert levels == pytest.approx(dict.fromkeys(NAMES, 1), abs=0.01)


@pytest.mark.parametrize(("codec", "sounds"), [("h264", 0), ("gif", 1)])
def test_where_nothing_is_heard_there_is_no_stream(
    tmp_path: Path, wav: Callable[..., Sound], codec: str, sounds: int
) -> None:
    """Neither without sounds nor in a format that has none."""
    film = film_with(tmp_path, *[wav(tone(1))] * sounds, codec=codec)

    # A map with a question mark finds none without complaint; with the picture, there is something to write.
    streams = ask_ffmpeg("-i", str(film), "-map", "0:v", "-map", "0:a?", "-c", "copy", "-f", "framecrc", "-").decode()
    assert re.findall(r"#media_type \d: (\w+)", streams) == ["video"]


UNREADABLE = "is no sound that ffmpeg reads: Error opening input files: Invalid data found when processing input"


def a_text(path: Path) -> None:
    path.write_text("This is no music.\n" * 50)


def a_film_without_sound(path: Path) -> None:
    ask_ffmpeg("-f", "lavfi", "-i", "color=s=64x48:d=0.2", "-f", "mp4", "-y", str(path))


def a_header_only(path: Path) -> None:
    write_wav(path, silence(0))


def a_cut_flac(path: Path) -> None:
    ask_ffmpeg("-f", "lavfi", "-i", "sine=d=2", "-f", "flac", "-y", str(path))
    path.write_bytes(path.read_bytes()[:-1500])


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (a_text, UNREADABLE),
        (Path.touch, UNREADABLE),
        (a_film_without_sound, "holds no sound"),
        (a_header_only, "holds no sound"),
        (a_cut_flac, "is damaged"),
    ],
)
@pytest.mark.parametrize("name", ["a.mp3", "a\nb.wav"])
def test_what_cannot_be_heard_is_told_with_its_place(
    tmp_path: Path, spoil: Callable[[Path], None], name: str, fault: str
) -> None:
    """For the track and for a shot's sound, in one go."""
    file, board = tmp_path / name, tmp_path / "board.yaml"
    spoil(file)
    quoted = name.replace("\n", "\\n")
    board.write_text(
        f'audio: {{track: "{quoted}"}}\nscenes:\n- id: s\n  shots:\n  - {{id: t, prompt: x, sound: "{quoted}"}}\n'
    )

    with pytest.raises(StoryboardError) as caught:
        asyncio.run(require_sounds(load_storyboard(board)))

    message = f"{file}: {fault}; use WAV, MP3, FLAC, OGG or M4A"
    places = ["1:16: audio.track", "5:31: scenes.s.shots.t.sound"]
    assert [str(problem) for problem in caught.value.problems] == [f"{board}:{place}: {message}" for place in places]
    assert str(caught.value).startswith(f"{board}:1:16: ")


def test_an_offset_beyond_the_end_is_told_with_its_place(tmp_path: Path, wav: Callable[..., Sound]) -> None:
    """An offset that leaves something to hear is not."""
    wav(tone(1), name="a.wav")
    board = tmp_path / "board.yaml"
    text = "audio: {{track: a.wav, offset: {}}}\nprompts: [x]\n"

    board.write_text(text.format("900ms"))
    asyncio.run(require_sounds(load_storyboard(board)))
    board.write_text(text.format("1s"))
    with pytest.raises(StoryboardError) as caught:
        asyncio.run(require_sounds(load_storyboard(board)))

    assert str(caught.value) == f"{board}:1:16: audio.track: its offset of 1 s is beyond the file's end at 1 s"


def test_a_sound_that_went_away_meanwhile_is_told(tmp_path: Path, wav: Callable[..., Sound]) -> None:
    """The film is not made without it."""
    sound = wav(tone(1))
    sound.file.unlink()

    with pytest.raises(FilmError) as caught:
        film_with(tmp_path, sound)

    assert str(caught.value) == f"{sound.file}: is gone; put it back and render again"
    assert not (tmp_path / "film.mov").exists()


def mixed(timeline: Timeline, folder: Path) -> Path:
    """Mix a film's sound, or find it mixed."""
    sound = mixed_sound(timeline, folder)
    assert isinstance(sound, MixedSound)
    asyncio.run(sound.mix())
    return sound.path


def test_what_is_mixed_is_not_mixed_again(tmp_path: Path, wav: Callable[..., Sound]) -> None:
    """Not even when the storyboard's lines move; the film tells which one it used."""
    sound, kept = wav(tone(1)), tmp_path / "kept"
    timeline = with_sounds(timeline_of([12, 12]), sound)
    moved = with_sounds(timeline, replace(sound, place=Place(7, 3, "audio.track")))

    first = mixed(timeline, kept)
    before = first.stat()
    frames = flat_frames(tmp_path / "frames", ["red", "blue"])
    asyncio.run(cut_film(moved, frames, tmp_path / "film.mp4", segments=kept))

    after = mixed(moved, kept).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert list(kept.glob("*.mp4")) == [first]


@pytest.mark.parametrize(
    "change",
    [
        lambda timeline, sound: with_sounds(timeline, replace(sound, volume=Fraction(1, 2))),
        lambda timeline, sound: with_sounds(timeline, replace(sound, loop=True)),
        lambda timeline, sound: with_sounds(timeline, sound, normalize=True),
        lambda timeline, sound: with_sounds(timeline, sound, sound),
        lambda timeline, sound: with_sounds(timeline_of([12, 13]), sound),
        lambda timeline, sound: with_sounds(timeline_of([13, 11]), sound),
        lambda timeline, sound: with_sounds(timeline_of([12, 36], fps=Fraction(48)), sound),
        lambda timeline, sound: with_sounds(timeline_of([12, 12], codec="vp9"), sound),
    ],
    ids=["volume", "loop", "normalize", "more sounds", "longer film", "shot moved", "rate", "codec"],
)
def test_a_changed_mix_is_mixed_anew(
    tmp_path: Path, wav: Callable[..., Sound], change: Callable[[Timeline, Sound], Timeline]
) -> None:
    """Whatever changes what is heard, or when: half a second into the film is another frame at another rate."""
    sound = wav(tone(1), frame=1)
    timeline = with_sounds(timeline_of([12, 12]), sound)

    before, after = mixed_sound(timeline, tmp_path), mixed_sound(change(timeline, sound), tmp_path)

    assert before
    assert after
    assert before.path != after.path


def test_a_changed_file_is_mixed_anew(tmp_path: Path, wav: Callable[..., Sound]) -> None:
    """By its time of change, where its size is the same; both films stay as they were told."""
    sound, kept = wav(tone(1)), tmp_path / "kept"
    timeline = with_sounds(timeline_of([24]), sound)
    before = mixed(timeline, kept)

    write_wav(sound.file, tone(1, peak=PEAK / 2))
    os.utime(sound.file, (1, 1))
    after = mixed(timeline, kept)

    assert [round(level(heard(path)), 2) for path in (before, after)] == [1, 0.5]
