"""The exit code of a command that does several things which end differently; each error's own is in `common.errors`."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from pipelines.common.errors import StoryreelError

BUG_EXIT_CODE = 1
# First what ends the whole command, then what the user must decide on, then what running again completes.
_WORST_FIRST = (130, 5, 3, 4, 2, BUG_EXIT_CODE, 0)


class SeveralStoryboardsError(StoryreelError):
    """Some of several storyboards failed; it names each of them, and exits with the worst of their exit codes."""

    def __init__(self, errors: Mapping[Path, StoryreelError]) -> None:
        # Other errors have the exit code of their class; this one has that of what it holds.
        self.exit_code = worst_exit_code(error.exit_code for error in errors.values())
        super().__init__("\n".join(_with_path(path, str(error)) for path, error in errors.items()))


def worst_exit_code(exit_codes: Iterable[int]) -> int:
    """Return the worst of some exit codes, 0 if there are none: 130 > 5 > 3 > 4 > 2 > 1 > 0."""
    return min(exit_codes, key=_WORST_FIRST.index, default=0)


def _with_path(path: Path, message: str) -> str:
    """Return a message that names its storyboard; errors in the YAML do so themselves."""
    return message if message.startswith(f"{path}:") else f"{path}: {message}"
