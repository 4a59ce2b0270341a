"""The search for takes that need not be generated: in the ledger and on disk, of this storyboard or another."""

import stat
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipelines.common.geometry import Size
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import KeptTake, TakeLoss
from pipelines.storyboard.plan import TakeSpec
from pipelines.takes.models import Take
from pipelines.takes.place import read_place
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
        elsewhere: the places of this storyboard's takes that are not here but in another place, by request key; also
            of those that a run has sent there, of which only that place knows what came.
        late: request keys of takes that another machine has kept here a moment ago, and that this one does not see yet.
    """

    takes: dict[str, Take]
    lost: tuple[int, ...] = ()
    damaged: tuple[Path, ...] = ()
    losses: Mapping[str, TakeLoss] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    late: frozenset[str] = frozenset()

    def of(self, spec: TakeSpec) -> Take | None:
        """Return the take that a spec asks for; None where it is not there. Several frames may ask for the same one."""
        take = self.takes.get(spec.request_key)
        return take if take is None or take.spec is spec else replace(take, spec=spec)


def discover_takes(ledger: Ledger | None, specs: Iterable[TakeSpec], *, store: TakeStore, output: Path) -> FoundTakes:
    """Find those of some takes that need not be generated.

    Args:
        ledger: None where there is none yet.
        specs: the takes.
        store: the storyboard's own takes; one that the ledger does not know counts too, for it was paid for.
        output: the folder that holds the storyboards' folders: a take of another storyboard serves as well.

    Raises:
        UsageError: the output folder's place cannot be read.
    """
    by_key = {spec.request_key: spec for spec in specs}
    takes, absent = _kept_takes(ledger.kept_takes(by_key) if ledger else (), by_key, output)
    unknown = by_key.keys() - takes.keys()
    on_disk = store.find_all() if unknown else {}
    damaged: list[Path] = []
    for key in unknown & on_disk.keys():
        # No ledger vouches for it: it may be the damaged rest of one that the ledger calls lost.
        if why_unreadable(on_disk[key]) is None:
            # Perhaps a fallback made it, and its cost is lost with its ledger: nothing here knows.
            takes[key] = Take(by_key[key], on_disk[key], by_key[key].prompt, cost_usd=None)
        else:
            damaged.append(on_disk[key])
    place = read_place(output)
    not_seen = [each for each in absent if place.has(each.place)]
    late = ledger.kept_lately([each.attempt_id for each in not_seen]) if ledger and not_seen else frozenset()
    lost = [each for each in not_seen if each.attempt_id not in late]
    elsewhere = _elsewhere((each for each in absent if not place.has(each.place)), store.folder.name)
    elsewhere |= ledger.open_elsewhere(store.folder.name, places=place.ids) if ledger else {}
    losses = {each.request_key: TakeLoss.GONE for each in lost}
    losses |= dict.fromkeys((path.stem for path in damaged), TakeLoss.UNREADABLE)
    losses |= ledger.lost_takes(by_key.keys() - takes.keys() - losses.keys()) if ledger else {}
    return FoundTakes(
        takes,
        tuple(each.attempt_id for each in lost),
        tuple(damaged),
        {key: loss for key, loss in losses.items() if key not in takes},
        {key: there for key, there in elsewhere.items() if key in by_key and key not in takes},
        frozenset(each.request_key for each in not_seen if each.attempt_id in late).difference(takes),
    )


def _kept_takes(
    kept: Collection[KeptTake], by_key: Mapping[str, TakeSpec], output: Path
) -> tuple[dict[str, Take], list[KeptTake]]:
    """Return those that are in the output folder, by request key, and those that are not."""
    takes: dict[str, Take] = {}
    absent: list[KeptTake] = []
    folders = {name: output / name for name in {each.storyboard for each in kept}}
    for each in kept:
        path = folders[each.storyboard] / each.file
        # The size finds a file that was cut short. Hashing all takes before each run would take long: --verify does it.
        if _size_of(path) != each.bytes:
            absent.append(each)
        # The ledger lists them oldest first: of two takes of one request the first one counts.
        elif each.request_key not in takes:
            spec, size = by_key[each.request_key], Size(each.width, each.height)
            takes[each.request_key] = Take(spec, path, each.prompt, each.cost_usd, size, each.remarks, each.sha256)
    return takes, absent


def _size_of(path: Path) -> int | None:
    """Return a file's size in bytes; None where there is no file."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        # Any other error says nothing of the file: what only cannot be looked at is not lost.
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _elsewhere(absent: Iterable[KeptTake], storyboard: str) -> dict[str, str]:
    """Return the places of a storyboard's takes; those of another one would have served, and are not needed."""
    return {each.request_key: each.place for each in absent if each.storyboard == storyboard and each.place}
