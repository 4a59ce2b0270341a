"""The font that comes along: Source Sans Pro (SIL Open Font License 1.1)."""

import functools
import importlib.util
from enum import StrEnum
from pathlib import Path


class Face(StrEnum):
    """A face of it, by its file's name."""

    REGULAR = "SourceSansPro-Regular.ttf"
    SEMIBOLD = "SourceSansPro-Semibold.ttf"


@functools.cache
def font_file(face: Face) -> Path:
    """Return where a face is, found without importing its package."""
    package = importlib.util.find_spec("font_source_sans_pro")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "files" / face
