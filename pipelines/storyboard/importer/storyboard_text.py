"""A list of prompts -> the text of a storyboard that shows them. What a list says is asked for to the letter."""

import bisect
import itertools
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pipelines.common.errors import Problem, StoryboardError, UsageError
from pipelines.storyboard.format.base import YamlPath
from pipelines.storyboard.format.fields import MAX_PROMPT_CHARS, is_id
from pipelines.storyboard.format.schema import MAX_FRAMES
from pipelines.storyboard.format.yaml_tree import MAX_WRITTEN, core_schema, parse_yaml
from pipelines.storyboard.importer.prompt_list import SCENE, Row, read_rows
from pipelines.storyboard.loader import MAX_BYTES, load_text

_HEADER = """\
# yaml-language-server: $schema=storyboard.schema.json
# Next: `storyreel plan` prices it, `storyreel render` buys it; give it `defaults`, captions, motion as you like.
# For an editor that completes and checks it: `storyreel schema > storyboard.schema.json`
"""
_STYLES = "# What each style adds is yours to say in `styles`: templates around `{{ prompt }}`.\n"
_TEMPLATES = ("prompt", "caption")
# What begins something in Jinja; one that follows another joins it, and so no prompt grows past what templates may be.
_JINJA = re.compile(r"(?:\{+[%#]|\{{2,})+")
# YAML 1.1 ends a line at each of these.
_BREAKS = re.compile("[\n\x85\u2028\u2029]")
_MAX_ID_CHARS = 80
_FIRST_SCENE = "main"

# Where in a storyboard's data what each row said has come to.
_Places = dict[YamlPath, Row]


def storyboard_text(source: Path, *, path: Path) -> str:
    """Return the text of a storyboard, to be written to `path`, that shows the prompts of the list `source`.

    Raises:
        UsageError: the list cannot be read, or makes no valid storyboard; every problem with its line.
    """
    rows = read_rows(source)
    _require_bounds(rows, source)
    shots, places = _short_form(rows) if source.suffix.lower() == ".txt" else _long_form(rows)
    data = {"title": _title(path.stem), **shots}
    if _values(data) > MAX_WRITTEN:
        raise UsageError(f"{source}: is more than a storyboard's {MAX_WRITTEN:,} values; split it into several lists")
    text = _HEADER + (_STYLES if "styles" in data else "") + _yaml(data)
    if len(text.encode()) > MAX_BYTES:
        raise UsageError(
            f"{source}: makes a storyboard of more than {MAX_BYTES >> 20} MiB; split it into several lists"
        )
    try:
        load_text(text, path)
    except StoryboardError as exc:
        told = _Telling(source, text, places)
        raise UsageError("\n".join(dict.fromkeys(map(told.line, exc.problems)))) from exc
    return text


def _require_bounds(rows: Sequence[Row], source: Path) -> None:
    """Look at what would take minutes to write down before it is found too much."""
    if len(rows) > MAX_FRAMES:
        line = rows[MAX_FRAMES].line
        raise UsageError(f"{source}:{line}: is one prompt more than {MAX_FRAMES:,}; split it into several lists")
    lengths = [(row.line, len(str(row.cells.get("prompt", "")))) for row in rows]
    problems = [
        f"{source}:{line}: is {length:,} characters; prompts have 1 to {MAX_PROMPT_CHARS:,}, shorten it"
        for line, length in lengths
        if length > MAX_PROMPT_CHARS
    ]
    if problems:
        raise UsageError("\n".join(problems))


def _values(data: object) -> int:
    """Count as the loader does: each key and each value, and what holds them."""
    if isinstance(data, dict):
        return 1 + sum(1 + _values(value) for value in data.values())
    return 1 + sum(map(_values, data)) if isinstance(data, list) else 1


def _title(stem: str) -> str:
    # A file's name need not be text: what is none of it becomes a question mark.
    words = re.sub(r"[-_\s]+", " ", stem.encode(errors="replace").decode()).strip()
    return words[:1].upper() + words[1:] or "My film"


def _short_form(rows: Sequence[Row]) -> tuple[dict[str, Any], _Places]:
    prompts = [_literal(str(row.cells["prompt"])) for row in rows]
    return {"prompts": prompts}, {("prompts", index): row for index, row in enumerate(rows)}


def _long_form(rows: Sequence[Row]) -> tuple[dict[str, Any], _Places]:
    scenes: list[dict[str, Any]] = []
    places: _Places = {}
    taken: set[str] = set()
    styles: dict[str, Row] = {}
    for row in rows:
        if "style" in row.cells:
            styles.setdefault(str(row.cells["style"]), row)
    for name, shots in _by_scene(rows):
        places["scenes", len(scenes)] = shots[0]
        places |= {("scenes", len(scenes), "shots", index): row for index, row in enumerate(shots)}
        named = _scene_names(name, taken)
        taken.add(named["id"])
        scenes.append({**named, "shots": [_shot(row.cells) for row in shots]})
    if not styles:
        return {"scenes": scenes}, places
    places |= {("styles", name): row for name, row in styles.items()}
    return {"styles": dict.fromkeys(styles, "{{ prompt }}"), "scenes": scenes}, places


def _by_scene(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Return the rows of each scene; a row that names none goes on with the scene above it."""
    scenes: list[tuple[str, list[Row]]] = []
    name = ""
    for row in rows:
        name = str(row.cells.get(SCENE, name))
        if not scenes or scenes[-1][0] != name:
            scenes.append((name, []))
        scenes[-1][1].append(row)
    return scenes


def _scene_names(name: str, taken: Collection[str]) -> dict[str, str]:
    """Return the scene's id, like none that is taken, and its title where that says more."""
    plain = (_id_from(name) or "scene") if name else _FIRST_SCENE
    numbered = itertools.chain([plain], (f"{plain}-{number}" for number in itertools.count(2)))
    own_id = next(candidate for candidate in numbered if candidate not in taken)
    return {"id": own_id, "title": name} if name and name != own_id else {"id": own_id}


def _shot(cells: Mapping[str, str | int]) -> dict[str, str | int]:
    own_id = _id_from(str(cells.get("id", "")))
    shot = {key: _literal(str(cells[key])) if key in _TEMPLATES else cells[key] for key in cells if key != SCENE}
    shot.pop("id", None)
    return {"id": own_id, **shot} if own_id else shot


def _id_from(words: str) -> str:
    """Return lower-case words joined by -; an id as it is; nothing where there is no letter that an id may have."""
    if is_id(words):
        return words
    letters = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", letters)[:_MAX_ID_CHARS].strip("-")


def _literal(text: str) -> str:
    """Return a template that comes to `text`, whatever braces are in it."""
    return _JINJA.sub(lambda match: f"{{{{ '{match[0]}' }}}}", text)


class _Dumper(yaml.SafeDumper):
    """Writes YAML that says the same by 1.1, which PyYAML has in mind, and by 1.2, where 1e3 is a number too."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """Set the entries of a list in, as the starter has them."""
        super().increase_indent(flow, indentless=False)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if _BREAKS.search(text) else None if core_schema(text) == text else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _yaml(data: Mapping[str, Any]) -> str:
    return yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=float("inf"))


class _Telling:
    """Tells a storyboard's problems in terms of the list that it was made from."""

    def __init__(self, source: Path, text: str, places: _Places) -> None:
        self._source = source
        self._marked = sorted(_marked(text, places), key=lambda marked: marked[0])

    def line(self, problem: Problem) -> str:
        """Return a problem with the line, and where it can be had the column, of the row that it is about."""
        above = bisect.bisect_right(self._marked, problem.line, key=lambda marked: marked[0])
        if not above:
            return f"{self._source}: {problem.message}"
        _, path, row = self._marked[above - 1]
        key = "style" if path[0] == "styles" else problem.where.rpartition(".")[2]
        column = f"{key}: " if key in row.cells and path[0] != "prompts" else ""
        return f"{self._source}:{row.line}: {column}{problem.message}"


def _marked(text: str, places: _Places) -> Iterator[tuple[int, YamlPath, Row]]:
    """Yield the line of the storyboard's text where each row's part begins."""
    tree = parse_yaml(text)
    for path, row in places.items():
        yield tree.mark(path).line, path, row
