"""The events that the review page is told of as they happen."""

from dataclasses import dataclass

from pipelines.ledger.models import RunCounters


@dataclass(frozen=True, slots=True)
class Progressed:
    """The run at work has come further; None where no run is at work."""

    counters: RunCounters | None


@dataclass(frozen=True, slots=True)
class Changed:
    """The frames of these numbers have changed; with none of them, something else on the page: the film perhaps."""

    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The storyboard has other frames now: the page has to be loaded again."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Something went wrong; what, and the cure."""

    message: str


Event = Progressed | Changed | Reloaded | Failure
