"""The storyreel command: it reads the command line, runs one subcommand, and maps errors to exit codes."""

import io
import sys
import traceback
from collections.abc import Sequence

import click

from pipelines.cli import run_commands, serve_command, service_commands, storyboard_commands, take_commands
from pipelines.cli.exit_codes import BUG_EXIT_CODE
from pipelines.cli.logs import log_options
from pipelines.cli.options import print_error
from pipelines.cli.problems import print_problems
from pipelines.cli.standard_streams import dependable_streams
from pipelines.cli.waiting import Waiting
from pipelines.common.errors import InterruptedRunError, StoryboardError, StoryreelError

_COMMANDS: tuple[click.Command, ...] = (
    storyboard_commands.new,
    storyboard_commands.check,
    storyboard_commands.plan,
    storyboard_commands.schema,
    run_commands.render,
    run_commands.reroll,
    run_commands.animatic,
    take_commands.pick,
    take_commands.takes,
    take_commands.review,
    service_commands.ledger,
    service_commands.status,
    serve_command.serve,
    service_commands.completion,
)


def main() -> None:
    """Run the command with the process's arguments, and exit with its exit code."""
    with dependable_streams():
        exit_code = run(sys.argv[1:])
    sys.exit(exit_code)


def run(arguments: Sequence[str]) -> int:
    """Run the command with these arguments; return its exit code, see `storyreel --help`."""
    try:
        # Otherwise click would exit by itself, with exit codes of its own.
        storyreel.main(args=list(arguments), prog_name="storyreel", standalone_mode=False, obj=Waiting.now())
    except click.ClickException as exc:
        # click quotes what was typed, or what a pattern of the shell has found.
        words = io.StringIO()
        exc.show(words)
        print_error(words.getvalue().rstrip("\n"))
        return exc.exit_code
    except StoryboardError as exc:
        print_problems(exc.problems)
        return exc.exit_code
    except StoryreelError as exc:
        print_error(str(exc))
        return exc.exit_code
    except (KeyboardInterrupt, click.Abort):
        print_error(str(InterruptedRunError()))
        return InterruptedRunError.exit_code
    except BrokenPipeError:
        # The reader of our output, `head` for one, has had enough. Python would complain on stderr as it exits.
        sys.stderr.close()
        return 0
    # Whatever else comes here was not foreseen. The user gets the traceback, and an exit code that says so.
    except Exception:  # noqa: BLE001 - the last line of defence
        print_error(traceback.format_exc())
        print_error("this is a bug in storyreel; what was generated is kept. Please report it with the lines above.")
        return BUG_EXIT_CODE
    return 0


@click.group(
    commands=_COMMANDS,
    params=log_options(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 all done; 2 the storyboard or the command line is wrong (nothing sent); 3 the budget; "
    "4 some frames or a film are missing, run again; 5 the endpoint; 130 interrupted; 1 a bug.",
)
@click.version_option(package_name="storyreel")
def storyreel() -> None:
    """Turn a YAML storyboard of prompts into a film, and account for every cent.

    \b
    Example:
      storyreel new my-film.yaml
      storyreel plan my-film.yaml
      storyreel render my-film.yaml
    """
