"""Arguments and options that several commands share, and the ways to print: for people on stderr, JSON on stdout."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from pipelines.cli.logs import is_quiet
from pipelines.common.errors import StorageError
from pipelines.common.printable import printable, printable_json

if TYPE_CHECKING:
    from decimal import Decimal

    from pipelines.common.settings import Settings

# A decorator of click returns the function that it was given.
F = TypeVar("F", bound=Callable[..., Any])


def print_message(text: str) -> None:
    """Print a message for people, on stderr: stdout is for programs. With `--quiet` it is not printed."""
    if not is_quiet():
        print_error(text)


def print_error(text: str) -> None:
    """Print on stderr why something that was asked for is not done, or not whole."""
    click.echo(printable(text), err=True)


def is_terminal(stream: IO[str] | None) -> bool:
    """Return whether a person sees what is printed to a stream, or types what is read from it."""
    # None, or closed, where the command was started without it.
    return stream is not None and not stream.closed and stream.isatty()


def print_json(value: object) -> None:
    """Print a value as JSON on stdout; a command does so once, or not at all.

    Raises:
        StorageError: it cannot be written there.
    """
    # Here and not above, like whatever only some commands need: --help and Tab start without it.
    import json

    print_output(printable_json(json.dumps(value, indent=2, ensure_ascii=False)) + "\n")


def print_output(text: str) -> None:
    """Print on stdout what a program asked for, to the letter.

    Raises:
        StorageError: it cannot be written there.
    """
    try:
        click.echo(text, nl=False)
    except BrokenPipeError:
        # Its reader has had enough.
        raise
    except OSError as exc:
        raise StorageError(f"standard output: cannot be written: {exc.strerror}") from exc


def print_endpoint_notice(*runs: "Settings") -> None:
    """Require that what is sent keeps its secrets; say once what names the endpoints: a .env, or storyboards.

    Raises:
        UsageError: a secret would be sent in clear.
    """
    told: set[str] = set()
    for settings in runs:
        settings.require_secrets_hidden()
        named = settings.named_endpoint
        notice = named.notice if named else settings.describe_env_file()
        if notice is None or notice in told:
            continue
        told.add(notice)
        # A storyboard's with --quiet too; see `NamedEndpoint.notice`.
        print_error(notice) if named else print_message(notice)


class StoryboardPath(click.Path):
    """The path of a storyboard; a relative one is found from STORYREEL_ROOT, where that is set."""

    def __init__(self) -> None:
        # click need not ask whether it exists: the loader does, and says so with the same words for each command.
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the path.

        Raises:
            UsageError: a setting is wrong.
        """
        # Here and not above: --help does without the settings.
        from pipelines.common.settings import load_settings

        return load_settings().locate(Path(os.fsdecode(super().convert(value, param, ctx))))


def board_argument(command: F) -> F:
    """Add the argument that names one storyboard's file."""
    return click.argument("board", type=StoryboardPath())(command)


def boards_argument(command: F) -> F:
    """Add the argument that names one or more storyboards' files."""
    return click.argument("boards", type=StoryboardPath(), nargs=-1, required=True)(command)


def json_option(command: F) -> F:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")(command)


def strict_option(command: F) -> F:
    """Add `--strict`."""
    return click.option(
        "--strict", is_flag=True, default=None, help="Take notes on the storyboard for errors.  [default: tell them]"
    )(command)


def output_option(command: F) -> F:
    """Add `--output`, the folder of all results."""
    return click.option(
        "--output", type=click.Path(path_type=Path, file_okay=False), help="Folder for all results.  [default: outputs]"
    )(command)


def takes_model_option(command: F) -> F:
    """Add `--model` for commands that look at takes and generate none."""
    return click.option("--model", help="Model whose takes to use.  [default: flux-1-schnell or sketch]")(command)


def endpoint_options(command: F) -> F:
    """Add the options that say which endpoint to ask, for which model, and how fast; and `--output`."""
    options = [
        click.option("--endpoint", help="Address of the image API.  [default: STORYREEL_ENDPOINT, else embedded]"),
        click.option("--dialect", metavar="NAME", help="API that it speaks, like flux.  [default: by its address]"),
        click.option("--model", help="Model to ask for.  [default: flux-1-schnell; sketch for the embedded endpoint]"),
        click.option("--price", "price_usd", metavar="USD", help="Most that an image may cost, where no list says."),
        output_option,
        click.option("--rate-limit", type=int, help="Requests a minute that the endpoint allows.  [default: 720]"),
    ]
    # The first decorator is applied last; --help lists the options in the order of the list.
    for option in reversed(options):
        command = option(command)
    return command


def limit_options(command: F) -> F:
    """Add the options that limit what a run may spend and how many requests it has in flight."""
    budget = click.option(
        "--budget", "budget_usd", metavar="USD", help="Hard cap for this run; the storyboard's own holds as well."
    )
    concurrency = click.option("--concurrency", type=int, help="Most requests in flight at once.  [default: 128]")
    return budget(concurrency(command))


def quality_option(*, default: str) -> Callable[[F], F]:
    """Return what adds `--quality`, of the films; `default` says in words what holds without it."""
    return click.option(
        "--quality",
        type=click.Choice(["draft", "final"]),
        help=f"Quality of the films: a draft is there sooner.  [default: {default}]",
    )


class Scale(click.ParamType["Decimal"]):
    """A number above 0 and up to 1, read exactly."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> "Decimal":
        """Return the number that was typed; anything else is a wrong command line."""
        from decimal import Decimal, InvalidOperation

        try:
            scale = Decimal(value)
        except InvalidOperation:
            scale = Decimal(0)
        # NaN compares with nothing: is_finite comes first.
        if not (scale.is_finite() and 0 < scale <= 1):
            self.fail(f"must be a number above 0 and up to 1, got {value!r}", param, ctx)
        return scale
