"""The ownership of storyboards' folders: `<output>/<id>/` belongs to the storyboard file that the ledger holds for it.

Two files of one id would overwrite each other's films, and each would be told of the other's takes and costs. A folder
passes to another file only where the one before is gone, as after a move, or has another id now.
"""

import os
from pathlib import Path

from pipelines.common.errors import UsageError
from pipelines.common.settings import Settings
from pipelines.ledger.database import ledger_exists
from pipelines.ledger.ledger import Ledger
from pipelines.storyboard.loader import read_id
from pipelines.storyboard.model import Storyboard

# Each is lost only to another file that takes the folder in the same moment.
_MAX_TRIES = 10


def require_own_folder(board: Storyboard, settings: Settings) -> None:
    """Require that a storyboard's folder is not another file's; change nothing.

    Raises:
        UsageError: it is.
        LedgerError: the ledger cannot be opened.
    """
    url = settings.effective_database_url
    if ledger_exists(url):
        with Ledger.open_to_read(url) as ledger:
            folder = _folder_of(board, settings)
            _require_not_owned(folder, board, ledger.folder_owner(folder))


def claim_folder(ledger: Ledger, board: Storyboard, settings: Settings) -> None:
    """Make a storyboard's folder that of its file, unless it is another file's.

    Raises:
        UsageError: it is.
        StorageError: the ledger could not be written.
    """
    folder, file = _folder_of(board, settings), _absolute(board.path)
    # Again where another run was quicker: whether its file is another one is to be judged anew.
    for _ in range(_MAX_TRIES):
        owner = ledger.folder_owner(folder)
        _require_not_owned(folder, board, owner)
        # It stays under the name that it was entered by: a link may be meant to lead to another file later.
        if _is_file_of(board, owner) or ledger.enter_folder_owner(folder, file, instead_of=owner):
            return
    raise UsageError(f"{folder}: other storyboards of the id {board.id!r} come and go; give this one another `id:`")


def _require_not_owned(folder: Path, board: Storyboard, owner: Path | None) -> None:
    if owner is None or _is_file_of(board, owner) or read_id(owner) != board.id:
        return
    raise UsageError(
        f"{board.path}: has the same id as {owner}, {board.id!r}, and {folder} belongs to that storyboard: nothing was "
        "sent or changed; write an `id:` of its own into one of the two, or choose another --output"
    )


def _is_file_of(board: Storyboard, owner: Path | None) -> bool:
    """Return whether a path leads to a storyboard's file, perhaps in another spelling or by links."""
    if owner is None:
        return False
    try:
        return owner == _absolute(board.path) or owner.samefile(board.path)
    except OSError:
        return False


def _folder_of(board: Storyboard, settings: Settings) -> Path:
    # Where it really is: a copy of the output folder, with the ledger in it, belongs to nobody yet.
    return Path(os.path.realpath(settings.output / board.id))


def _absolute(path: Path) -> Path:
    """Return an absolute path without `..`, except where a folder before it is a link and leads elsewhere."""
    # Not where it really is; see `claim_folder`.
    plain = Path(os.path.abspath(path))  # noqa: PTH100
    try:
        return plain if plain.samefile(path) else path.absolute()
    except OSError:
        return plain
