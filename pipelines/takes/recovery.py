"""Close what killed runs left open: whole images become takes, the rest stays charged as unknown."""

from pipelines.endpoints.image_check import UnusablePictureError
from pipelines.ledger.database import LedgerDatabase
from pipelines.ledger.models import AttemptStatus, NewTake, OpenAttempt, Outcome
from pipelines.ledger.queries import kept_takes
from pipelines.ledger.runs import open_attempts
from pipelines.ledger.settlement import close_attempt, keep_take
from pipelines.takes.store import TakeStore, store_take


def recover(books: LedgerDatabase, storyboard: str, *, store: TakeStore) -> None:
    """Close what killed runs of a storyboard left open: whole images become takes, the rest stays charged as unknown.

    Raises:
        StorageError: a take could not be made durable.
    """
    for attempt in open_attempts(books, storyboard):
        take = _recover_take(books, attempt, store)
        if take is not None:
            keep_take(books, attempt.attempt_id, take)
        else:
            _give_up_on(books, attempt, store)


def _recover_take(books: LedgerDatabase, attempt: OpenAttempt, store: TakeStore) -> NewTake | None:
    """Keep the image of an attempt that was cut off, if it arrived whole."""
    part = store.part_path(attempt.attempt_id)
    named = store.find(attempt.request_key) if attempt.holds_lease else None
    if named is not None and not kept_takes(books, [attempt.request_key]):
        # Named, but killed before the books said so: one step back, and again.
        named.replace(part)
    try:
        return store_take(store, attempt.attempt_id, attempt.request_key) if part.is_file() else None
    except UnusablePictureError:
        return None


def _give_up_on(books: LedgerDatabase, attempt: OpenAttempt, store: TakeStore) -> None:
    aside = store.quarantine(attempt.attempt_id)
    kept = f"; what had arrived is kept as {aside.relative_to(store.folder)}" if aside else ""
    ending = Outcome(AttemptStatus.UNKNOWN, f"its process was killed before the image was kept{kept}")
    close_attempt(books, attempt.attempt_id, ending)
