"""Sound files: any name, faults reported with their place, and a mix that is made once for what goes into it."""

import asyncio
import os
import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from pipelines.common.errors import FilmError, StoryboardError
from pipelines.film.assembler import cut_film
from pipelines.film.sound import MixedSound, mixed_sound
from pipelines.film.sound_checks import require_sounds
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.model import Place, Sound
from pipelines.storyboard.timeline import Timeline
from tests.support.film_samples import ask_ffmpeg, flat_frames, timeline_of
from tests.support.sound_samples import (
    PEAK,
    WavWriter,
    film_with,
    heard,
    level,
    silence,
    tone,
    wav_writer,
    with_sounds,
    write_wav,
)


@pytest.fixture
def wav(tmp_path: Path) -> WavWriter:
    """Return a function that writes samples to a WAV and makes a sound of it."""
    return wav_writer(tmp_path)


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


def test_a_file_may_have_any_name(tmp_path: Path, wav: WavWriter) -> None:
    """None is taken for a pattern, an option, a protocol or a filter."""
    clips = [wav(tone(0.5), name=name, frame=number) for number, name in enumerate(NAMES)]

    samples = heard(film_with(tmp_path, *clips, lengths=[12] * len(NAMES)))

    levels = {name: level(samples, number / 2, (number + 1) / 2) for number, name in enumerate(NAMES)}
    assert levels == pytest.approx(dict.fromkeys(NAMES, 1), abs=0.01)


@pytest.mark.parametrize(("codec", "sounds"), [("h264", 0), ("gif", 1)])
def test_a_film_without_sound_has_no_audio_stream(tmp_path: Path, wav: WavWriter, codec: str, sounds: int) -> None:
    """Neither without sounds nor in a format that has none."""
    film = film_with(tmp_path, *[wav(tone(1))] * sounds, codec=codec)

    # A map with a question mark finds none without complaint; with the picture, there is something to write.
    streams = ask_ffmpeg("-i", str(film), "-map", "0:v", "-map", "0:a?", "-c", "copy", "-f", "framecrc", "-").decode()
    assert re.findall(r"#media_type \d: (\w+)", streams) == ["video"]


CURE = "; use WAV, MP3, FLAC, OGG or M4A"
UNREADABLE = f"is no sound that ffmpeg reads: Error opening input files: Invalid data found when processing input{CURE}"
UNFINISHED = "was not written to its end, for its index is missing; use a whole copy of it"


def a_text(path: Path) -> None:
    path.write_text("This is no music.\n" * 50)


def a_film_without_sound(path: Path) -> None:
    ask_ffmpeg("-f", "lavfi", "-i", "color=s=64x48:d=0.2", "-f", "mp4", "-y", str(path))


def a_header_only(path: Path) -> None:
    write_wav(path, silence(0))


def an_unfinished_film(path: Path) -> None:
    ask_ffmpeg("-f", "lavfi", "-i", "sine=d=2", "-f", "mp4", "-y", str(path))
    # Its index comes last.
    path.write_bytes(path.read_bytes()[:-3000])


def a_picture(path: Path) -> None:
    Image.new("RGB", (64, 48)).save(path, "PNG")


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (a_text, UNREADABLE),
        (Path.touch, UNREADABLE),
        (a_film_without_sound, f"holds no sound{CURE}"),
        (a_header_only, f"holds no sound{CURE}"),
        (an_unfinished_film, UNFINISHED),
        (a_picture, f"is no sound file{CURE}"),
    ],
)
@pytest.mark.parametrize("name", ["a.mp3", "a\nb.wav"])
def test_a_file_without_sound_is_reported_with_its_place(
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

    message = f"{file}: {fault}"
    places = ["1:16: audio.track", "5:31: scenes.s.shots.t.sound"]
    assert [str(problem) for problem in caught.value.problems] == [f"{board}:{place}: {message}" for place in places]
    assert str(caught.value).startswith(f"{board}:1:16: ")


def test_a_track_among_several_is_reported_with_its_place(tmp_path: Path, wav: WavWriter) -> None:
    """In its short form and in its long one."""
    wav(tone(1), name="a.wav")
    a_text(tmp_path / "b.wav")
    board = tmp_path / "board.yaml"
    board.write_text("audio: {tracks: [a.wav, b.wav, {file: a.wav, offset: 2s}, {file: b.wav}]}\nprompts: [x]\n")

    with pytest.raises(StoryboardError) as caught:
        asyncio.run(require_sounds(load_storyboard(board)))

    assert [str(problem) for problem in caught.value.problems] == [
        f"{board}:1:25: audio.tracks[1]: {tmp_path / 'b.wav'}: {UNREADABLE}",
        f"{board}:1:39: audio.tracks[2].file: its offset of 2 s is beyond the file's end at 1 s",
        f"{board}:1:66: audio.tracks[3].file: {tmp_path / 'b.wav'}: {UNREADABLE}",
    ]


def test_an_offset_beyond_the_end_is_reported_with_its_place(tmp_path: Path, wav: WavWriter) -> None:
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


def test_a_sound_that_went_away_meanwhile_is_reported(tmp_path: Path, wav: WavWriter) -> None:
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


def test_a_sound_is_mixed_once(tmp_path: Path, wav: WavWriter) -> None:
    """Not even when the storyboard's lines move; the film uses the one that is there."""
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


def test_a_mix_leaves_nothing_beside_it(tmp_path: Path, wav: WavWriter) -> None:
    """Neither when it is made nor when it fails: decoded sounds are large."""
    whole, broken = wav(tone(1)), wav(silence(0), name="broken.wav")

    made = mixed(with_sounds(timeline_of([24]), whole, whole), tmp_path / "made")
    with pytest.raises(FilmError):
        mixed(with_sounds(timeline_of([24]), whole, broken), tmp_path / "failed")

    assert list((tmp_path / "made").iterdir()) == [made]
    assert list((tmp_path / "failed").iterdir()) == []


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
def test_a_changed_mix_is_mixed_again(
    tmp_path: Path, wav: WavWriter, change: Callable[[Timeline, Sound], Timeline]
) -> None:
    """Any change of the sound or its time counts: half a second into the film is another frame at another rate."""
    sound = wav(tone(1), frame=1)
    timeline = with_sounds(timeline_of([12, 12]), sound)

    before, after = mixed_sound(timeline, tmp_path), mixed_sound(change(timeline, sound), tmp_path)

    assert before
    assert after
    assert before.path != after.path


def test_a_changed_file_is_mixed_again(tmp_path: Path, wav: WavWriter) -> None:
    """By its time of change, where its size is the same; the first mix stays as it was."""
    sound, kept = wav(tone(1)), tmp_path / "kept"
    timeline = with_sounds(timeline_of([24]), sound)
    before = mixed(timeline, kept)

    write_wav(sound.file, tone(1, peak=PEAK / 2))
    os.utime(sound.file, (1, 1))
    after = mixed(timeline, kept)

    assert [round(level(heard(path)), 2) for path in (before, after)] == [1, 0.5]
