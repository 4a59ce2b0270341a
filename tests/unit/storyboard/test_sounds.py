"""Music as storyboards have it: one track or several, ducking and loudness."""

from fractions import Fraction

import pytest

from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.model import Instant, Span
from tests.unit.storyboard.problems import Write, problems

SCENES = """
scenes:
  - {id: one, shots: [{id: x, prompt: a, hold: 10}, {id: y, prompt: b, hold: 10}]}
  - {id: 4s, shots: [{prompts: [c, d], hold: 5}]}
"""
AT_4, AT_5 = Instant(time_s=Fraction(4)), Instant(time_s=Fraction(5))


@pytest.fixture
def with_audio(write: Write) -> Write:
    """Write a storyboard with `audio`, beside three sounds."""

    def write_audio(audio: str) -> object:
        path = write(f"audio: {audio}{SCENES}")
        for name in ("a.wav", "b.wav", "c.wav"):
            (path.parent / name).touch()
        return path

    return write_audio  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("tracks", "spans"),
    [
        ("[a.wav]", [Span()]),
        ("[a.wav, {file: b.wav, crossfade: 0}]", [Span(), Span(crossfade_s=Fraction(0))]),
        ("[{file: a.wav, from: one, to: one}]", [Span(Instant(0), Instant(2))]),
        ("[{file: a.wav, from: one/y, to: one/y}]", [Span(Instant(1), Instant(2))]),
        ("[{file: a.wav, from: 4s}]", [Span(Instant(2))]),
        ("[{file: a.wav, from: 4, to: 5s}]", [Span(AT_4, AT_5)]),
        ("[{file: a.wav, to: 4s/shot-1}]", [Span(None, Instant(4))]),
    ],
)  # fmt: skip
def test_tracks_begin_and_end_with_scenes_shots_and_times(with_audio: Write, tracks: str, spans: list[Span]) -> None:
    """An id that looks like a time is an id."""
    board = load_storyboard(with_audio(f"{{tracks: {tracks}}}"))

    assert [sound.span for sound in board.sound.sounds] == spans


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("", (False, -16, 12)),
        (", normalize: true", (True, -16, 12)),
        (", normalize: -23, duck: 12dB", (True, -23, 12)),
        (", normalize: -14.5 LUFS, duck: 6.5 dB", (True, Fraction(-29, 2), Fraction(13, 2))),
        (", duck: 0", (False, -16, 0)),
    ],
)
def test_loudness_and_ducking_are_read(with_audio: Write, settings: str, expected: tuple[object, ...]) -> None:
    """With their units or without."""
    sound = load_storyboard(with_audio(f"{{track: a.wav{settings}}}")).sound

    assert (sound.normalize, sound.loudness_lufs, sound.duck_db) == expected


@pytest.mark.parametrize(
    ("audio", "where", "message"),
    [
        ("{tracks: []}", "audio.tracks", "must not be empty"),
        ("{tracks: [a.wav], track: b.wav}", "audio.tracks", "cannot stand beside track; keep one of them"),
        ("{tracks: [a.wav], loop: true}", "audio.loop", "belongs to each of the tracks; write it there"),
        ("{tracks: [{file: a.wav, frm: one}]}", "audio.tracks[0].frm", "unknown key; did you mean 'from'?"),
        ("{tracks: [{file: a.wav, from: won}]}", "audio.tracks[0].from", "there is no scene or shot 'won'; did you mean 'one'?"),
        ("{tracks: [{file: a.wav, to: one/z}]}", "audio.tracks[0].to", "there is no scene or shot 'one/z'; did you mean 'one/y'?"),
        ("{tracks: [{file: a.wav, from: true}]}", "audio.tracks[0].from", "must be a scene's id, scene/shot, or a time like 4s, got true"),
        ("{tracks: [{file: a.wav, from: one/y, to: one/x}]}", "audio.tracks[0].to", "is not after its `from`; write a later one"),
        ("{tracks: [{file: a.wav, from: 12s, to: one/x}]}", "audio.tracks[0].to", "is not after its `from`; write a later one"),
        ("{tracks: [{file: a.wav, from: 30s}]}", "audio.tracks[0].from", "is not before the film's end at 30 s"),
        ("{tracks: [{file: a.wav, from: 4s}, {file: b.wav, from: one}]}", "audio.tracks[1].from", "is not after that of the track before it; list tracks in the order in which they are heard"),
        ("{tracks: [{file: d.wav}]}", "audio.tracks[0].file", "there is no sound file"),
        ("{track: a.wav, duck: -12dB}", "audio.duck", "must be decibels from 0 to 60, like 12dB, got '-12dB'; did you mean '12dB'?"),
        ("{track: a.wav, duck: 61}", "audio.duck", "must be decibels from 0 to 60, like 12dB, got 61"),
        ("{track: a.wav, duck: true}", "audio.duck", "must be decibels from 0 to 60, like 12dB, got true"),
        ("{track: a.wav, normalize: 16}", "audio.normalize", "must be true, false, or a loudness from -40 to -5 LUFS, like -16, got 16; did you mean -16?"),
        ("{track: a.wav, normalize: loud}", "audio.normalize", "must be true, false, or a loudness from -40 to -5 LUFS, like -16, got 'loud'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_at_its_place(with_audio: Write, audio: str, where: str, message: str) -> None:
    """With the cure."""
    (problem,) = problems(with_audio(audio))

    assert f"{where}: {message}" in problem
