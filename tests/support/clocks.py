"""A clock for tests that measure time."""

from dataclasses import dataclass


@dataclass
class Seconds:
    """A clock that stands still until it is turned."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now
