"""The handover from a command to a flow in its own process: objects that no parameter of a flow can be."""

from contextvars import ContextVar
from dataclasses import dataclass

from pipelines.common.settings import Settings
from pipelines.run.observer import RunObserver
from pipelines.storyboard.model import Storyboard


@dataclass(frozen=True, slots=True)
class Handover:
    """Everything that a command has read already, so that the flow does not read it a second time.

    Attributes:
        board: the storyboard.
        settings: from the command line, the environment and .env.
        observer: sees the run while it goes on.
    """

    board: Storyboard
    settings: Settings
    observer: RunObserver


# Set only in the process of a command; a flow that a worker runs finds nothing here, and reads its parameters.
handover: ContextVar[Handover | None] = ContextVar("handover", default=None)
