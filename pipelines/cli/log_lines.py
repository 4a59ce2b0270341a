"""The command's log: lines on stderr."""

import contextlib
import logging
import queue
import sys
from collections.abc import Iterator
from logging.handlers import QueueHandler, QueueListener
from typing import Any

from pipelines.common.printable import printable

_LINE = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", datefmt="%H:%M:%S")


@contextlib.contextmanager
def logging_to_stderr(level: int | str) -> Iterator[None]:
    """Write what storyreel's own modules log, from this level on, to stderr for as long as the block lasts.

    The logs of other libraries, Prefect's among them, stay where they are. `level` is a number or a name of `logging`.
    """
    # A pipe that is not read blocks whatever writes to it: a thread of its own, and not the run.
    lines: queue.SimpleQueue[Any] = queue.SimpleQueue()
    printing = QueueListener(lines, _StderrHandler())
    queueing = QueueHandler(lines)
    # Its own, beside the logger's: a run under Prefect logs more than is asked for here.
    queueing.setLevel(level)
    logger = logging.getLogger("pipelines")
    level_before, propagate_before = logger.level, logger.propagate
    logger.addHandler(queueing)
    logger.setLevel(level)
    # Prefect installs a handler of its own at the root, which would print each line a second time.
    logger.propagate = False
    printing.start()
    try:
        yield
    finally:
        logger.removeHandler(queueing)
        logger.setLevel(level_before)
        logger.propagate = propagate_before
        # It prints what is still queued first.
        printing.stop()


class _StderrHandler(logging.Handler):
    """Writes to stderr as it is at each moment: a live display replaces it, to print lines above itself."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(_LINE)

    def emit(self, record: logging.LogRecord) -> None:
        # A reader that has gone must not end a run.
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"{printable(self.format(record))}\n")
            sys.stderr.flush()
