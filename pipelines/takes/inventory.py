"""The takes of every frame: which were asked for, which are there, and which one the film shows."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.common.settings import Settings
from pipelines.ledger.database import LedgerDatabase, ledger_exists
from pipelines.ledger.models import RequestedTake
from pipelines.ledger.takes import picked_takes, requested_takes
from pipelines.storyboard.plan import FrameSpec, Plan, another_take
from pipelines.takes.discovery import FoundTakes, discover_takes
from pipelines.takes.models import FrameTakes, Take
from pipelines.takes.store import TakeStore


@dataclass(frozen=True, slots=True)
class TakeInventory:
    """What is there of a plan.

    Attributes:
        frames: the takes of each frame, in storyboard order.
        wanted: every take that the storyboard asks for: first all first ones, so that whatever ends a run early
            leaves a film.
        every: these, and every take that was ever asked for besides.
        bought: those that are there, by request key; and what is not what it should be.
        unasked: takes that the storyboard asks for beyond first ones, not yet entered in the books, with their frames.
    """

    frames: tuple[FrameTakes, ...]
    wanted: tuple[FrameSpec, ...]
    every: tuple[FrameSpec, ...]
    bought: FoundTakes
    unasked: tuple[tuple[FrameSpec, FrameSpec], ...] = ()

    @property
    def missing(self) -> tuple[FrameSpec, ...]:
        """Those that the storyboard asks for and that are still to be bought."""
        return tuple(spec for spec in self.wanted if spec.request_key not in self.bought.takes)

    @property
    def shown(self) -> list[Take]:
        """The take that each frame shows; frames that have none are left out."""
        return [take for frame in self.frames if (take := frame.shown)]


def read_inventory(plan: Plan, settings: Settings) -> TakeInventory:
    """Find every take of a plan's frames, whether there are books yet or not; change nothing.

    Raises:
        LedgerError: the books cannot be opened.
    """
    url, store = settings.effective_database_url, TakeStore(settings.output / plan.storyboard)
    with contextlib.ExitStack() as stack:
        books = stack.enter_context(LedgerDatabase(url)) if ledger_exists(url) else None
        return take_inventory(books, plan, store=store, output=settings.output)


def take_inventory(books: LedgerDatabase | None, plan: Plan, *, store: TakeStore, output: Path) -> TakeInventory:
    """Find every take of a plan's frames.

    Args:
        books: where they are written down; None where there are no books yet.
        plan: the frames.
        store: the storyboard's own takes.
        output: the folder that holds the storyboards' folders.
    """
    asked = requested_takes(books, plan.storyboard) if books else []
    specs = _specs(plan, asked)
    every = tuple(spec for of_frame in specs for spec in of_frame.values())
    bought = discover_takes(books, every, store=store, output=output)
    picks = picked_takes(books, plan.storyboard) if books else {}
    entered = {(take.frame_key, take.take) for take in asked}
    return TakeInventory(
        frames=tuple(_frame_takes(specs[frame.number], bought, picks) for frame in plan.frames),
        wanted=tuple(_wanted(specs)),
        every=every,
        bought=bought,
        unasked=tuple(
            (frame, spec)
            for frame in plan.frames
            for number, spec in specs[frame.number].items()
            if number > 1 and (frame.request_key, number) not in entered
        ),
    )


def _specs(plan: Plan, asked: Iterable[RequestedTake]) -> list[dict[int, FrameSpec]]:
    """Return the spec of every take of every frame, by its number: those asked for now, and those once asked for."""
    by_frame: dict[str, list[RequestedTake]] = {}
    for take in asked:
        by_frame.setdefault(take.frame_key, []).append(take)
    specs = []
    for frame in plan.frames:
        of_frame = {
            number: frame if number == 1 else another_take(frame, number, model=plan.model)
            for number in range(1, frame.takes + 1)
        }
        for take in by_frame.get(frame.request_key, ()):
            of_frame[take.take] = another_take(frame, take.take, model=plan.model, prompt=take.prompt)
        specs.append(dict(sorted(of_frame.items())))
    return specs


def _wanted(specs: Sequence[Mapping[int, FrameSpec]]) -> Iterator[FrameSpec]:
    most = max(spec.takes for of_frame in specs for spec in of_frame.values())
    for number in range(1, most + 1):
        yield from (of_frame[number] for of_frame in specs if number <= of_frame[1].takes)


def _frame_takes(specs: Mapping[int, FrameSpec], bought: FoundTakes, picks: Mapping[str, int]) -> FrameTakes:
    frame = specs[1]
    takes = tuple(bought.takes[spec.request_key] for spec in specs.values() if spec.request_key in bought.takes)
    return FrameTakes(frame, takes, picks.get(frame.request_key))
