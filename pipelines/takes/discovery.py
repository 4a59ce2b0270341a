"""What is bought already: takes in the books and on disk, of this storyboard or another, and what killed runs left."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipelines.endpoints.image_check import UnusablePictureError, inspect_picture
from pipelines.ledger.database import LedgerDatabase
from pipelines.ledger.models import KeptTake
from pipelines.ledger.queries import kept_takes
from pipelines.storyboard.plan import FrameSpec
from pipelines.takes.models import Take
from pipelines.takes.store import TakeStore


@dataclass(frozen=True, slots=True)
class FoundTakes:
    """What `discover_takes` found.

    Attributes:
        takes: the take that each frame can show, by request key.
        lost: attempts whose take the books call kept, while its file is gone.
        damaged: files of this storyboard that are no longer, or never were, the takes that their names say.
    """

    takes: dict[str, Take]
    lost: tuple[int, ...]
    damaged: tuple[Path, ...] = ()


def discover_takes(
    books: LedgerDatabase | None, specs: Iterable[FrameSpec], *, store: TakeStore, output: Path
) -> FoundTakes:
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
    return FoundTakes(takes, tuple(lost), tuple(damaged))


def _is_whole(path: Path) -> bool:
    """Look at a take that no books vouch for: it may be the damaged rest of one that they call lost."""
    try:
        inspect_picture(path)
    except UnusablePictureError:
        return False
    return True


def _shown(spec: FrameSpec, kept: KeptTake, path: Path) -> Take:
    return Take(spec, path, kept.prompt, kept.cost_usd)
