"""Who speaks a storyboard's narrations: the voice that it names, if it is here, or its recordings."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Event

from pipelines.common.files import hash_file
from pipelines.common.suggestions import suggest
from pipelines.storyboard.model import Narrator
from pipelines.storyboard.voices import BUILT_IN_VOICE, COMMAND, command_of
from pipelines.voice.command import CommandVoice, Program
from pipelines.voice.errors import LanguageError, VoiceError
from pipelines.voice.listening import Listener
from pipelines.voice.reciting import Reciter
from pipelines.voice.recordings import Recordings
from pipelines.voice.sayings import Sayings
from pipelines.voice.unspeakable import is_english, require_language
from pipelines.voice.voices import Speaker

_INSTALL = "pip install 'storyreel[voice]'"
_OTHERS = f"another voice ({COMMAND} PROGRAM)"
# Of ours, some are secrets; a storyboard may be someone else's.
_OURS = "STORYREEL_"
# Larger ones, models for instance, are told by their size and time: reading them takes longer than a plan may.
_MOST_HASHED_BYTES = 1 << 26


@dataclass(frozen=True, slots=True)
class ChosenSpeaker:
    """A speaker that is here.

    Attributes:
        identity: its name and version, and whatever else changes how it sounds: with another, it sounds otherwise.
        load: makes it ready to speak, which may take a second; the event, once it is set, ends what takes long.
    """

    identity: str
    load: Callable[[Event], Speaker]


def choose_voice(narrator: Narrator, folder: Path) -> ChosenSpeaker:
    """Return the voice of a storyboard.

    Args:
        narrator: names it.
        folder: the storyboard's own; programs are named from there.

    Raises:
        VoiceError: it is not here, or does not speak the storyboard's language.
    """
    command = command_of(narrator.voice)
    return _choose_command(narrator, command, folder) if command else _choose_built_in(narrator)


def choose_recordings(narrator: Narrator) -> ChosenSpeaker:
    """Return what finds the words in a storyboard's recordings.

    Raises:
        VoiceError: it is not here.
    """
    identity, load = _choose_listener(narrator)
    return ChosenSpeaker(repr(("recording", identity)), lambda _: Recordings(load()))


def _choose_built_in(narrator: Narrator) -> ChosenSpeaker:
    try:
        require_language(narrator.language)
    except LanguageError as exc:
        raise LanguageError(f"{narrator.voice} {exc}") from exc
    built_in = _version_of("hibari-tts", f"{BUILT_IN_VOICE} is not installed; {_INSTALL}, or name {_OTHERS}")

    def load(stop: Event) -> Speaker:
        # Only where something is to be spoken: it takes long to import.
        from pipelines.voice.hibari import HibariVoice

        voice = HibariVoice(speed=narrator.speed, sayings=Sayings(narrator.say), stop=stop)
        return Reciter(voice, narrator.gap_s)

    return ChosenSpeaker(repr((BUILT_IN_VOICE, built_in, narrator.speed, narrator.say)), load)


def _choose_command(narrator: Narrator, command: Sequence[str], folder: Path) -> ChosenSpeaker:
    listener, load_listener = _choose_listener(narrator)
    program = Program(
        (str(_find_program(command[0], folder)), *command[1:]),
        folder,
        {name: value for name, value in os.environ.items() if not name.startswith(_OURS)},
    )

    def load(stop: Event) -> Speaker:
        sayings, loaded = Sayings(narrator.say), load_listener()
        voice = CommandVoice(program, speed=narrator.speed, sayings=sayings, listener=loaded, stop=stop)
        return Reciter(voice, narrator.gap_s)

    # The path of a program counts by what it holds, wherever it stands.
    content = [_content(folder / word) for word in program.command]
    return ChosenSpeaker(repr((COMMAND, command, content, narrator.speed, narrator.say, listener)), load)


def _content(file: Path) -> str:
    """Return what tells the content of a program, a script or a voice's model from another; empty where it is none."""
    if not _is_file(file) or not os.access(file, os.R_OK):
        return ""
    stat = file.stat()
    return hash_file(file) if stat.st_size <= _MOST_HASHED_BYTES else f"{stat.st_size} {stat.st_mtime_ns}"


def _is_file(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:
        # Far too long for a name: a whole script may be an argument.
        return False


def _choose_listener(narrator: Narrator) -> tuple[str, Callable[[], Listener]]:
    """Return what finds words in sounds of a storyboard's language: its identity, and what makes it ready."""
    if not is_english(narrator.language):
        return "estimated", lambda: Listener(None)
    missing = f"English words are found in a sound by pocketsphinx and hibari, which are not installed; {_INSTALL}"
    versions = [_version_of(package, missing) for package in ("pocketsphinx", "hibari-tts")]

    def load() -> Listener:
        from pipelines.voice.alignment import Aligner

        return Listener(Aligner())

    return repr(versions), load


def _version_of(package: str, missing: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError as exc:
        raise VoiceError(missing) from exc


def _find_program(name: str, folder: Path) -> Path:
    """Return the file of a program, which is named from the storyboard's folder, or to be found in PATH.

    Raises:
        VoiceError: there is none, or it cannot be run.
    """
    if os.sep not in name:
        if found := shutil.which(name):
            return Path(found)
        raise VoiceError(f"there is no program {name!r}{_suggested_program(name, folder)}")
    file = folder.absolute() / _expanded(name)
    if not _is_file(file):
        beside = [str(Path(name).parent / other) for other in _names_in(str(file.parent))]
        raise VoiceError(f"there is no program {name!r}{_suggested(name, beside)}")
    if not os.access(file, os.X_OK):
        raise VoiceError(f"{name} may not be executed; chmod +x {name}, or write what runs it: python3 {name}")
    return file


def _expanded(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError:
        # Nobody has this name here.
        return Path(name)


def _suggested_program(name: str, folder: Path) -> str:
    if _is_file(folder / name):
        return f"; did you mean './{name}', in the storyboard's folder?"
    return _suggested(name, [program for part in os.get_exec_path() for program in _names_in(part)])


def _names_in(folder: str) -> list[str]:
    try:
        return [file.name for file in Path(folder).iterdir()]
    except OSError:
        # PATH may name what is not there.
        return []


def _suggested(name: str, known: Sequence[str]) -> str:
    if (closest := suggest(name, known).closest) is not None:
        return f"; did you mean {closest!r}?"
    return "; install it, or name it by its path, from the storyboard's folder"
