"""Narration in check, plan and render: what is spoken, said of it, and kept."""

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from pipelines.common.errors import StoryboardError
from pipelines.voice.speech import speak
from tests.conftest import Board, Storyreel
from tests.support.speech import spoken_board, write_program

DAY_S = 24 * 3600
SPEAKING = """
import sys
from pathlib import Path
from pipelines.storyboard.loader import load_storyboard
from pipelines.voice.speech import speak
for speech in speak(load_storyboard(Path(sys.argv[1])), Path(sys.argv[2])):
    print(speech.key, speech.length_s, [(word.text, word.end_s) for word in speech.words])
"""
GERMAN = 'language: de\nnarration: {voice: "command: ./voice.py"}\n'


def _narrated(board: Board, folder: Path, *, hold: str = "auto", top: str = GERMAN, text: str = "Ein Satz.") -> Path:
    """Write a storyboard of one frame over which something is said."""
    write_program(folder, "out.write(wav())")
    path = board(frames=1, more=top)
    shots = f"scenes:\n  - title: One\n    shots:\n      - prompts: [a cat]\n        hold: {hold}\n"
    path.write_text(path.read_text().split("prompts:")[0] + f"{shots}        narration: {text}\n")
    return path


@pytest.mark.slow
def test_a_render_drops_speech_that_nothing_says_any_more(storyreel: Storyreel, board: Board, tmp_path: Path) -> None:
    """After a day: what was said before an edit is no use; a check only adds."""
    old = _narrated(board, tmp_path, text="Ein alter Satz.")
    storyreel("check", str(old))
    voice = tmp_path / "outputs/film/voice"
    before = {file.name for file in voice.glob("*.*")}
    for file in voice.iterdir():
        os.utime(file, (file.stat().st_mtime - 2 * DAY_S,) * 2)
    new = _narrated(board, tmp_path, text="Ein neuer Satz.")

    storyreel("check", str(new))
    checked = {file.name for file in voice.glob("*.*")}
    ended = storyreel("render", str(new))

    assert ended.exit_code == 0, ended.stderr
    assert before < checked
    assert {file.name for file in voice.glob("*.*")} == checked - before | {".lock"}


def test_a_hold_too_short_is_a_note_or_where_the_narrator_is_strict_an_error(
    storyreel: Storyreel, board: Board, tmp_path: Path
) -> None:
    """With the time that is missing; --strict makes an error of it too."""
    text = "Ein Satz mit vielen Worten."
    path = _narrated(board, tmp_path, hold="1s", text=text)

    noted, strict = storyreel("check", str(path)), storyreel("check", "--strict", str(path))
    top = GERMAN.replace("}", ", strict: true}")
    error = storyreel("check", str(_narrated(board, tmp_path, hold="1s", top=top, text=text)))

    assert [noted.exit_code, strict.exit_code, error.exit_code] == [0, 2, 2]
    for ended in (noted, strict, error):
        assert "takes 2.70 s, and its frame is held for 1.00 s: 1.70 s are missing; write hold: auto" in ended.stderr


def test_a_check_needs_no_folder_to_write_to(storyreel: Storyreel, board: Board, tmp_path: Path) -> None:
    """It only tells what it finds; a plan is told where its speech cannot be kept."""
    path = _narrated(board, tmp_path)

    checked = storyreel("check", str(path), "--output", "/proc/nowhere")
    planned = storyreel("plan", str(path), "--output", "/proc/nowhere")

    assert (checked.exit_code, planned.exit_code) == (0, 4)
    assert "/proc/nowhere/film/voice: cannot be written" in planned.stderr


def test_two_processes_that_speak_at_once_agree(tmp_path: Path) -> None:
    """Though their voice speaks otherwise each time: each has the words of the sound that is kept."""
    write_program(tmp_path, "out.write(wav(tone(1 + os.getpid() % 7 / 10)))")
    spoken_board(tmp_path, "[Ein Satz., Noch einer.]", top=GERMAN)
    command = [sys.executable, "-c", SPEAKING, str(tmp_path / "film.yaml"), str(tmp_path / "voice")]

    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in running]
    later = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout

    assert later
    assert said == [later, later]


@pytest.mark.parametrize(
    ("top", "narration", "where", "message"),
    [
        (
            "language: de",
            "Ein Satz.",
            "language",
            "hibari/heart speaks English alone, and the storyboard's language is 'de'; "
            'use a voice of your own ("command: PROGRAM") or recordings',
        ),
        (
            "",
            "Привет",
            "scenes[0].shots[0].narration",
            "holds Cyrillic letters, which an English voice cannot speak: 'Привет'; write under narration.say how a "
            'word is spoken, or use a voice of your own ("command: PROGRAM") or recordings',
        ),
        (
            "",
            "🎉",
            "scenes[0].shots[0].narration",
            "holds nothing that the voice can speak; write words",
        ),
    ],
)
def test_what_the_built_in_voice_cannot_speak_is_told_at_its_place(
    tmp_path: Path, top: str, narration: str, where: str, message: str
) -> None:
    """Before anything is generated, with the cure."""
    pytest.importorskip("hibari", reason="the built-in voice is not installed")

    with pytest.raises(StoryboardError) as error:
        speak(spoken_board(tmp_path, narration, top=top), tmp_path / "voice")

    [problem] = error.value.problems
    assert problem.message == message
    assert problem.where.startswith(where)


@pytest.mark.parametrize(
    ("narration", "top", "message"),
    [
        (
            "A sentence.",
            "",
            "hibari/heart is not installed; pip install 'storyreel[voice]', or name another voice (command: PROGRAM)",
        ),
        (
            "{file: rec.wav, text: A sentence.}",
            "narration: {voice: file}",
            "English words are found in a sound by pocketsphinx and hibari, which are not installed; "
            "pip install 'storyreel[voice]'",
        ),
    ],
)
def test_what_is_not_installed_is_an_error_with_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, narration: str, top: str, message: str
) -> None:
    """The voice is an extra; nothing is estimated where it could be known."""
    (tmp_path / "rec.wav").write_bytes(b"")
    board = spoken_board(tmp_path, narration, top=top)

    def missing(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr("pipelines.voice.choice.version", missing)
    with pytest.raises(StoryboardError) as error:
        speak(board, tmp_path / "voice")

    assert [problem.message for problem in error.value.problems] == [message]
