"""Commands about the storyboard's file, which send nothing: new, check, plan, schema."""

from pathlib import Path
from typing import Any

import click

from pipelines.cli.logs import LoggedCommand
from pipelines.cli.options import (
    StoryboardPath,
    board_argument,
    boards_argument,
    endpoint_options,
    json_option,
    print_json,
    print_message,
    strict_option,
)
from pipelines.common.errors import StoryboardError


@click.command(cls=LoggedCommand)
@click.argument("path", type=StoryboardPath())
@click.option(
    "--from",
    "prompts",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A list of prompts: a .txt or .md with a line for each shot, or a .csv or .tsv with a row for each.",
)
@click.option("--deployments", is_flag=True, help="Write a prefect.yaml of storyreel's deployments instead.")
@strict_option
@json_option
def new(path: Path, *, prompts: Path | None, deployments: bool, as_json: bool, **options: Any) -> None:
    """Write a storyboard to start from, or from a list of prompts.

    The columns of a .csv are a storyboard's own keys: prompt, and if you like scene, shot, caption, hold, steps,
    aspect, transition, motion, style ... A row without a scene belongs to the scene above it.

    A line of a .txt is a prompt to the letter. Numbering and list marks are stripped; headings, code fences and lines
    without a letter or digit are left out. Notes tell which.

    \b
    Example:
      storyreel new my-film.yaml
      storyreel new my-film.yaml --from prompts.txt
      storyreel new prefect.yaml --deployments
    """
    from pipelines.cli.new_files import write_new_file

    made = write_new_file(path, prompts=prompts, deployments=deployments, options=options)
    print_message(f"{path}: written; next: {made.next_step}")
    if as_json:
        print_json({"path": str(path), "notes": list(map(str, made.notes))})


@click.command(cls=LoggedCommand)
@boards_argument
@endpoint_options
@click.option("--probe", is_flag=True, help="Ask the endpoint too, for free: is it there, does it take the token?")
@strict_option
@json_option
def check(boards: tuple[Path, ...], *, probe: bool, as_json: bool, **options: Any) -> None:
    """Check storyboards; send nothing, unless told to probe.

    Mistakes are errors. What is legal but surely not meant is a note; so is what the endpoint, by its price list, will
    not make as it is asked. A probe buys nothing.

    \b
    Example:
      storyreel check configs/storyboards/*.yaml
      storyreel check my-film.yaml --endpoint https://flux.example.workers.dev --probe
    """
    from pipelines.cli.checking import check_board, checks_json
    from pipelines.cli.probing import probe_endpoints, require_usable
    from pipelines.common.settings import load_settings

    settings = load_settings(options)
    # Every one is read before any problem ends the command: people fix them all at once.
    results = [check_board(path, settings) for path in boards]
    problems = [problem for result in results for problem in result.problems]
    # None is asked for a storyboard that cannot be rendered.
    probed = probe_endpoints(result.settings for result in results if result.settings) if probe and not problems else []
    if as_json:
        print_json(checks_json(results, [endpoint.as_json() for endpoint in probed] if probe else None))
    if problems:
        raise StoryboardError(problems)
    require_usable(probed)


@click.command(cls=LoggedCommand)
@board_argument
@endpoint_options
@strict_option
@json_option
def plan(board: Path, *, as_json: bool, **options: Any) -> None:
    """Show what a render would generate, cost and take.

    Nothing is sent.

    \b
    Example:
      storyreel plan configs/storyboards/harbor-at-dawn.yaml
    """
    from pipelines.cli.boards import open_board
    from pipelines.cli.checking import check_boards
    from pipelines.cli.following import notes_on_last_run
    from pipelines.cli.quotes import quote_json, quote_text
    from pipelines.run.forecast import forecast_render
    from pipelines.storyboard.endpoint import settings_for
    from pipelines.takes.inventory import read_inventory_here
    from pipelines.voice.planning import plan_spoken

    storyboard, given = open_board(board, options)
    settings = settings_for(storyboard, given)
    [notes] = check_boards([storyboard], [settings])
    planned = plan_spoken(storyboard, settings)
    inventory = read_inventory_here(planned, settings)
    # All that the storyboard asks for: with `takes: 3`, three of a frame.
    quote = inventory.quote(settings)
    forecast = forecast_render(planned, inventory, settings)
    on_last_run = notes_on_last_run(settings, planned.storyboard)
    if as_json:
        foretold = {"seconds_until_finished": round(forecast.seconds, 1)}
        noted = {"notes": [*map(str, notes), *on_last_run]}
        print_json({**quote_json(planned, quote, inventory.losses), **foretold, **noted})
    else:
        lines = [quote_text(planned, quote, settings, inventory.losses, forecast=forecast)]
        print_message("\n".join([*lines, *(f"  note        {note}" for note in on_last_run)]))


@click.command(cls=LoggedCommand)
def schema() -> None:
    """Print the storyboard's JSON Schema.

    \b
    Example:
      storyreel schema > storyboard.schema.json
    """
    from pipelines.storyboard.format.schema import json_schema

    print_json(json_schema())
