"""The observer of a run: what a display, the review app or a test holds while the run goes on."""

from dataclasses import dataclass, field

from pipelines.run.progress import Progress
from pipelines.run.result import RunResult
from pipelines.run.scheduling import StopSignal


@dataclass(slots=True)
class RunObserver:
    """One run, seen from outside; in the same process, and the same event loop for the stop signal.

    Attributes:
        progress: counts while the run goes on.
        stop_signal: stops it.
        result: what it came to; None until it has ended, or where it ended before there was anything to sum up.
    """

    progress: Progress = field(default_factory=Progress)
    stop_signal: StopSignal = field(default_factory=StopSignal)
    result: RunResult | None = None
