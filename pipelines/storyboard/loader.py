"""A storyboard's file -> Storyboard, or every problem in it with its place and its cure."""

import copy
import heapq
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from pipelines.common.errors import Problem, StoryboardError
from pipelines.common.suggestions import did_you_mean
from pipelines.storyboard.expansion import MAX_ISSUES, ExpansionError, Issue, expand
from pipelines.storyboard.format.base import YamlPath
from pipelines.storyboard.format.fields import shown
from pipelines.storyboard.format.film_schema import (
    AudioModel,
    CaptionsModel,
    MotionModel,
    OutputModel,
    SmoothModel,
    SoundModel,
    TransitionModel,
)
from pipelines.storyboard.format.schema import BudgetModel, Cascading, SceneModel, ShotModel, StoryboardModel
from pipelines.storyboard.format.yaml_tree import YamlError, YamlTree, parse_yaml
from pipelines.storyboard.model import Place, Storyboard

MAX_BYTES = 8 << 20
# Where one of these is wrong, templates would be found wrong for no fault of their own.
_NAMING_KEYS = frozenset({"vars", "styles", "matrix", "match", "prompt", "prompts", "scenes", "shots", "frames"})
# And below these every key is a name.
_NAMES_BELOW = frozenset({"vars", "styles", "matrix"})


def load_storyboards(paths: Iterable[Path]) -> list[Storyboard]:
    """Read several storyboards.

    Raises:
        StoryboardError: the problems of all of them.
    """
    boards: list[Storyboard] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            boards.append(load_storyboard(path))
        except StoryboardError as exc:
            problems.extend(exc.problems)
    if problems:
        raise StoryboardError(problems)
    return boards


def load_storyboard(path: Path) -> Storyboard:
    """Read, check and resolve a storyboard.

    Raises:
        StoryboardError: every problem in it.
    """
    return load_text(_read(path), path)


def load_text(text: str, path: Path) -> Storyboard:
    """Check and resolve a storyboard's text as if it stood at `path`.

    Raises:
        StoryboardError: every problem in it.
    """
    try:
        tree = parse_yaml(text)
    except YamlError as exc:
        raise StoryboardError([Problem(str(path), exc.mark.line, exc.mark.column, "", str(exc))]) from exc
    if not isinstance(tree.data, dict):
        what = "is empty" if tree.data is None else f"is {shown(tree.data)}"
        raise _unreadable(path, f"{what}; a storyboard has keys: start with `title:` and `prompts:`")
    return _Loading(path, tree).board()


def _read(path: Path) -> str:
    try:
        if path.is_dir():
            raise _unreadable(path, "is a folder; name the storyboard in it")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as exc:
        raise _unreadable(path, "there is no such file; `storyreel new` writes one to start from") from exc
    except (OSError, ValueError) as exc:
        raise _unreadable(path, f"cannot be read: {getattr(exc, 'strerror', None) or exc}") from exc
    if len(data) > MAX_BYTES:
        raise _unreadable(path, f"is larger than {MAX_BYTES >> 20} MiB; split it into several storyboards")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise _unreadable(path, f"is not UTF-8 text (byte {exc.start}); save it as UTF-8") from exc


def _unreadable(path: Path, message: str) -> StoryboardError:
    return StoryboardError([Problem(str(path), 0, 0, "", message)])


class _Loading:
    def __init__(self, path: Path, tree: YamlTree) -> None:
        self._path = path
        self._tree = tree
        _keep_names_as_written(tree)

    def board(self) -> Storyboard:
        repeated = list(self._repeated())
        try:
            board = self._expand(StoryboardModel.model_validate(self._tree.data))
        except ValidationError as exc:
            issues = list(_issues(self._first(exc.errors(include_url=False)), self._tree.data))
            problems = [self._problem(issue, of_key=of_key) for issue, of_key in issues]
            problems += [self._problem(issue) for issue in self._further_issues(issues)]
            raise StoryboardError(_in_file_order([*repeated, *problems])) from exc
        except ExpansionError as exc:
            problems = [self._problem(issue) for issue in exc.issues]
            raise StoryboardError(_in_file_order([*repeated, *problems])) from exc
        if problems := [*repeated, *self._missing_sounds(board)]:
            raise StoryboardError(_in_file_order(problems))
        return board

    def _missing_sounds(self, board: Storyboard) -> Iterator[Problem]:
        for sound in board.sound.sounds:
            if not sound.file.is_file():
                message = f"there is no sound file {str(sound.file)!r}; names are from the storyboard's folder"
                yield Problem(str(self._path), sound.place.line, sound.place.column, sound.place.where, message)

    def _repeated(self) -> Iterator[Problem]:
        for mark, (path, key) in itertools.islice(self._tree.repeated.items(), MAX_ISSUES):
            message = f"the key {key!r} is there twice; remove one of them"
            yield Problem(str(self._path), mark.line, mark.column, _where(path, self._tree.data), message)

    def _first(self, found: Sequence[Any]) -> Sequence[Any]:
        """Return as many errors as anyone reads, the first in the file: explaining each of 200,000 takes minutes."""
        if len(found) <= MAX_ISSUES:
            return found

        def place(error: Any) -> tuple[int, int]:
            mark = self._tree.mark(_path_in(self._tree.data, error["loc"]))
            return mark.line, mark.column

        return heapq.nsmallest(MAX_ISSUES, found, key=place)

    def _expand(self, noun: StoryboardModel) -> Storyboard:
        return expand(noun, path=self._path, default_id=_id_of(self._path), locate=self._place)

    def _place(self, path: YamlPath) -> Place:
        mark = self._tree.mark(path)
        return Place(mark.line, mark.column, _where(path, self._tree.data))

    def _further_issues(self, issues: Sequence[tuple[Issue, bool]]) -> Iterable[Issue]:
        """Look for what is wrong besides: cut out what is, and resolve the rest.

        A person mends all at once; but what hangs on a name that is itself wrong is not reported.
        """
        data = copy.deepcopy(self._tree.data)
        for issue, _ in issues:
            if not _cut_out(data, issue):
                return ()
        try:
            self._expand(StoryboardModel.model_validate(data))
        except ExpansionError as exc:
            return exc.issues
        except ValidationError:
            return ()
        return ()

    def _problem(self, issue: Issue, *, of_key: bool = False) -> Problem:
        mark = self._tree.mark(issue.path, of_key=of_key)
        return Problem(str(self._path), mark.line, mark.column, _where(issue.path, self._tree.data), issue.message)


def _in_file_order(problems: Iterable[Problem]) -> list[Problem]:
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: (problem.line, problem.column))
    if len(ordered) < MAX_ISSUES:
        return ordered
    last = ordered[MAX_ISSUES - 1]
    stop = Problem(last.path, last.line, last.column, "", "and perhaps more after this; mend these first")
    return [*ordered[:MAX_ISSUES], stop]


def _keep_names_as_written(tree: YamlTree) -> None:
    """Make text of the numbers that templates see: 007 is not 7 there, nor 1e3 1E+3."""
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


def _cut_out(data: Any, issue: Issue) -> bool:
    """Remove a wrong value; say whether the rest can be judged without it."""
    *above, last = issue.path or ("",)
    close_to_naming = re.search(r"did you mean '(\w+)'", issue.message)
    if _NAMING_KEYS.intersection([last, *(close_to_naming.groups() if close_to_naming else ())]):
        return False
    if _NAMES_BELOW.intersection(above):
        return False
    if not isinstance(last, str) or not last:
        return False
    for step in above:
        # What holds it may be cut out already.
        if not _has(data, step):
            return True
        data = data[step]
    data.pop(last, None)
    return True


def _issues(errors: Iterable[Any], data: Any) -> Iterator[tuple[Issue, bool]]:
    """Yield each issue that pydantic found, in our words, and whether it is the key that is wrong."""
    for found in errors:
        path = _path_in(data, found["loc"])
        kind = found["type"]
        if kind == "extra_forbidden":
            yield Issue(path, f"is no key here{did_you_mean(path[-1], _keys_at(path))}"), True
        elif kind == "missing":
            yield Issue(path, f"lacks {found['loc'][-1]!r}; add it"), False
        elif kind == "storyboard":
            key = found["ctx"]["key"]
            yield Issue((*path, key) if key else path, found["ctx"]["message"]), False
        else:
            yield Issue(path, _message(found)), False


def _message(found: Mapping[str, Any]) -> str:
    """Return an error in our words; most are ours already."""
    got = shown(found["input"])
    match found["type"]:
        case "value_error":
            return str(found["ctx"]["error"])
        case "literal_error":
            return f"must be {found['ctx']['expected']}, got {got}"
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"must be a mapping of keys to values, got {got}"
        case "list_type":
            return f"must be a list, got {got}"
        case "too_short":
            return "must not be empty"
        case "too_long":
            return f"must have at most {found['ctx']['max_length']:,} entries, got {len(found['input']):,}; remove some"
        case _:
            return f"{found['msg'][0].lower()}{found['msg'][1:]}, got {got}"


def _path_in(data: Any, loc: Sequence[str | int]) -> YamlPath:
    """Return the part of pydantic's location that leads through the data; it also names types and keys in brackets."""
    path: list[str | int] = []
    for step in loc:
        if _has(data, step):
            data = data[step]
            path.append(step)
    return tuple(path)


def _has(data: Any, step: str | int) -> bool:
    if isinstance(data, list):
        return isinstance(step, int) and step < len(data)
    return isinstance(data, dict) and step in data


def _keys_at(path: YamlPath) -> list[str]:
    """Return the keys that the storyboard's format knows where `path` ends."""
    nouns: dict[YamlPath, type[BaseModel]] = {
        (): StoryboardModel,
        ("output",): OutputModel,
        ("output", 0): OutputModel,
        ("budget",): BudgetModel,
        ("captions",): CaptionsModel,
        ("audio",): AudioModel,
        ("defaults",): Cascading,
        ("scenes", 0): SceneModel,
        ("scenes", 0, "shots", 0): ShotModel,
    }
    parts: dict[str | int, type[BaseModel]] = {
        "transition": TransitionModel,
        "motion": MotionModel,
        "smooth": SmoothModel,
        "sound": SoundModel,
    }
    above = tuple(0 if isinstance(step, int) else step for step in path[:-1])
    return list((nouns.get(above) or parts[above[-1]]).model_fields)


def _where(path: Sequence[Any], data: Any) -> str:
    """Return a path in the storyboard's own words: scenes and shots by their id, other things by their number."""
    words = ""
    for step in path:
        data = data[step] if _has(data, step) else None
        own_id = data.get("id") if isinstance(data, dict) and isinstance(step, int) else None
        if isinstance(own_id, str) and re.fullmatch(r"[\w-]+", own_id):
            words += f".{own_id}"
        else:
            words += f"[{step}]" if isinstance(step, int) else f".{step}"
    return words.removeprefix(".")


def _id_of(path: Path) -> str:
    """Return the file's stem as a folder's name: kept where it is safe, other characters as a dash."""
    return re.sub(r"[^\w.-]+", "-", path.stem).strip("-.") or "storyboard"
