"""Commands that make a film: render, reroll, animatic."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    print_error,
    print_json,
    print_message,
    quality_option,
    strict_option,
    takes_model_option,
)

if TYPE_CHECKING:
    from decimal import Decimal

_film_quality = quality_option(default="the storyboard's, else final")


@click.command(cls=LoggedCommand)
@boards_argument
@endpoint_options
@limit_options
@_film_quality
@strict_option
@click.option(
    "--lanes",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    metavar="N",
    help="Addresses to send from: this one, and workers of a Prefect work pool.",
)
@click.option("--otio", is_flag=True, help="Write the timeline as OpenTimelineIO too, for an editor.")
@click.option("--open", "open_it", is_flag=True, help="Open the report, or the film, once it is made.")
@json_option
def render(boards: tuple[Path, ...], *, open_it: bool, as_json: bool, **options: Any) -> None:
    """Generate the missing frames, cut the film, write the ledger.

    \b
    Example:
      storyreel render configs/storyboards/cat-in-a-garden.yaml
      storyreel render my-film.yaml --endpoint https://flux.example.workers.dev --budget 0.25
      storyreel render my-film.yaml --lanes 4
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
@click.option("-y", "--yes", is_flag=True, help="Generate without asking, as a script must.")
@endpoint_options
@limit_options
@_film_quality
@json_option
def reroll(board: Path, frames: str, *, dry_run: bool, yes: bool, as_json: bool, **options: Any) -> None:
    """Generate more takes of some frames, after showing the price.

    Nothing is sent before you say yes: to the question on the terminal, or by --yes. Told neither endpoint nor model,
    it follows the storyboard's last real run.

    FRAMES are numbers and ranges (3,7-9), shots (scene/shot) or whole scenes, with commas between them. No take is
    ever overwritten: a frame goes on to show the take that it showed until you pick another.

    \b
    Example:
      storyreel reroll my-film.yaml 3,7-9 --takes 2
      storyreel reroll my-film.yaml arrival/wide --prompt "a harbor in fog, no boats"
    """
    from pipelines.cli.quotes import quote_json
    from pipelines.cli.render import reroll_board
    from pipelines.cli.reroll import quote_reroll, require_consent

    offer = quote_reroll(board, frames, options)
    if dry_run:
        print_message(offer.price)
        if as_json:
            print_json(quote_json(offer.plan, offer.quote, losses={}))
        return
    require_consent(offer, yes=yes)
    # The flow selects the frames again, by the same text, in the storyboard that was quoted.
    result = reroll_board(board, offer.board, offer.settings, frames, options)
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
def animatic(board: Path, *, scale: "Decimal", as_json: bool, **options: Any) -> None:
    """Cut the film, with free sketch cards for missing frames.

    It has its true timing. No endpoint is asked.

    \b
    Example:
      storyreel animatic my-film.yaml
      storyreel animatic my-film.yaml --scale 1
    """
    from pipelines.cli.asynchronous import run_to_end
    from pipelines.cli.speaking import speech_shown
    from pipelines.common.formatting import counted
    from pipelines.common.settings import load_settings
    from pipelines.run.animatic import make_animatic
    from pipelines.storyboard.endpoint import settings_to_look
    from pipelines.storyboard.loader import load_storyboard

    storyboard = load_storyboard(board)
    settings = settings_to_look(storyboard, load_settings(options))
    with speech_shown(storyboard) as observer:
        made = run_to_end(make_animatic(storyboard, settings, scale=scale, observer=observer))
    film, seconds = made.film, float(made.film.duration_s)
    if made.elsewhere:
        print_error(f"{storyboard.id}: {made.elsewhere}; cards stand for them")
    if as_json:
        counts = {"frames": made.frames, "cards": made.cards}
        print_json({"storyboard": storyboard.id, **counts, "video": str(film.path), "video_seconds": seconds})
    else:
        cards = f"sketch cards for {made.cards} of {counted(made.frames, 'frame')}"
        print_message(f"{film.path}: {seconds:.1f} s at {film.size}, {cards}")
