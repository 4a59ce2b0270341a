"""The sound file that was meant by a name that no file has."""

import itertools
import unicodedata
from pathlib import Path

from pipelines.common.suggestions import suggest

_SUFFIXES = frozenset(
    (".aac", ".aif", ".aiff", ".flac", ".m4a", ".mka", ".mov", ".mp3", ".mp4", ".oga", ".ogg", ".opus", ".wav", ".webm")
)
# A thousand sounds may be missing, and the folder is read for each.
_MAX_FILES = 1000


def similar_sound(file: Path, *, folder: Path) -> str | None:
    """Return the sound file beside `file` whose name is most like its name; None where none is like it.

    It may differ in capitals, in the kind of sound, or by a slip of the keys.

    Args:
        file: the file that is missing.
        folder: the storyboard's own, from which the name that is returned is found.
    """
    names = {_folded(name): name for name in _sounds_in(file.parent)}
    wanted = _folded(file.name)
    same_stem = (folded for folded in names if Path(folded).stem == Path(wanted).stem)
    closest = wanted if wanted in names else next(same_stem, None) or suggest(wanted, names).closest
    if closest is None:
        return None
    found = file.with_name(names[closest])
    return str(found.relative_to(folder) if found.is_relative_to(folder) else found)


def _sounds_in(folder: Path) -> tuple[str, ...]:
    try:
        files = (path for path in itertools.islice(folder.iterdir(), _MAX_FILES) if path.suffix.lower() in _SUFFIXES)
        return tuple(sorted(path.name for path in files if path.is_file()))
    except (OSError, ValueError):
        # There is no such folder, or it may not be looked into, or its name holds a null byte.
        return ()


def _folded(name: str) -> str:
    # Some systems take letters with their accents apart.
    return unicodedata.normalize("NFC", name).casefold()
