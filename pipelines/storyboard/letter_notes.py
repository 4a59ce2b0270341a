"""Notes on letters that this machine cannot draw as they are meant: fonts that it lacks, titles without a font."""

from collections.abc import Iterator
from pathlib import Path

from pipelines.common.errors import Note
from pipelines.common.lettering.typefaces import FontStack, Weight, find_installed, installed_families
from pipelines.common.lettering.undrawable import find_undrawable, undrawable_message
from pipelines.common.suggestions import suggest
from pipelines.storyboard.format.base import YamlPath
from pipelines.storyboard.format.film_schema import CaptionsModel
from pipelines.storyboard.format.schema import StoryboardModel
from pipelines.storyboard.sounds import Locate


def letter_notes(board: StoryboardModel, path: Path, locate: Locate) -> Iterator[Note]:
    """Yield the notes on a storyboard's fonts and titles; captions are laid out for each film, and noted there.

    Args:
        board: the storyboard.
        path: its file.
        locate: returns the place of a path in the file.
    """
    for yaml_path, message in (*_fonts(board), *_titles(board)):
        yield locate(yaml_path).note(path, message)


def _fonts(board: StoryboardModel) -> Iterator[tuple[YamlPath, str]]:
    looks: list[tuple[YamlPath, CaptionsModel | None]] = [(("captions",), board.captions)]
    looks += [(("output", index, "captions"), output.captions) for index, output in enumerate(board.output)]
    for yaml_path, captions in looks:
        font = captions.font if captions else None
        if font is not None and find_installed(font, Weight.SEMIBOLD) is None:
            closest = suggest(font, installed_families()).closest
            cure = f"did you mean {closest!r}?" if closest else "install it, or name another"
            yield (*yaml_path, "font"), f"no font of this machine is called {font!r}, and others are used; {cure}"


def _titles(board: StoryboardModel) -> Iterator[tuple[YamlPath, str]]:
    titles: list[tuple[YamlPath, str | None]] = [(("title",), board.title)]
    titles += [(("scenes", index, "title"), scene.title) for index, scene in enumerate(board.scenes or ())]
    for yaml_path, title in titles:
        if message := undrawable_message(find_undrawable(title or "", FontStack(language=board.language))):
            yield yaml_path, message
