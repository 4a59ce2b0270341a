"""pydantic's errors -> issues: in the user's words, and at paths that lead through the storyboard's data."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from pipelines.common.requirements import requirement
from pipelines.storyboard.format.base import LOCATED_ERROR, YamlPath, has_step
from pipelines.storyboard.format.parsers import UnknownWordError, describe
from pipelines.storyboard.format.structure import known_keys
from pipelines.storyboard.format.words import suggest_word
from pipelines.storyboard.issues import Issue


def issues_of(errors: Iterable[ErrorDetails], data: Any) -> Iterator[Issue]:
    """Yield the issue that each of pydantic's errors in `data` stands for."""
    for error in errors:
        path = path_in(data, error["loc"])
        match error["type"]:
            case "extra_forbidden":
                known = suggest_word(path[-1], known_keys(path[:-1]))
                yield Issue(path, f"unknown key{known.sentence}", known.closest, of_key=True)
            case "missing":
                yield Issue(path, f"lacks {error['loc'][-1]!r}; add it")
            case kind if kind == LOCATED_ERROR:
                key = error["ctx"]["key"]
                yield Issue((*path, key) if key else path, error["ctx"]["message"])
            case "value_error":
                cause = error["ctx"]["error"]
                suggestion = cause.suggestion if isinstance(cause, UnknownWordError) else None
                yield Issue(path, str(cause), suggestion)
            case _:
                yield Issue(path, _message(error))


def path_in(data: Any, loc: Sequence[str | int]) -> YamlPath:
    """Return the part of pydantic's location that leads through `data`; a location also names types of unions."""
    path: list[str | int] = []
    for step in loc:
        if has_step(data, step):
            data = data[step]
            path.append(step)
    return tuple(path)


def _message(error: ErrorDetails) -> str:
    """Return one of pydantic's own errors in the user's words."""
    if error["type"] == "too_short":
        return requirement(error)
    if error["type"] == "too_long":
        count, most = len(error["input"]), error["ctx"]["max_length"]
        return f"must have at most {most:,} entries, got {count:,}; remove some"
    return f"{requirement(error)}, got {describe(error['input'])}{_list_cure(error)}"


def _list_cure(error: ErrorDetails) -> str:
    # Without the space, the lines of the list are one text.
    dashed = error["type"] == "list_type" and re.match("-[^ ]", str(error["input"]))
    return "; write a space after each dash" if dashed else ""
