"""A misspelled sound file is asked about by the name of the one that was meant."""

from pathlib import Path

import pytest

from pipelines.storyboard.sound_files import similar_sound
from tests.unit.storyboard.problems import Write, problems

FILES = ["rain.wav", "Harbor Bell.mp3", "notes.txt", "rain.yaml", "CAFE\u0301.ogg", "sub/sea.flac"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A storyboard's folder with sounds and other files."""
    (tmp_path / "sub").mkdir()
    for name in FILES:
        (tmp_path / name).write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Rain.WAV", "rain.wav"),
        ("rain.mp3", "rain.wav"),
        ("rian.wav", "rain.wav"),
        ("harbor-bell.mp3", "Harbor Bell.mp3"),
        ("caf\u00e9.ogg", "CAFE\u0301.ogg"),
        ("sub/see.flac", "sub/sea.flac"),
        ("sub/Sea.mp3", "sub/sea.flac"),
        # No other files, and none that are unlike.
        ("notes.wav", None),
        ("thunder.wav", None),
        ("nowhere/rain.wav", None),
        ("a\0b/rain.wav", None),
    ],
)
def test_the_sound_that_was_meant_is_found_beside_it(folder: Path, name: str, meant: str | None) -> None:
    """In other capitals, of another kind, or with a slip of the keys; as it is written in a storyboard."""
    assert similar_sound(folder / name, folder=folder) == meant


def test_a_sound_elsewhere_is_named_whole(folder: Path) -> None:
    """An absolute path has an absolute one for an answer."""
    assert similar_sound(folder / "sub/see.flac", folder=folder / "films") == str(folder / "sub/sea.flac")


def test_a_missing_sound_is_reported_with_the_one_that_was_meant(write: Write) -> None:
    """Each at its place, in the short form and in the long one."""
    path = write(
        "audio: rian.wav\nscenes:\n  - shots:\n      - {prompt: x, sound: Rain.wav}\n"
        "      - {prompt: y, sound: {file: thunder.wav}}\n"
    )
    (path.parent / "rain.wav").write_bytes(b"")

    assert problems(path) == [
        "board.yaml:1:8: audio: there is no sound file 'rian.wav'; did you mean 'rain.wav'?",
        "board.yaml:4:28: scenes[0].shots[0].sound: there is no sound file 'Rain.wav'; did you mean 'rain.wav'?",
        "board.yaml:5:28: scenes[0].shots[1].sound: there is no sound file 'thunder.wav'; names are from the "
        "storyboard's folder",
    ]
