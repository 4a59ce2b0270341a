"""The inventory of a plan's takes: requested ones, those that are there, and those that the film shows."""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.common.errors import UsageError
from pipelines.common.settings import Settings
from pipelines.ledger.database import ledger_exists
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import RequestedTake, TakeLoss
from pipelines.storyboard.plan import Plan, TakeSpec, take_of
from pipelines.storyboard.quote import Quote, quote_takes
from pipelines.takes.discovery import FoundTakes, discover_takes
from pipelines.takes.models import FrameTakes, Take
from pipelines.takes.place import PLACE_FILE
from pipelines.takes.store import TakeStore


@dataclass(frozen=True, slots=True)
class TakeInventory:
    """The takes of a plan.

    Attributes:
        frames: the takes of each frame, in storyboard order.
        requested: every take that the storyboard asks for: first all first ones, so that a run that ends early leaves
            a film.
        known: these, and every other take that was ever requested.
        found: those that are there, by request key; and those that are lost or damaged.
        unregistered: takes beyond first ones that the storyboard asks for and the ledger does not list yet.
    """

    frames: tuple[FrameTakes, ...]
    requested: tuple[TakeSpec, ...]
    known: tuple[TakeSpec, ...]
    found: FoundTakes
    unregistered: tuple[TakeSpec, ...] = ()

    @property
    def missing(self) -> tuple[TakeSpec, ...]:
        """The takes that the storyboard asks for and that are still to be generated."""
        return tuple(spec for spec in self.requested if spec.request_key not in self.found.takes)

    @property
    def losses(self) -> Counter[TakeLoss]:
        """How many of the missing takes were there once, and have to be generated again, by what became of them."""
        return Counter(
            self.found.losses[spec.request_key] for spec in self.missing if spec.request_key in self.found.losses
        )

    @property
    def selected(self) -> list[Take]:
        """The take that each frame shows; frames that have none are left out."""
        return [take for frame in self.frames if (take := frame.selected)]

    def quote(self, settings: Settings) -> Quote:
        """Return the price of what a render with these settings would generate."""
        return quote_takes(self.requested, frames=len(self.frames), kept=self.found.takes, settings=settings)


def read_inventory_here(plan: Plan, settings: Settings) -> TakeInventory:
    """Return the inventory of a plan, none of whose takes may lie where they cannot be seen from here.

    Such a take would be paid for twice.

    Raises:
        UsageError: some lie in another output folder.
        LedgerError: the ledger cannot be opened.
    """
    inventory = read_inventory(plan, settings)
    if not inventory.found.elsewhere:
        return inventory
    raise UsageError(
        f"{plan.storyboard}: {elsewhere_text(inventory)}: nothing was sent or changed; let this machine see that "
        "folder and name it by --output or STORYREEL_OUTPUT, or copy it here whole, with its "
        f"{PLACE_FILE}; if it is gone for good, add its id to {settings.output / PLACE_FILE} as a line, and what is "
        "missing is generated again, which costs again"
    )


def elsewhere_text(inventory: TakeInventory) -> str:
    """Return how many takes lie in other places, and in which."""
    places = inventory.found.elsewhere.values()
    lie = "lies" if len(places) == 1 else "lie"
    ids = " or ".join(sorted(set(places)))
    return f"{len(places)} of its takes {lie} in another output folder, whose {PLACE_FILE} holds {ids}"


def read_inventory(plan: Plan, settings: Settings) -> TakeInventory:
    """Return the inventory of a plan, whether there is a ledger yet or not; change nothing.

    Raises:
        LedgerError: the ledger cannot be opened.
    """
    # A command that only looks must not leave an empty ledger behind.
    url, store = settings.effective_database_url, TakeStore(settings.output / plan.storyboard)
    with contextlib.ExitStack() as stack:
        ledger = stack.enter_context(Ledger.open(url)) if ledger_exists(url) else None
        return take_inventory(ledger, plan, store=store, output=settings.output)


def take_inventory(ledger: Ledger | None, plan: Plan, *, store: TakeStore, output: Path) -> TakeInventory:
    """Find every take of a plan's frames.

    Args:
        ledger: None where there is none yet.
        plan: the frames.
        store: the storyboard's own takes.
        output: the folder that holds the storyboards' folders.
    """
    requested = ledger.requested_takes(plan.storyboard) if ledger else []
    specs = _specs(plan, requested)
    known = tuple(spec for of_frame in specs for spec in of_frame.values())
    found = discover_takes(ledger, known, store=store, output=output)
    picks = ledger.picked_takes(plan.storyboard) if ledger else {}
    registered = {(take.frame_key, take.number) for take in requested}
    return TakeInventory(
        frames=tuple(_frame_takes(specs[frame.number], found, picks) for frame in plan.frames),
        requested=tuple(_requested(specs)),
        known=known,
        found=found,
        # First takes are not registered: every frame has one.
        unregistered=tuple(
            spec for spec in known if spec.number > 1 and (spec.frame.request_key, spec.number) not in registered
        ),
    )


def _specs(plan: Plan, requested: Iterable[RequestedTake]) -> list[dict[int, TakeSpec]]:
    """Return the spec of every take of every frame, by its number: those asked for now, and those once requested."""
    by_frame: dict[str, list[RequestedTake]] = {}
    for take in requested:
        by_frame.setdefault(take.frame_key, []).append(take)
    specs = []
    for frame in plan.frames:
        # What a re-roll requested comes last and wins: it may have a prompt of its own.
        of_frame = {1: frame.first_take}
        for number in range(2, frame.takes + 1):
            of_frame[number] = take_of(frame, number, model=plan.model)
        for take in by_frame.get(frame.request_key, ()):
            of_frame[take.number] = take_of(frame, take.number, model=plan.model, prompt=take.prompt)
        specs.append(dict(sorted(of_frame.items())))
    return specs


def _requested(specs: Sequence[Mapping[int, TakeSpec]]) -> Iterator[TakeSpec]:
    """Yield the takes that the storyboard asks for: the first of every frame, then the second of every frame ..."""
    most = max(of_frame[1].frame.takes for of_frame in specs)
    for number in range(1, most + 1):
        yield from (of_frame[number] for of_frame in specs if number <= of_frame[1].frame.takes)


def _frame_takes(specs: Mapping[int, TakeSpec], found: FoundTakes, picks: Mapping[str, int]) -> FrameTakes:
    frame = specs[1].frame
    # `specs` is sorted by number, and so are they.
    takes = tuple(take for spec in specs.values() if (take := found.of(spec)))
    return FrameTakes(frame, takes, picks.get(frame.request_key))
