"""The handover from a command to a flow in the same process: objects that cannot be parameters of a flow."""

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from pipelines.common.errors import Note
from pipelines.common.settings import Settings
from pipelines.run.observer import RunObserver
from pipelines.storyboard.model import Storyboard


@dataclass(frozen=True, slots=True)
class Handover:
    """What a command has read already, so that the flow runs exactly that and does not read it again.

    Attributes:
        board: the storyboard.
        settings: from the command line, the environment and .env.
        observer: receives the run's progress, and its result.
        notes: on the storyboard, where the command has checked it and told them; None where the flow is to check it.
        began: when a person began to wait for it, by the monotonic clock, in seconds.
    """

    board: Storyboard
    settings: Settings
    observer: RunObserver
    notes: tuple[Note, ...] | None = None
    began: float = field(default_factory=time.monotonic)


# Runs a flow to its end; see `running.run_flow`.
RunFlow = Callable[[str, Mapping[str, Any], Handover], None]

# Set only in the process of a command; a flow that a worker runs finds nothing here, and reads its parameters.
handover: ContextVar[Handover | None] = ContextVar("handover", default=None)
