"""Commands to choose among takes: pick, takes, review."""

import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.logs import LoggedCommand, is_quiet
from pipelines.cli.options import (
    board_argument,
    endpoint_options,
    json_option,
    limit_options,
    output_option,
    print_endpoint_notice,
    print_error,
    print_json,
    print_message,
    quality_option,
    takes_model_option,
)

if TYPE_CHECKING:
    from pipelines.review.server import ReviewServer

_NOT_OPENED = "no browser on this machine opens it; open that address yourself"


@click.command(cls=LoggedCommand)
@board_argument
@click.argument("frame")
@click.argument("take", type=click.IntRange(1))
@output_option
@takes_model_option
@json_option
def pick(board: Path, frame: str, take: int, *, as_json: bool, **options: Any) -> None:
    """Choose which take a frame shows, and cut the film again.

    It costs nothing. Told no model, it follows the storyboard's last real run.

    \b
    Example:
      storyreel takes my-film.yaml
      storyreel pick my-film.yaml 3 2
    """
    from pipelines.cli.asynchronous import run_to_end
    from pipelines.cli.boards import open_board
    from pipelines.cli.following import follow_last_run
    from pipelines.cli.hints import next_command, options_to_repeat
    from pipelines.cli.speaking import plan_shown
    from pipelines.run.local import pick_take, run_locally
    from pipelines.storyboard.selection import ExtraTakes, select_frame

    storyboard, given = open_board(board, options)
    settings = follow_last_run(given, storyboard, asks=False)
    planned = plan_shown(storyboard, settings)
    spec = select_frame(planned, frame)
    pick_take(planned, settings, spec, take)
    print_message(f"{spec.label}: shows take {take}")
    # No extra takes, not None: that would generate what the storyboard still lacks.
    result = run_to_end(run_locally(storyboard, settings, ExtraTakes()))
    if as_json:
        print_json({"frame": spec.number, "take": take, **result.as_json()})
    elif result.video:
        print_message(str(result.video))
    else:
        # Named in full: a render follows no other run.
        asked = {"endpoint": settings.endpoint, "dialect": settings.dialect, "model": settings.model}
        render = next_command("render", board, options_to_repeat({**options, **asked}, settings))
        print_message(f"no film yet: some frames have no take; to generate them: {render}")


@click.command(cls=LoggedCommand)
@board_argument
@output_option
@takes_model_option
@json_option
def takes(board: Path, *, as_json: bool, **options: Any) -> None:
    """List the takes of every frame, and what each cost.

    An arrow marks the one that the frame shows. Told no model, it follows the storyboard's last real run.

    \b
    Example:
      storyreel takes my-film.yaml
    """
    from pipelines.cli.boards import open_board
    from pipelines.cli.following import follow_last_run
    from pipelines.cli.speaking import plan_shown
    from pipelines.report.take_list import take_lines, takes_json
    from pipelines.takes.inventory import elsewhere_text, read_inventory

    storyboard, given = open_board(board, options)
    settings = follow_last_run(given, storyboard, asks=False)
    planned = plan_shown(storyboard, settings)
    inventory = read_inventory(planned, settings)
    frames = inventory.frames
    if inventory.found.elsewhere:
        print_error(f"{planned.storyboard}: {elsewhere_text(inventory)}; not listed here")
    if as_json:
        print_json(takes_json(planned.storyboard, frames, simulated=settings.simulated))
    else:
        print_message("\n".join(take_lines(frames)))


@click.command(cls=LoggedCommand)
@board_argument
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port on loopback.  [default: a free one]")
@click.option("--open/--no-open", "opens", default=True, show_default=True, help="Open the page in a browser.")
@endpoint_options
@limit_options
@quality_option(default="draft")
def review(board: Path, *, port: int, opens: bool, **options: Any) -> None:
    """Choose among takes in a browser, and generate more.

    Told neither endpoint nor model, it follows the storyboard's last real run.

    \b
    Example:
      storyreel review my-film.yaml
    """
    from rich.console import Console

    from pipelines.cli.boards import open_board
    from pipelines.cli.display import display_for
    from pipelines.cli.following import follow_last_run
    from pipelines.cli.speaking import plan_shown
    from pipelines.review.server import open_review

    storyboard, given = open_board(board, options)
    settings = follow_last_run(given, storyboard, asks=True)
    print_endpoint_notice(settings)
    # What is spoken here the review finds: once it has begun, nothing is shown in the terminal.
    plan_shown(storyboard, settings)
    console = Console(stderr=True, quiet=is_quiet())
    show = partial(display_for, console=console)
    with open_review(board, settings, port=port, show_stopping=show) as server:
        print_message(f"the cutting room of {board} is at {server.address} (Ctrl-C closes it)")
        if opens:
            _open_page(server)
        if interruption := server.serve():
            print_error(str(interruption))


def _open_page(server: "ReviewServer") -> None:
    """Open the page in a browser, as soon as it is served."""
    from pipelines.cli.opener import open_for_user

    def open_file(path: Path) -> None:
        if not open_for_user(path):
            server.opening.remove()
            print_error(_NOT_OPENED)

    try:
        path = server.opening.write()
    except OSError:
        print_error(_NOT_OPENED)
        return
    # An opener may take seconds to return, and the browser asks for the page before it does.
    threading.Thread(target=open_file, args=(path,), daemon=True).start()
