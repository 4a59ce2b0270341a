"""Speech that is kept in a folder."""

import os
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pipelines.common.errors import StorageError
from pipelines.storyboard.speech import Word
from pipelines.voice.store import SpeechStore, drop_unused_speech
from pipelines.voice.voices import SpokenText
from tests.support.full_disk import files_of_at_most

DAY_S = 24 * 3600
WORDS = (Word("Hello,", 0, Fraction(1, 100), Fraction(1, 3)), Word("世界", 7, Fraction(1, 3), Fraction(2, 3)))


def _spoken(level: float = 0.5) -> SpokenText:
    return SpokenText(np.full(24_000, level, np.float32), 24_000, WORDS, are_estimated=True)


def test_speech_is_found_as_it_was_kept(tmp_path: Path) -> None:
    """With exact times, and all that is said of it."""
    kept = SpeechStore(tmp_path / "voice").keep("key", _spoken())

    found = SpeechStore(tmp_path / "voice").find("key")

    assert found == kept
    assert (kept.words, kept.length_s, kept.are_estimated) == (WORDS, Fraction(1), True)
    assert kept.file == tmp_path / "voice" / "key.wav"


@pytest.mark.parametrize("suffix", ["wav", "json"])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "changed"])
def test_damaged_speech_is_not_found_and_may_be_kept_anew(tmp_path: Path, suffix: str, damage: str) -> None:
    """Each file is needed whole; a new one takes its place."""
    store = SpeechStore(tmp_path)
    kept = store.keep("key", _spoken())
    file = tmp_path / f"key.{suffix}"
    data = file.read_bytes()
    match damage:
        case "gone":
            file.unlink()
        case "empty":
            file.write_bytes(b"")
        case "cut":
            file.write_bytes(data[: len(data) // 2])
        case "changed":
            file.write_bytes(data[:60] + b"!!" + data[62:])

    assert store.find("key") is None
    assert store.keep("key", _spoken()) == kept
    assert store.find("key") == kept


def test_what_another_has_kept_meanwhile_stays(tmp_path: Path) -> None:
    """Voices may speak otherwise each time: words and sound are of one and the same."""
    with ThreadPoolExecutor(8) as threads:
        kept = list(threads.map(lambda level: SpeechStore(tmp_path).keep("key", _spoken(level / 10)), range(1, 9)))

    assert SpeechStore(tmp_path).find("key") == kept[0]
    assert kept == [kept[0]] * 8
    assert sorted(file.name for file in tmp_path.iterdir()) == [".lock", "key.json", "key.wav"]


def test_on_a_full_disk_nothing_is_kept_half(tmp_path: Path) -> None:
    """The error names the file and the cure, and there is no speech then."""
    store = SpeechStore(tmp_path)

    with files_of_at_most(1000), pytest.raises(StorageError, match=r"key\.wav: cannot be written: .*free space"):
        store.keep("key", _spoken())

    assert store.find("key") is None
    assert [file.name for file in tmp_path.iterdir()] == [".lock"]


def test_a_folder_that_is_none_is_an_error(tmp_path: Path) -> None:
    """Speech has nowhere to go."""
    (tmp_path / "voice").write_text("")

    with pytest.raises(StorageError, match="voice: cannot be written"):
        SpeechStore(tmp_path / "voice").keep("key", _spoken())


def test_speech_that_nothing_uses_is_dropped_after_a_day(tmp_path: Path) -> None:
    """What is used stays, what is new stays, and so do other files."""
    for key in ("used", "old", "new"):
        SpeechStore(tmp_path).keep(key, _spoken())
    (tmp_path / ".1234.wav").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("mine")
    for name in ("used.wav", "used.json", "old.wav", "old.json", ".1234.wav", "notes.txt"):
        file = tmp_path / name
        past = file.stat().st_mtime - 2 * DAY_S
        os.utime(file, (past, past))

    drop_unused_speech(tmp_path, {"used"})
    drop_unused_speech(tmp_path / "nowhere", {"used"})

    left = {file.name for file in tmp_path.iterdir()}
    assert left == {".lock", "used.wav", "used.json", "new.wav", "new.json", "notes.txt"}
