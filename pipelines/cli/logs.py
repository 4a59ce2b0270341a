"""The options that say how much the command logs, `--verbose` and `--quiet`, and the subcommands that take them."""

from typing import TYPE_CHECKING, Any

import click

from pipelines.common.errors import UsageError

if TYPE_CHECKING:
    from pipelines.common.settings import LogLevel

# Keys of what click keeps for one call of the command and its subcommand together.
_VERBOSE = "storyreel.verbose"
_QUIET = "storyreel.quiet"


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
        # Here and not above: --help and Tab log nothing.
        from pipelines.cli.log_lines import logging_to_stderr

        with logging_to_stderr(log_level(ctx).upper()):
            return super().invoke(ctx)


def is_quiet() -> bool:
    """Return whether the command that runs in this thread was given `--quiet`."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(_QUIET))


def log_level(context: click.Context) -> "LogLevel":
    """Return the level that the options ask for, else STORYREEL_LOG_LEVEL.

    Raises:
        UsageError: the variable is wrong, or the options exclude each other.
    """
    from pipelines.common.settings import LogLevel, load_log_level

    quiet, verbose = context.meta.get(_QUIET, False), context.meta.get(_VERBOSE, 0)
    if quiet and verbose:
        raise UsageError("--quiet and --verbose exclude each other; give one of them")
    if quiet:
        return LogLevel.ERROR
    if verbose:
        return LogLevel.DEBUG if verbose > 1 else LogLevel.INFO
    return load_log_level()


def _note_verbose(context: click.Context, _: click.Parameter, count: int) -> None:
    context.meta[_VERBOSE] = context.meta.get(_VERBOSE, 0) + count


def _note_quiet(context: click.Context, _: click.Parameter, quiet: bool) -> None:
    context.meta[_QUIET] = context.meta.get(_QUIET, False) or quiet
