"""The observer of a run: a display, the review app or a test holds it while the run goes on."""

from dataclasses import dataclass, field

from pipelines.common.errors import InterruptedRunError
from pipelines.run.progress import Progress
from pipelines.run.result import RunResult
from pipelines.run.scheduling import StopSignal


@dataclass(slots=True)
class RunObserver:
    """One run as seen, and stopped, from outside. In the same process; the stop signal, in the same event loop.

    Attributes:
        progress: counts while the run goes on; any thread may read it.
        stop_signal: stops the run.
        result: None until the run has ended, and for one that ended before its entry in the ledger.
    """

    progress: Progress = field(default_factory=Progress)
    stop_signal: StopSignal = field(default_factory=StopSignal)
    result: RunResult | None = None

    def interrupt(self, error: InterruptedRunError, *, grace_period_s: float) -> None:
        """Stop the run because a person wants it to end; its progress says at once what it still waits for.

        Args:
            error: what the run ends with.
            grace_period_s: how long what is in flight is awaited.
        """
        self.stop_signal.stop(error, grace_period_s=grace_period_s)
        self.progress.stop(grace_period_s=grace_period_s)
