"""Recordings of narrations: their words are found in what is heard."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("hibari", reason="the built-in voice is not installed")
pytest.importorskip("pocketsphinx", reason="what finds words in recordings is not installed")

from pipelines.common.errors import StoryboardError
from pipelines.common.ffmpeg import file_url, running_ffmpeg
from pipelines.storyboard.speech import Speech
from pipelines.voice.notes import narration_notes
from pipelines.voice.sound import wav_bytes
from pipelines.voice.speech import speak
from pipelines.voice.voices import SpokenText
from tests.support.speech import hibari_voice, mean_distance_s, spoken_board

pytestmark = pytest.mark.ffmpeg

TEXT = "The harbor lay quiet before dawn, and the fishermen walked down to their boats. A cold wind came off the water."
PRICES = "On Jan. 5, 2024, Dr. Smith paid $9.99 for 12 apples. Then she went home, and nobody knew why."
OTHERS = [
    "Once upon a time a little rabbit lived in a garden full of carrots. Every morning she counted all of them.",
    "Hello there.",
    f"{TEXT} A dog barked at the stars, and nobody was there to hear it.",
    "The harbor lay quiet before dawn.",
]


@pytest.fixture(scope="module")
def spoken() -> SpokenText:
    return hibari_voice().speak(TEXT)


def _encode(spoken: SpokenText, file: Path, *options: str) -> None:
    """Write a sound as a file of the format that its name says."""
    wav = file.with_suffix(".source.wav")
    wav.write_bytes(wav_bytes(spoken.samples, spoken.rate_hz))

    async def encode() -> None:
        async with running_ffmpeg(["-i", file_url(wav), *options, file_url(file)], folder=file.parent):
            pass

    asyncio.run(encode())


def _recorded(folder: Path, name: str, text: str, *, top: str = "voice: file") -> tuple[Speech, list[str]]:
    """Return the speech of a storyboard with a recording, and the notes on it."""
    board = spoken_board(folder, f"{{file: {name}, text: '{text}'}}", top=f"narration: {{{top}}}")
    [speech] = speak(board, folder / "voice")
    return speech, [note.message for note in narration_notes(board, [speech])]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("rec.wav", ()),
        ("rec.mp3", ("-b:a", "64k")),
        ("rec.ogg", ("-ac", "2", "-ar", "44100")),
        ("rec.m4a", ("-ar", "22050")),
        ("rec.flac", ("-af", "volume=-20dB")),
        ("rec.opus", ("-b:a", "24k")),
    ],
)
def test_its_words_are_found_in_it(tmp_path: Path, spoken: SpokenText, name: str, options: tuple[str, ...]) -> None:
    """In any format, loud or not: on average within 0.1 s of where the voice that spoke it has them."""
    _encode(spoken, tmp_path / name, *options)

    speech, notes = _recorded(tmp_path, name, TEXT)

    assert not speech.are_estimated
    assert notes == []
    assert mean_distance_s(speech.words, spoken.words) < 0.06


def test_numbers_and_prices_are_found_too(tmp_path: Path) -> None:
    """They are written in figures and spoken in words."""
    prices = hibari_voice().speak(PRICES)
    _encode(prices, tmp_path / "rec.mp3")

    speech, notes = _recorded(tmp_path, "rec.mp3", PRICES)

    assert (speech.are_estimated, notes) == (False, [])
    assert mean_distance_s(speech.words, prices.words) < 0.1


def test_a_recording_begins_with_its_file_and_ends_with_its_last_sound(tmp_path: Path, spoken: SpokenText) -> None:
    """Silence before the first word is the speaker's own; what stands behind the last sound is left out."""
    silence = np.zeros(2 * spoken.rate_hz, np.float32)
    around = SpokenText(np.concatenate([silence, spoken.samples, silence, silence]), spoken.rate_hz, spoken.words)
    _encode(around, tmp_path / "rec.wav")

    speech, _ = _recorded(tmp_path, "rec.wav", TEXT)

    assert speech.words[0].start_s == pytest.approx(2.0, abs=0.1)
    assert speech.length_s == pytest.approx(2 + len(spoken.samples) / spoken.rate_hz, abs=0.2)


def test_its_words_are_found_in_noise(tmp_path: Path, spoken: SpokenText) -> None:
    """As a room has it: 20 dB below the voice."""
    noise = np.random.default_rng(0).standard_normal(len(spoken.samples)).astype(np.float32)
    level = float(np.sqrt(np.mean(spoken.samples**2))) / 10
    _encode(SpokenText(spoken.samples + level * noise, spoken.rate_hz, spoken.words), tmp_path / "rec.wav")

    speech, _ = _recorded(tmp_path, "rec.wav", TEXT)

    assert not speech.are_estimated
    assert mean_distance_s(speech.words, spoken.words) < 0.1


@pytest.mark.parametrize("text", OTHERS)
def test_a_text_that_is_not_spoken_is_noted_and_its_times_are_estimated(
    tmp_path: Path, spoken: SpokenText, text: str
) -> None:
    """Another text, much less, much more: its words share what is heard."""
    _encode(spoken, tmp_path / "rec.mp3")

    speech, notes = _recorded(tmp_path, "rec.mp3", text)

    assert speech.are_estimated
    assert notes == [
        "its words are not found in rec.mp3, and their times are estimated; "
        "correct the text, or state the storyboard's language: if it is not English"
    ]
    assert [word.text for word in speech.words] == text.split()
    assert speech.words[-1].end_s <= speech.length_s


def test_words_of_another_language_are_estimated_without_a_note(tmp_path: Path, spoken: SpokenText) -> None:
    """Those of scripts without spaces too."""
    _encode(spoken, tmp_path / "rec.mp3")
    board = spoken_board(
        tmp_path, "{file: rec.mp3, text: 世界。今天天气很好}", top="language: zh\nnarration: {voice: file}"
    )

    [speech] = speak(board, tmp_path / "voice")

    assert [word.text for word in speech.words] == ["世界。", "今天", "天气", "很好"]
    assert speech.are_estimated
    assert list(narration_notes(board, [speech])) == []


def test_another_recording_is_listened_to_anew(tmp_path: Path, spoken: SpokenText) -> None:
    """Under the same name: it is known by what it holds."""
    _encode(spoken, tmp_path / "rec.wav")
    first, _ = _recorded(tmp_path, "rec.wav", TEXT)
    slower = SpokenText(np.concatenate([np.zeros(24_000, np.float32), spoken.samples]), spoken.rate_hz, spoken.words)
    _encode(slower, tmp_path / "rec.wav")

    other, _ = _recorded(tmp_path, "rec.wav", TEXT)

    assert other.key != first.key
    assert other.words[0].start_s - first.words[0].start_s == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "rec.wav: is no sound that ffmpeg reads"),
        (b"Hello, I am a text." * 100, "rec.wav: is no sound that ffmpeg reads"),
        (wav_bytes(np.zeros(48_000, np.float32), 24_000), "rec.wav: is silent; use a sound file in which the text is"),
        (wav_bytes(np.zeros(0, np.float32), 24_000), "rec.wav: holds no sound; use a sound file in which the text is"),
    ],
    ids=["empty", "text", "silent", "soundless"],
)
def test_a_file_without_speech_is_an_error_where_it_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    """With its place and the cure."""
    (tmp_path / "rec.wav").write_bytes(content)

    with pytest.raises(StoryboardError) as error:
        _recorded(tmp_path, "rec.wav", TEXT)

    [problem] = error.value.problems
    assert problem.where == "scenes[0].shots[0].narration.file"
    assert message in problem.message
    assert problem.message.startswith(str(tmp_path / "rec.wav"))
