"""The log of a flow run: what storyreel's modules log goes to Prefect, in the same words as to a local log."""

import contextlib
import logging
from collections import Counter
from collections.abc import Iterator

from prefect import get_run_logger
from prefect.context import TaskRunContext

_ALL_MODULES = "pipelines"
# A task run's log, of a group of takes that are sent again and again, is to stay one that Prefect's page can show.
_MAX_LINES = 200
_LEFT_OUT = "further lines are left out: the ledger has a row for each attempt"


@contextlib.contextmanager
def logging_to_prefect() -> Iterator[None]:
    """Send what storyreel's modules log to the flow run's log, or the task run's, for as long as the block lasts.

    From the level on that Prefect's own logger has: PREFECT_LOGGING_LEVEL, INFO unless told otherwise.
    """
    logger, sending = logging.getLogger(_ALL_MODULES), _RunLogHandler()
    level_before, propagate_before = logger.level, logger.propagate
    logger.addHandler(sending)
    logger.setLevel(min(sending.level, logger.getEffectiveLevel()))
    # Prefect's own logger prints each line on the console of a worker already.
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(sending)
        logger.setLevel(level_before)
        logger.propagate = propagate_before


class _RunLogHandler(logging.Handler):
    """Hands records on to the log of the task run in which they are made, else of the flow run."""

    def __init__(self) -> None:
        # Kept: threads of the run that do not inherit its context, such as the ledger's, log to it too.
        self._flow_run = get_run_logger()
        self._lines: Counter[object] = Counter()
        super().__init__(self._flow_run.getEffectiveLevel())

    def emit(self, record: logging.LogRecord) -> None:
        task_run = TaskRunContext.get()
        if task_run is None:
            self._flow_run.log(record.levelno, "%s", record.getMessage())
            return
        self._lines[task_run.task_run.id] += 1
        lines = self._lines[task_run.task_run.id]
        if lines <= _MAX_LINES + 1:
            text = record.getMessage() if lines <= _MAX_LINES else _LEFT_OUT
            get_run_logger(task_run).log(record.levelno, "%s", text)
