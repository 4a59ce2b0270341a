"""Takes whose files turn out to hold no picture: they are set aside, so that the next run generates them again."""

from pathlib import Path

from pipelines.common.imaging import open_picture, require_whole
from pipelines.common.picture_file import UnreadablePictureError
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import TakeLoss
from pipelines.takes.store import TakeStore


def set_aside_unreadable(ledger: Ledger, request_key: str, *, store: TakeStore, output: Path) -> str | None:
    """Move every file of a take that holds no whole picture to `takes/unusable`, and forget it in the ledger.

    Each is read once more: a reader that was short of memory, say, must not cost anyone a sound take.

    Args:
        ledger: where its attempts are.
        request_key: the take's.
        store: the storyboard's own takes; a take of another storyboard is set aside in that one's folder.
        output: the folder that holds the storyboards' folders.

    Returns:
        Why one cannot be read; None where all can, and nothing was moved.

    Raises:
        StorageError: a file could not be moved, or the ledger not be written.
    """
    reason = None
    for kept in ledger.kept_takes([request_key]):
        path = output / kept.storyboard / kept.file
        if found := why_unreadable(path):
            reason = found
            detail = f"{reason}; it is set aside in takes/unusable"
            # First, for it may be repeated: a file that was moved already would not be looked at again.
            ledger.forget_lost_takes([kept.attempt_id], loss=TakeLoss.UNREADABLE, detail=detail)
            TakeStore(output / kept.storyboard).quarantine_damaged(path)
    # One that no ledger knows, or the copy of another storyboard's.
    own = store.find(request_key)
    if own and (found := why_unreadable(own)):
        reason = found
        store.quarantine_damaged(own)
    return reason


def why_unreadable(path: Path) -> str | None:
    """Return why a file holds no whole picture; None where it does, or cannot be looked at."""
    try:
        require_whole(open_picture(path))
    except UnreadablePictureError as exc:
        return str(exc)
    except OSError:
        # Gone, or not for us to read: nothing is known of what it holds.
        return None
    return None
