"""How long a person has waited for a command."""

import time
from dataclasses import dataclass

import click


@dataclass(frozen=True, slots=True)
class Waiting:
    """A person's wait for a command.

    Attributes:
        began: when it was started, by the monotonic clock, in seconds.
    """

    began: float

    @classmethod
    def now(cls) -> "Waiting":
        """Return a wait that begins now."""
        return cls(time.monotonic())


def waiting_since() -> float:
    """Return when the wait for the command that runs in this thread began; now, without one."""
    context = click.get_current_context(silent=True)
    waiting = context.find_object(Waiting) if context else None
    return (waiting or Waiting.now()).began
