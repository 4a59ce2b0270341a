"""The font that comes along, Source Sans Pro (OFL 1.1), so that a text looks the same on a bare machine."""

import functools
import importlib.util
from pathlib import Path
from typing import Literal

Weight = Literal["Regular", "Semibold", "Bold"]


@functools.cache
def font_file(weight: Weight) -> Path:
    """Return the font's file of a weight, found without importing its package."""
    package = importlib.util.find_spec("font_source_sans_pro")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "files" / f"SourceSansPro-{weight}.ttf"
