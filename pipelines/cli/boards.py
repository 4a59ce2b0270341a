"""Opening a storyboard: what every command does first that looks at one's takes or account."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.common.settings import Settings, load_settings
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.model import Storyboard
from pipelines.takes.ownership import require_own_folder


def open_board(path: Path, options: Mapping[str, Any]) -> tuple[Storyboard, Settings]:
    """Read a storyboard, and the settings of a command that is given these options.

    Raises:
        UsageError: one of them is wrong, or the storyboard's folder is another file's.
    """
    settings = load_settings(options)
    board = load_storyboard(path)
    require_own_folder(board, settings)
    return board, settings
