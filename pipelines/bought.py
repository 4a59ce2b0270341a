"""What is bought already: takes in the books and on disk, of this storyboard or another, and what killed runs left."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipelines.attempt import store_take
from pipelines.flux.picture import UnusablePictureError, inspect_picture
from pipelines.frames import FrameStore, Take
from pipelines.ledger.account import kept_takes
from pipelines.ledger.books import Books
from pipelines.ledger.records import AttemptStatus, Ending, KeptTake, NewTake, OpenAttempt
from pipelines.ledger.runs import open_attempts
from pipelines.ledger.settlement import close_attempt, keep_take
from pipelines.plan import FrameSpec


@dataclass(frozen=True, slots=True)
class Bought:
    """What `find_bought` found.

    Attributes:
        takes: the take that each frame can show, by request key.
        lost: attempts whose take the books call kept, while its file is gone.
        damaged: files of this storyboard that are no longer, or never were, the takes that their names say.
    """

    takes: dict[str, Take]
    lost: tuple[int, ...]
    damaged: tuple[Path, ...] = ()


def find_bought(books: Books | None, specs: Iterable[FrameSpec], *, store: FrameStore, output: Path) -> Bought:
    """Find the takes of `specs` that need not be bought.

    Args:
        books: where they are written down; None where there are no books yet.
        specs: the frames of a plan.
        store: the storyboard's own takes; one that no books know of counts too, for it was paid for.
        output: the folder that holds the storyboards' folders: a take of another storyboard serves as well.
    """
    wanted = {spec.request_key: spec for spec in specs}
    takes: dict[str, Take] = {}
    lost: list[int] = []
    for kept in kept_takes(books, wanted) if books else ():
        path = output / kept.storyboard / kept.file
        if not path.is_file() or path.stat().st_size != kept.bytes:
            lost.append(kept.attempt_id)
        elif kept.request_key not in takes:
            takes[kept.request_key] = _shown(wanted[kept.request_key], kept, path)
    on_disk = store.found()
    damaged: list[Path] = []
    for key in (wanted.keys() - takes.keys()) & on_disk.keys():
        if _is_whole(on_disk[key]):
            takes[key] = Take(wanted[key], on_disk[key], wanted[key].prompt, cost_usd=None)
        else:
            damaged.append(on_disk[key])
    return Bought(takes, tuple(lost), tuple(damaged))


def _is_whole(path: Path) -> bool:
    """Look at a take that no books vouch for: it may be the damaged rest of one that they call lost."""
    try:
        inspect_picture(path)
    except UnusablePictureError:
        return False
    return True


def recover(books: Books, storyboard: str, *, store: FrameStore) -> None:
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


def _recover_take(books: Books, attempt: OpenAttempt, store: FrameStore) -> NewTake | None:
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


def _give_up_on(books: Books, attempt: OpenAttempt, store: FrameStore) -> None:
    aside = store.set_aside(attempt.attempt_id)
    kept = f"; what had arrived is kept as {aside.relative_to(store.folder)}" if aside else ""
    ending = Ending(AttemptStatus.UNKNOWN, f"its process was killed before the image was kept{kept}")
    close_attempt(books, attempt.attempt_id, ending)


def _shown(spec: FrameSpec, kept: KeptTake, path: Path) -> Take:
    return Take(spec, path, kept.prompt, kept.cost_usd)
