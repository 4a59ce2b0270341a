"""A list of prompts -> the text of a storyboard that asks for exactly these, to the letter."""

import bisect
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pipelines.common.errors import Problem, StoryboardError, UsageError
from pipelines.storyboard.format.base import YamlPath
from pipelines.storyboard.format.parsers import MAX_PROMPT_CHARS
from pipelines.storyboard.format.schema import MAX_FRAMES
from pipelines.storyboard.format.yaml_tree import MAX_WRITTEN, core_schema, parse_yaml
from pipelines.storyboard.ids import numbered, word_id
from pipelines.storyboard.importer.rows import SCENE, PromptList, Row
from pipelines.storyboard.loader import load_text
from pipelines.storyboard.reading import MAX_BYTES

_HEADER = """\
# yaml-language-server: $schema=storyboard.schema.json
# Next: `storyreel plan` prices it, `storyreel render` makes it; give it `defaults`, captions, motion as you like.
# For an editor that completes and checks it: `storyreel schema > storyboard.schema.json`
"""
_STYLES = "# What each style adds is yours to say in `styles`: templates around `{{ prompt }}`.\n"
# Keys whose values are templates, so that braces in them need an escape.
_TEMPLATES = ("prompt", "caption")
# Everything that begins a tag in Jinja. Adjacent ones are escaped as one: each escape adds 8 characters, and a prompt
# of nothing but braces would otherwise grow longer than a template may be.
_JINJA_TAGS = re.compile(r"(?:\{+[%#]|\{{2,})+")
# PyYAML's line breaks, those of YAML 1.1; only double quotes keep them as they are.
_LINE_BREAKS = re.compile("[\n\x85\u2028\u2029]")
_FIRST_SCENE = "main"

# The rows by the paths of the storyboard's parts that are made of them.
_RowsByPath = dict[YamlPath, Row]


def storyboard_text(prompts: PromptList, *, path: Path) -> str:
    """Return the text of a storyboard that shows the prompts of a list.

    Args:
        prompts: the list.
        path: the file that the text is to be written to; the title is made of its name.

    Raises:
        UsageError: the list makes no valid storyboard; every problem with its line.
    """
    source, rows = prompts.source, prompts.rows
    _require_bounds(rows, source)
    shots, rows_by_path = _short_form(rows) if prompts.has_prompts_only else _long_form(rows)
    data = {"title": _title(path.stem), **shots}
    # The loader would refuse it too, but at a line of the storyboard, which is not written then.
    if _count_values(data) > MAX_WRITTEN:
        raise UsageError(f"{source}: is more than a storyboard's {MAX_WRITTEN:,} values; split it into several lists")
    text = _HEADER + (_STYLES if "styles" in data else "") + _yaml(data)
    if len(text.encode()) > MAX_BYTES:
        raise UsageError(
            f"{source}: makes a storyboard of more than {MAX_BYTES >> 20} MiB; split it into several lists"
        )
    try:
        load_text(text, path)
    except StoryboardError as exc:
        translator = _ProblemTranslator(source, text, rows_by_path)
        raise UsageError("\n".join(dict.fromkeys(map(translator.message, exc.problems)))) from exc
    return text


def _require_bounds(rows: Sequence[Row], source: Path) -> None:
    """Require that there are not too many prompts and none is too long.

    The loader would find the same, but only after minutes of escaping and writing.
    """
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


def _count_values(data: object) -> int:
    """Return the number of values as `parse_yaml` counts them: each key and value, each mapping and list."""
    if isinstance(data, dict):
        return 1 + sum(1 + _count_values(value) for value in data.values())
    return 1 + sum(map(_count_values, data)) if isinstance(data, list) else 1


def _title(stem: str) -> str:
    # A file's name may hold bytes that are no text; they become question marks.
    words = re.sub(r"[-_\s]+", " ", stem.encode(errors="replace").decode()).strip()
    return words[:1].upper() + words[1:] or "My film"


def _short_form(rows: Sequence[Row]) -> tuple[dict[str, Any], _RowsByPath]:
    prompts = [_literal(str(row.cells["prompt"])) for row in rows]
    return {"prompts": prompts}, {("prompts", index): row for index, row in enumerate(rows)}


def _long_form(rows: Sequence[Row]) -> tuple[dict[str, Any], _RowsByPath]:
    scenes: list[dict[str, Any]] = []
    rows_by_path: _RowsByPath = {}
    taken_ids: set[str] = set()
    styles: dict[str, Row] = {}
    for row in rows:
        if "style" in row.cells:
            styles.setdefault(str(row.cells["style"]), row)
    for name, shots in _by_scene(rows):
        rows_by_path["scenes", len(scenes)] = shots[0]
        rows_by_path |= {("scenes", len(scenes), "shots", index): row for index, row in enumerate(shots)}
        named = _scene_names(name, taken_ids)
        taken_ids.add(named["id"])
        scenes.append({**named, "shots": _shots(shots)})
    if not styles:
        return {"scenes": scenes}, rows_by_path
    rows_by_path |= {("styles", name): row for name, row in styles.items()}
    return {"styles": dict.fromkeys(styles, "{{ prompt }}"), "scenes": scenes}, rows_by_path


def _by_scene(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Return each scene's name and rows; a row that names none belongs to the scene above it."""
    scenes: list[tuple[str, list[Row]]] = []
    name = ""
    for row in rows:
        name = str(row.cells.get(SCENE, name))
        if not scenes or scenes[-1][0] != name:
            scenes.append((name, []))
        scenes[-1][1].append(row)
    return scenes


def _scene_names(name: str, taken: Collection[str]) -> dict[str, str]:
    """Return the scene's id, which is none of those taken, and its title where it differs from the id."""
    own_id = numbered((word_id(name) or "scene") if name else _FIRST_SCENE, taken)
    return {"id": own_id, "title": name} if name and name != own_id else {"id": own_id}


def _shots(rows: Sequence[Row]) -> list[dict[str, str | int]]:
    """Return the shots of a scene; names that differ and come out alike get numbers behind them."""
    names = [str(row.cells.get("id", "")) for row in rows]
    ids: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        # One name twice, capitals aside, stays a mistake, which the loader tells.
        if name.casefold() not in ids:
            plain = word_id(name)
            ids[name.casefold()] = numbered(plain, taken) if plain else ""
            taken.add(ids[name.casefold()])
    return [_shot(row.cells, ids[name.casefold()]) for row, name in zip(rows, names, strict=True)]


def _shot(cells: Mapping[str, str | int], own_id: str) -> dict[str, str | int]:
    shot = {key: _literal(str(cells[key])) if key in _TEMPLATES else cells[key] for key in cells if key != SCENE}
    shot.pop("id", None)
    return {"id": own_id, **shot} if own_id else shot


def _literal(text: str) -> str:
    """Return a template that renders to `text`, whatever braces are in it."""
    return _JINJA_TAGS.sub(lambda match: f"{{{{ '{match[0]}' }}}}", text)


class _Dumper(yaml.SafeDumper):
    """Writes YAML that means the same in YAML 1.1, which PyYAML writes, and in 1.2, where 1e3 is a number too."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """Indent the entries of a list in a mapping, as the starter does; PyYAML would not."""
        super().increase_indent(flow, indentless=False)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if _LINE_BREAKS.search(text) else None if core_schema(text) == text else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _yaml(data: Mapping[str, Any]) -> str:
    return yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=float("inf"))


class _ProblemTranslator:
    """Translates a storyboard's problems to the list that it was made from."""

    def __init__(self, source: Path, text: str, rows_by_path: _RowsByPath) -> None:
        self._source = source
        self._parts = sorted(_lines_of_parts(text, rows_by_path), key=lambda part: part[0])

    def message(self, problem: Problem) -> str:
        """Return a problem as a message with the row's line in the list, and the column where it is known."""
        # The problem belongs to the last part that begins at or before its line.
        above = bisect.bisect_right(self._parts, problem.line, key=lambda part: part[0])
        if not above:
            return f"{self._source}: {problem.message}"
        _, path, row = self._parts[above - 1]
        key = "style" if path[0] == "styles" else problem.where.rpartition(".")[2]
        column = f"{key}: " if key in row.cells and path[0] != "prompts" else ""
        return f"{self._source}:{row.line}: {column}{problem.message}"


def _lines_of_parts(text: str, rows_by_path: _RowsByPath) -> Iterator[tuple[int, YamlPath, Row]]:
    """Yield the first line of each row's part in the storyboard's text."""
    tree = parse_yaml(text)
    for path, row in rows_by_path.items():
        yield tree.mark(path).line, path, row
