"""A storyboard's file -> its text -> its data and the place of everything in it."""

from pathlib import Path

from pipelines.common.errors import Problem, StoryboardError
from pipelines.storyboard.format.parsers import describe
from pipelines.storyboard.format.yaml_errors import YamlError
from pipelines.storyboard.format.yaml_tree import YamlTree, parse_yaml
from pipelines.storyboard.source_map import SourceMap

MAX_BYTES = 8 << 20


def read_text(path: Path) -> str:
    """Return the text of a storyboard's file, which is UTF-8 of at most `MAX_BYTES`.

    Raises:
        StoryboardError: it cannot be read, or is no such text.
    """
    try:
        if path.is_dir():
            raise _unreadable(path, "is a folder; name the storyboard in it")
        with path.open("rb") as file:
            # One more than allowed shows that there is more, whatever the file's length is (a device has none).
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as exc:
        raise _unreadable(path, "there is no such file; `storyreel new` writes one to start from") from exc
    except (OSError, ValueError) as exc:
        # ValueError: the name holds a null byte.
        raise _unreadable(path, f"cannot be read: {getattr(exc, 'strerror', None) or exc}") from exc
    if len(data) > MAX_BYTES:
        raise _unreadable(path, f"is larger than {MAX_BYTES >> 20} MiB; split it into several storyboards")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise _unreadable(path, f"is not UTF-8 text (byte {exc.start}); save it as UTF-8") from exc


def parse_text(text: str, path: Path) -> SourceMap:
    """Return the data of a storyboard's text, a mapping, and the place of everything in it.

    Raises:
        StoryboardError: it is not YAML, or not a mapping.
    """
    try:
        tree = parse_yaml(text)
    except YamlError as exc:
        raise StoryboardError([Problem(str(path), exc.mark.line, exc.mark.column, "", str(exc))]) from exc
    if not isinstance(tree.data, dict):
        found = "is empty" if tree.data is None else f"is {describe(tree.data)}"
        raise _unreadable(path, f"{found}; a storyboard has keys: start with `title:` and `prompts:`")
    _keep_numbers_as_written(tree)
    return SourceMap(path, tree)


def _unreadable(path: Path, message: str) -> StoryboardError:
    return StoryboardError([Problem(str(path), 0, 0, "", message)])


def _keep_numbers_as_written(tree: YamlTree) -> None:
    """Replace the numbers that templates see by their text: 007 is not 7 there, nor 1e3 1E+3."""
    for path, source in tree.sources.items():
        match path:
            case ("vars", _) | ("scenes", int(), "shots", int(), "matrix", _, int()):
                *above, last = path
                data = tree.data
                for step in above:
                    data = data[step]
                data[last] = source
            case _:
                pass
