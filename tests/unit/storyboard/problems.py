"""Problems of a storyboard as the user reads them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.common.errors import StoryboardError
from pipelines.storyboard.loader import load_storyboard

# The fixture that writes a storyboard's text to a file.
Write = Callable[[str], Path]


def problems(path: Path) -> list[str]:
    """Return the lines that the problems of a storyboard come to, without the folder."""
    with pytest.raises(StoryboardError) as caught:
        load_storyboard(path)
    return [str(problem).replace(f"{path.parent}/", "") for problem in caught.value.problems]
