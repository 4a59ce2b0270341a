"""The font that is installed with the program: Source Sans Pro (SIL Open Font License 1.1)."""

import functools
import importlib.util
from enum import StrEnum
from pathlib import Path


class Face(StrEnum):
    """A face of the font; its value is the name of its file."""

    REGULAR = "SourceSansPro-Regular.ttf"
    SEMIBOLD = "SourceSansPro-Semibold.ttf"


@functools.cache
def font_file(face: Face) -> Path:
    """Return the file of a face."""
    # Found without importing the package, which would list all of its files.
    package = importlib.util.find_spec("font_source_sans_pro")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "files" / face
