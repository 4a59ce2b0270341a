"""A person's wait for a command: how long it has been, and whether a terminal can show what it is for."""

import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console


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


def can_be_redrawn(console: "Console") -> bool:
    """Return whether lines on a console can be replaced by others."""
    # Where TERM is not set, nothing is known of a terminal; on Windows it never is.
    named = bool(os.environ.get("TERM")) or sys.platform == "win32"
    return console.is_terminal and named and not console.is_dumb_terminal
