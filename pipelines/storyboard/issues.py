"""Issues: everything found wrong in a storyboard's data, each at its path."""

from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.storyboard.format.base import YamlPath

# No reader gets through more, and explaining each of hundreds of thousands would take minutes.
MAX_ISSUES = 1000


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing wrong in a storyboard's data; `SourceMap.problem` finds its line and column.

    Attributes:
        path: the keys and list positions that lead to it from the storyboard's root.
        message: what is wrong and the cure, for the user.
        suggestion: the known word that is closest to an unknown one; None where none is close, or the issue is another.
        of_key: the last key of the path is wrong itself, not its value.
    """

    path: YamlPath
    message: str
    suggestion: str | None = None
    of_key: bool = False


class IssueLog:
    """Issues in the order in which they are found, at most one for each path.

    A default that is wrong is seen again with every frame that inherits it. The first issue at a path stands, so each
    mistake of the user is reported once.
    """

    def __init__(self) -> None:
        self._issues: dict[YamlPath, Issue] = {}

    def __len__(self) -> int:
        return len(self._issues)

    def __iter__(self) -> Iterator[Issue]:
        return iter(self._issues.values())

    def __contains__(self, path: YamlPath) -> bool:
        return path in self._issues

    @property
    def full(self) -> bool:
        """Whether there are `MAX_ISSUES` already, so that looking for more is of no use."""
        return len(self._issues) >= MAX_ISSUES

    def add(self, path: YamlPath, message: str, *, suggestion: str | None = None) -> None:
        """Record an issue at `path`, unless the path has one."""
        self._issues.setdefault(path, Issue(path, message, suggestion))
