"""Commands about accounts, runs and the machine: ledger, status, serve, completion."""

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
@click.option("--host", default="127.0.0.1", show_default=True, help="Loopback address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="0 picks a free one.")
@click.option(
    "--engine",
    type=click.Choice(["sketch", "plain"]),
    default="sketch",
    show_default=True,
    help="What draws the images.",
)
@click.option("--latency", default="0", show_default=True, help="Seconds that an answer takes: 2, or 3-10.")
@click.option(
    "--rate-limit",
    type=click.IntRange(0),
    default=720,
    show_default=True,
    help="Requests a minute that are allowed; 0 for any number.",
)
@click.option("--fault", "faults", multiple=True, metavar="KIND=RATE", help="Fail this share of requests; repeatable.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same answers.")
def serve(
    *, host: str, port: int, engine: str, latency: str, rate_limit: int, faults: tuple[str, ...], seed: int
) -> None:
    """Serve the FLUX API on loopback, for rehearsal and tests.

    It answers programs, and web pages of every origin, as the API is documented; nothing is paid.

    \b
    Kinds of fault that bill nothing:
      rate-limit, server-error, authentication, refused, html
    \b
    Kinds of fault that bill the image:
      hang, reset, truncate, corrupt, jpeg, wrong-size
    \b
    Example:
      storyreel serve --port 8787 --latency 3-10 --fault server-error=0.2
      storyreel render my-film.yaml --endpoint http://127.0.0.1:8787 --model sketch
    """
    from pipelines.server.config import EngineKind, ServerConfig, parse_fault, parse_latency
    from pipelines.server.description import example_request
    from pipelines.server.running import serve_forever

    def announce(address: str) -> None:
        print_message(f"storyreel serves the FLUX API on {address} (Ctrl-C ends it)\n  {example_request(address)}")

    config = ServerConfig(
        engine=EngineKind(engine),
        latency_s=parse_latency(latency),
        rate_limit=rate_limit,
        faults=tuple(parse_fault(fault) for fault in faults),
        seed=seed,
    )
    serve_forever(config, host=host, port=port, on_listening=announce)


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
