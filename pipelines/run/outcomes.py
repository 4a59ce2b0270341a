"""How the generation of a take ends."""

from dataclasses import dataclass

from pipelines.storyboard.plan import TakeSpec


@dataclass(frozen=True, slots=True)
class Generated:
    """The take was generated in this run, with so many requests."""

    spec: TakeSpec
    requests: int


@dataclass(frozen=True, slots=True)
class Reused:
    """The take was there already: another run has kept it since the inventory was read."""

    spec: TakeSpec


@dataclass(frozen=True, slots=True)
class Failed:
    """The take could not be generated; `reason` says why."""

    spec: TakeSpec
    reason: str


@dataclass(frozen=True, slots=True)
class Postponed:
    """Another run is generating this take, which is to be looked for again later."""

    spec: TakeSpec


@dataclass(frozen=True, slots=True)
class Unsent:
    """The run was stopped before the take's turn; or before its next attempt, after so many requests."""

    spec: TakeSpec
    requests: int = 0


TakeOutcome = Generated | Reused | Failed | Postponed | Unsent
