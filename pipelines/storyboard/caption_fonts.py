"""Fonts that captions name and this machine does not have."""

from collections.abc import Iterator
from pathlib import Path

from pipelines.common.errors import Note
from pipelines.common.lettering.typefaces import Weight, find_installed, installed_families
from pipelines.common.suggestions import did_you_mean
from pipelines.storyboard.format.base import YamlPath
from pipelines.storyboard.format.schema import StoryboardModel
from pipelines.storyboard.sounds import Locate


def missing_fonts(board: StoryboardModel, path: Path, locate: Locate) -> Iterator[Note]:
    """Yield a note for each font of captions that this machine does not have.

    Args:
        board: the storyboard.
        path: its file.
        locate: returns the place of a path in the file.
    """
    for yaml_path, font in _named_fonts(board):
        if find_installed(font, Weight.SEMIBOLD) is None:
            place = locate(yaml_path)
            message = (
                f"no font of this machine is called {font!r}, and captions are drawn without it"
                f"{did_you_mean(font, installed_families())}"
            )
            yield Note(str(path), place.line, place.column, place.where, message)


def _named_fonts(board: StoryboardModel) -> Iterator[tuple[YamlPath, str]]:
    if board.captions.font is not None:
        yield ("captions", "font"), board.captions.font
    for index, output in enumerate(board.output):
        if output.captions is not None and output.captions.font is not None:
            yield ("output", index, "captions", "font"), output.captions.font
