"""Commands about accounts, runs and the machine: ledger, status, completion."""

from pathlib import Path

import click

from pipelines.cli.logs import LoggedCommand
from pipelines.cli.options import board_argument, json_option, output_option, print_json, print_message, print_output
from pipelines.common.errors import IncompleteError, UsageError


@click.command(cls=LoggedCommand)
@board_argument
@output_option
@click.option("--csv", "csv_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the ledger here.")
@click.option("--verify", is_flag=True, help="Compare the ledger with the takes and the price list.")
@click.option("--settle", "attempt_id", type=int, metavar="ATTEMPT", help="Settle an attempt of unknown outcome.")
@click.option("--cost", metavar="USD|none", help="With --settle: what it cost; none if that cannot be found out.")
@click.option("--why", default="", help="With --settle: how you know.")
@json_option
def ledger(
    board: Path,
    *,
    output: Path | None,
    csv_path: Path | None,
    verify: bool,
    attempt_id: int | None,
    cost: str | None,
    why: str,
    as_json: bool,
) -> None:
    """Show what a storyboard has cost; verify it; settle attempts.

    \b
    Example:
      storyreel ledger my-film.yaml --csv my-film.csv
      storyreel ledger my-film.yaml --verify
      storyreel ledger my-film.yaml --settle 17 --cost 0 --why "not on the invoice"
    """
    from pipelines.cli.boards import open_board
    from pipelines.cli.following import follow_last_run
    from pipelines.report.statement import settle_attempt, statement_of

    if (attempt_id is None) != (cost is None):
        raise UsageError("--settle ATTEMPT and --cost USD|none go together")
    opened, given = open_board(board, {"output": output})
    storyboard = opened.id
    settings = follow_last_run(given, opened, asks=False)
    # First, so that the statement and its verification already show it.
    if attempt_id is not None and cost is not None:
        settle_attempt(settings, storyboard, attempt_id, cost=cost, why=why)
    statement = statement_of(settings, storyboard, verify=verify, csv_path=csv_path)
    if as_json:
        print_json(statement.as_json())
    else:
        print_message("\n".join(statement.lines()))
    if statement.differences:
        raise IncompleteError("\n".join(statement.differences))
    if verify:
        print_message(f"{storyboard}: the ledger, the takes and the price list agree")


@click.command(cls=LoggedCommand)
@board_argument
@output_option
@json_option
def status(board: Path, *, output: Path | None, as_json: bool) -> None:
    """Show what a run is doing, what it has spent, when it ends.

    Ask from another terminal, or after a crash.

    \b
    Example:
      storyreel status my-film.yaml
      watch storyreel status my-film.yaml
    """
    from pipelines.cli.boards import open_board
    from pipelines.report.status import status_of

    storyboard, settings = open_board(board, {"output": output})
    found = status_of(settings, storyboard.id)
    if as_json:
        print_json(found.as_json())
    else:
        print_message("\n".join(found.lines()))


@click.command(cls=LoggedCommand)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that lets your shell complete the command.

    Tab then completes commands, options and files.

    \b
    Example:
      storyreel completion bash
    \b
    To have it in every shell from now on:
      bash  echo 'eval "$(storyreel completion bash)"' >> ~/.bashrc
      zsh   echo 'eval "$(storyreel completion zsh)"' >> ~/.zshrc
      fish  storyreel completion fish > ~/.config/fish/completions/storyreel.fish
    """
    from click.shell_completion import get_completion_class

    complete_class = get_completion_class(shell)
    # click has one for each of the choices above.
    assert complete_class is not None
    # The variable is the one that click looks for as the command starts: its name follows from the program's.
    script = complete_class(context.find_root().command, {}, "storyreel", "_STORYREEL_COMPLETE")
    print_output(script.source())
