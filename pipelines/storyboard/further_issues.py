"""A storyboard's data without what is wrong in it, so that the rest can be checked and everything reported at once."""

import copy
from collections.abc import Iterable
from typing import Any

from pipelines.storyboard.format.base import has_step
from pipelines.storyboard.issues import Issue

# Keys that define names for templates, or frames. Without one of them, templates that are right would look wrong.
_NAMING_KEYS = frozenset({"vars", "styles", "matrix", "match", "prompt", "prompts", "scenes", "shots", "frames"})
# Below these, every key is a name that the user defines.
_NAMES_BELOW = frozenset({"vars", "styles", "matrix"})


def without_issues(data: Any, issues: Iterable[Issue]) -> Any | None:
    """Return a copy of the data without the values that are wrong; None where the rest cannot be checked on its own."""
    # The places of problems are looked up in the data, so the original stays as it is.
    rest = copy.deepcopy(data)
    for issue in issues:
        if not _can_be_left_out(issue):
            return None
        _remove(rest, issue)
    return rest


def _can_be_left_out(issue: Issue) -> bool:
    """Return whether the rest of the storyboard means the same without the value at the issue's path."""
    *above, last = issue.path or ("",)
    # An unknown key may be a naming one, misspelled.
    if _NAMING_KEYS.intersection((last, issue.suggestion)) or _NAMES_BELOW.intersection(above):
        return False
    # A list's entry cannot: those after it would move.
    return isinstance(last, str) and last != ""


def _remove(data: Any, issue: Issue) -> None:
    *above, last = issue.path
    for step in above:
        if not has_step(data, step):
            # An issue before this one has removed a value above it.
            return
        data = data[step]
    data.pop(last, None)
