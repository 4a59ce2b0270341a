"""Commands that make a film: render, reroll, animatic."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from pipelines.cli.exit_codes import SeveralStoryboardsError
from pipelines.cli.logs import LoggedCommand
from pipelines.cli.options import (
    Scale,
    board_argument,
    boards_argument,
    endpoint_options,
    json_option,
    limit_options,
    output_option,
    print_json,
    print_message,
    takes_model_option,
)
from pipelines.cli.quotes import quote_json, reroll_text
from pipelines.common.formatting import counted


@click.command(cls=LoggedCommand)
@boards_argument
@endpoint_options
@limit_options
@click.option("--otio", is_flag=True, help="Write the timeline as OpenTimelineIO too, for an editor.")
@click.option("--open", "open_it", is_flag=True, help="Open the report, or the film, once it is made.")
@json_option
def render(boards: tuple[Path, ...], *, open_it: bool, as_json: bool, **options: Any) -> None:
    """Generate the missing frames, cut the film, write the ledger.

    \b
    Example:
      storyreel render configs/storyboards/cat-in-a-garden.yaml
      storyreel render my-film.yaml --endpoint https://flux.example.workers.dev --budget 0.25
    """
    from pipelines.cli.render import open_results, render_boards

    results = render_boards(boards, options)
    # Failed ones too: a program wants to read what was kept, and why the rest is missing.
    if as_json:
        renders = [result.as_json() for result in results]
        print_json(renders[0] if len(boards) == 1 else {"renders": renders})
    if open_it:
        open_results(results)
    # An error of the only storyboard needs no name before it.
    errors = {result.board: result.error for result in results if result.error}
    if errors:
        raise SeveralStoryboardsError(errors) if len(boards) > 1 else errors[boards[0]]


@click.command(cls=LoggedCommand)
@board_argument
@click.argument("frames")
@click.option("--takes", type=int, default=1, show_default=True, help="How many more takes of each frame.")
@click.option("--prompt", help="Prompt to use instead of the frames' own.")
@click.option("--dry-run", is_flag=True, help="Show the price only; send nothing.")
@endpoint_options
@limit_options
@json_option
def reroll(board: Path, frames: str, *, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Generate more takes of some frames.

    FRAMES are numbers and ranges (3,7-9), shots (scene/shot) or whole scenes, with commas between them. No take is
    ever overwritten: a frame goes on to show the take that it showed until you pick another.

    \b
    Example:
      storyreel reroll my-film.yaml 3,7-9 --takes 2
      storyreel reroll my-film.yaml arrival/wide --prompt "a harbor in fog, no boats"
    """
    from pipelines.cli.render import reroll_board
    from pipelines.common.settings import load_settings
    from pipelines.storyboard.loader import load_storyboard
    from pipelines.storyboard.plan import plan_frames
    from pipelines.storyboard.quote import quote_takes
    from pipelines.storyboard.selection import select_extra_takes

    settings, storyboard = load_settings(options), load_storyboard(board)
    planned = plan_frames(storyboard, model=settings.effective_model)
    extra = select_extra_takes(planned, frames, count=options["takes"], prompt=options["prompt"])
    # Every one of them is new: no take that is there already makes a re-roll cheaper.
    quote = quote_takes(extra.to_quote, frames=len(planned.frames), settings=settings)
    print_message(reroll_text(len(extra.frames), quote, settings))
    if dry_run:
        if as_json:
            print_json(quote_json(planned, quote, losses={}))
        return
    # The flow selects the frames again, by the same text, in the storyboard that was quoted.
    result = reroll_board(board, storyboard, settings, frames, options)
    if as_json:
        print_json(result.as_json())
    if result.error:
        raise result.error


@click.command(cls=LoggedCommand)
@board_argument
@output_option
@takes_model_option
@click.option(
    "--scale",
    type=Scale(),
    default="0.5",
    show_default=True,
    help="Size of the animatic: a factor of the film's width and height, up to 1.",
)
@json_option
def animatic(board: Path, *, scale: Decimal, as_json: bool, **options: Any) -> None:
    """Cut the film, with free sketch cards for missing frames.

    It has its true timing. No endpoint is asked.

    \b
    Example:
      storyreel animatic my-film.yaml
      storyreel animatic my-film.yaml --scale 1
    """
    from pipelines.common.settings import load_settings
    from pipelines.run.animatic import make_animatic
    from pipelines.storyboard.loader import load_storyboard

    storyboard = load_storyboard(board)
    made = asyncio.run(make_animatic(storyboard, load_settings(options), scale=scale))
    film, seconds = made.film, float(made.film.duration_s)
    if as_json:
        counts = {"frames": made.frames, "cards": made.cards}
        print_json({"storyboard": storyboard.id, **counts, "video": str(film.path), "video_seconds": seconds})
    else:
        cards = f"sketch cards for {made.cards} of {counted(made.frames, 'frame')}"
        print_message(f"{film.path}: {seconds:.1f} s at {film.size}, {cards}")
