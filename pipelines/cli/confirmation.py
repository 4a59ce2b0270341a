"""The question before a command spends money: on stderr, on a terminal only, and no unless the answer is yes."""

import select
import sys

import click

from pipelines.cli.options import is_terminal, print_error
from pipelines.common.errors import InterruptedRunError, UsageError

# More is no answer to a question of yes or no.
_MAX_BYTES = 1024
_TURN_S = 0.2


def has_terminal() -> bool:
    """Return whether a question can be asked: it is printed on stderr, and its answer read from stdin."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


def require_yes(question: str) -> None:
    """Ask on the terminal, and require that the answer is yes.

    Raises:
        UsageError: it is another one, or the input has ended.
        InterruptedRunError: Ctrl-C came instead.
    """
    try:
        # Not click.confirm: it writes a part of its prompt to stdout, which is for --json.
        click.echo(f"{question} [y/N] ", nl=False, err=True)
        answer = _read_line()
    except KeyboardInterrupt:
        print_error("")
        raise InterruptedRunError("interrupted: nothing was sent") from None
    if not answer.endswith(b"\n"):
        # What is said next begins on a line of its own.
        print_error("")
    if answer.strip().lower() not in (b"y", b"yes"):
        raise UsageError("not confirmed: nothing was sent")


def _read_line() -> bytes:
    # A Ctrl-C that comes just before a read begins is noticed only once that is over: so the wait is made in turns.
    while sys.platform != "win32" and not select.select([sys.stdin], [], [], _TURN_S)[0]:
        pass
    return sys.stdin.buffer.readline(_MAX_BYTES)
