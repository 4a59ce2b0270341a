"""The command's log: lines on stderr, and the options that say how many of them, `--verbose` and `--quiet`."""

import contextlib
import logging
import queue
import sys
from collections.abc import Iterator
from logging.handlers import QueueHandler, QueueListener
from typing import Any

import click

from pipelines.common.errors import UsageError
from pipelines.common.printable import printable

# Keys of what click keeps for one call of the command and its subcommand together.
_VERBOSE = "storyreel.verbose"
_QUIET = "storyreel.quiet"
_LINE = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", datefmt="%H:%M:%S")


def log_options() -> list[click.Parameter]:
    """Return `--verbose` and `--quiet`; after `storyreel` and after its subcommand they mean the same."""
    return [
        click.Option(
            ["-v", "--verbose"],
            count=True,
            expose_value=False,
            callback=_note_verbose,
            help="Log what happens on stderr; -vv in detail.",
        ),
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            callback=_note_quiet,
            help="Print nothing but errors, and JSON where asked for.",
        ),
    ]


class LoggedCommand(click.Command):
    """A subcommand that takes the options of the log, and logs on stderr while it runs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += log_options()

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command.

        Raises:
            UsageError: STORYREEL_LOG_LEVEL is wrong, or the options exclude each other.
        """
        with logging_to_stderr(log_level(ctx)):
            return super().invoke(ctx)


def is_quiet() -> bool:
    """Return whether the command that runs in this thread was given `--quiet`."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(_QUIET))


def log_level(context: click.Context) -> int:
    """Return the level that the options ask for, else STORYREEL_LOG_LEVEL.

    Raises:
        UsageError: the variable is wrong, or the options exclude each other.
    """
    from pipelines.common.settings import load_log_level

    quiet, verbose = context.meta.get(_QUIET, False), context.meta.get(_VERBOSE, 0)
    if quiet and verbose:
        raise UsageError("--quiet and --verbose exclude each other; give one of them")
    if quiet:
        return logging.ERROR
    if verbose:
        return logging.DEBUG if verbose > 1 else logging.INFO
    return logging.getLevelNamesMapping()[load_log_level().upper()]


@contextlib.contextmanager
def logging_to_stderr(level: int) -> Iterator[None]:
    """Write what storyreel's own modules log, from this level on, to stderr for as long as the block lasts.

    The logs of other libraries, Prefect's among them, stay where they are.
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


def _note_verbose(context: click.Context, _: click.Parameter, count: int) -> None:
    context.meta[_VERBOSE] = context.meta.get(_VERBOSE, 0) + count


def _note_quiet(context: click.Context, _: click.Parameter, quiet: bool) -> None:
    context.meta[_QUIET] = context.meta.get(_QUIET, False) or quiet
