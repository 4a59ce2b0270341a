"""Who speaks a storyboard's narrations."""

from pathlib import Path

import pytest

from pipelines.storyboard.model import Narrator
from pipelines.voice.choice import choose_voice
from pipelines.voice.errors import VoiceError
from tests.support.speech import write_program


def _identity(command: str, folder: Path) -> str:
    return choose_voice(Narrator(f"command: {command}", language="de"), folder).identity


def test_a_program_is_known_by_what_it_and_its_files_hold(tmp_path: Path) -> None:
    """Its script and its model too: with another, it speaks otherwise."""
    write_program(tmp_path, "")
    (tmp_path / "model").write_text("one")
    identities = [_identity("./voice.py model", tmp_path)]
    (tmp_path / "model").write_text("two")
    identities += [_identity("./voice.py model", tmp_path), _identity("./voice.py model --slow", tmp_path)]
    write_program(tmp_path, "pass")
    identities += [_identity("./voice.py model", tmp_path)]

    assert len(set(identities)) == 4
    assert _identity("./voice.py model", tmp_path) == identities[-1]


@pytest.mark.parametrize("argument", ["x" * 5000, "a/b/c", "~nobody-of-this-name/x", "*"])
def test_an_argument_may_be_anything(tmp_path: Path, argument: str) -> None:
    """A whole script, or what looks like a path and is none."""
    assert _identity(f"python3 -c '{argument}'", tmp_path)


@pytest.mark.parametrize("name", ["~nobody-of-this-name/voice", "./nowhere/voice", "x" * 5000, "./" + "x" * 5000])
def test_a_program_that_cannot_be_is_not_there(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its name, and whatever PATH says."""
    monkeypatch.setenv("PATH", f"/nowhere:{tmp_path / 'file'}:/usr/bin")
    (tmp_path / "file").write_text("")

    with pytest.raises(VoiceError, match="there is no program"):
        _identity(name, tmp_path)
