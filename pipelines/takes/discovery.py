"""The search for takes that need not be generated: in the ledger and on disk, of this storyboard or another."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.common.geometry import Size
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import TakeLoss
from pipelines.storyboard.plan import TakeSpec
from pipelines.takes.models import Take
from pipelines.takes.store import TakeStore
from pipelines.takes.unreadable import why_unreadable


@dataclass(frozen=True, slots=True)
class FoundTakes:
    """The takes that are there, and those that are lost or damaged.

    Attributes:
        takes: by request key.
        lost: attempts whose take the ledger calls kept, while its file is gone.
        damaged: files of this storyboard that are no longer, or never were, the takes that their names say.
        losses: what became of takes that were there once and have to be generated again, by request key.
    """

    takes: dict[str, Take]
    lost: tuple[int, ...] = ()
    damaged: tuple[Path, ...] = ()
    losses: Mapping[str, TakeLoss] = field(default_factory=dict)


def discover_takes(ledger: Ledger | None, specs: Iterable[TakeSpec], *, store: TakeStore, output: Path) -> FoundTakes:
    """Find those of some takes that need not be generated.

    Args:
        ledger: None where there is none yet.
        specs: the takes.
        store: the storyboard's own takes; one that the ledger does not know counts too, for it was paid for.
        output: the folder that holds the storyboards' folders: a take of another storyboard serves as well.
    """
    by_key = {spec.request_key: spec for spec in specs}
    takes: dict[str, Take] = {}
    lost: dict[int, str] = {}
    for kept in ledger.kept_takes(by_key) if ledger else ():
        path = output / kept.storyboard / kept.file
        # The size finds a file that was cut short. Hashing all takes before each run would take long: --verify does it.
        if not path.is_file() or path.stat().st_size != kept.bytes:
            lost[kept.attempt_id] = kept.request_key
        # The ledger lists them oldest first: of two takes of one request the first one counts.
        elif kept.request_key not in takes:
            spec, size = by_key[kept.request_key], Size(kept.width, kept.height)
            takes[kept.request_key] = Take(spec, path, kept.prompt, kept.cost_usd, size, kept.remarks)
    on_disk = store.find_all()
    damaged: list[Path] = []
    for key in (by_key.keys() - takes.keys()) & on_disk.keys():
        # No ledger vouches for it: it may be the damaged rest of one that the ledger calls lost.
        if why_unreadable(on_disk[key]) is None:
            # Perhaps a fallback made it, and its cost is lost with its ledger: nothing here knows.
            takes[key] = Take(by_key[key], on_disk[key], by_key[key].prompt, cost_usd=None)
        else:
            damaged.append(on_disk[key])
    losses = dict.fromkeys(lost.values(), TakeLoss.GONE)
    losses |= dict.fromkeys((path.stem for path in damaged), TakeLoss.UNREADABLE)
    losses |= ledger.lost_takes(by_key.keys() - takes.keys() - losses.keys()) if ledger else {}
    losses = {key: loss for key, loss in losses.items() if key not in takes}
    return FoundTakes(takes, tuple(lost), tuple(damaged), losses)
