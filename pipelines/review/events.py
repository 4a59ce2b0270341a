"""The events that the review page receives as they happen."""

from dataclasses import dataclass

from pipelines.ledger.models import RunCounters


@dataclass(frozen=True, slots=True)
class Progressed:
    """The progress of the run at work; None where no run is at work."""

    counters: RunCounters | None


@dataclass(frozen=True, slots=True)
class Changed:
    """Frames that have changed, by their numbers; none where only the film or the costs have changed."""

    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The storyboard has other frames now, so that the page has to be loaded again."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error for the person at the page: the problem, and the cure."""

    message: str


Event = Progressed | Changed | Reloaded | Failure
