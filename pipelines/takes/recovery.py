"""Recovery of the attempts that killed runs left open: whole images become takes, the rest stays charged as unknown."""

import logging

from pipelines.endpoints.image_check import UnusablePictureError
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import AbandonedAttempt, AttemptStatus, NewTake, Outcome
from pipelines.takes.store import BodyTakenError, TakeStore, check_and_store

_log = logging.getLogger(__name__)


def recover(ledger: Ledger, storyboard: str, *, store: TakeStore) -> None:
    """Close every attempt of a storyboard that an ended run left open.

    Raises:
        StorageError: a take could not be made durable.
    """
    for attempt in ledger.abandoned_attempts(storyboard, places=store.place.ids):
        store.remove_leftovers(attempt.attempt_id)
        take = _recover_take(ledger, attempt, store)
        if take is not None:
            ledger.keep_take(attempt.attempt_id, take)
            _log.info("%s: attempt %d, of a run that ended: its image is kept", storyboard, attempt.attempt_id)
        else:
            _close_as_unknown(ledger, attempt, store)
            _log.info("%s: attempt %d, of a run that ended: stays charged as unknown", storyboard, attempt.attempt_id)


def _recover_take(ledger: Ledger, attempt: AbandonedAttempt, store: TakeStore) -> NewTake | None:
    """Return the take that an attempt that was cut off becomes, if its image arrived whole."""
    part = store.part_path(attempt.attempt_id)
    # Without the lease, a take of that name is another attempt's.
    named = store.find(attempt.request_key) if attempt.holds_lease else None
    if named is not None and not ledger.kept_takes([attempt.request_key]):
        # Its run was killed after the file got its name and before the ledger said so: one step back, and again.
        named.replace(part)
    if not part.is_file():
        return None
    try:
        return check_and_store(store, attempt.attempt_id, attempt.request_key, asked=attempt.asked)
    except (UnusablePictureError, BodyTakenError):
        # Taken: its run was asleep, and not dead. It is about to say itself what came.
        return None


def _close_as_unknown(ledger: Ledger, attempt: AbandonedAttempt, store: TakeStore) -> None:
    quarantined = store.quarantine(attempt.attempt_id)
    kept = f"; what had arrived is kept as {quarantined.relative_to(store.folder)}" if quarantined else ""
    # No answer was seen whole, so it may have been billed: it stays charged at what was reserved.
    outcome = Outcome(AttemptStatus.UNKNOWN, f"its process was killed before the image was kept{kept}")
    ledger.close_attempt(attempt.attempt_id, outcome)
