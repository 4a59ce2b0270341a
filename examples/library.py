"""Render a film from Python: write a storyboard, plan it, quote it, render it, and choose among takes.

Run it as `python examples/library.py`. It needs no network and costs nothing, for without an endpoint frames are
sketches; where STORYREEL_ENDPOINT is set, it asks that one, for less than a cent.
"""

import tempfile
from pathlib import Path

from pipelines import api

STORYBOARD = """\
title: A day at the harbor
output: {fps: 12, size: 192x192}
defaults: {aspect: 1:1, steps: 1, hold: 500ms}
prompts:
  - a harbor at dawn, fishing boats
  - a harbor at noon, gulls above the pier
  - a harbor at dusk, lights on the water
"""


def main(folder: Path) -> None:
    """Make the film of the storyboard above in a folder, and print what was done."""
    path = folder / "harbor.yaml"
    path.write_text(STORYBOARD)

    # What is not given here comes from STORYREEL_* variables and .env, as for the command. The budget is a hard cap.
    settings = api.Settings(output=folder / "outputs", budget_usd="0.25")

    # Mistakes in a storyboard are an api.StoryboardError, which holds all of them with their places.
    board = api.load_storyboard(path)
    for frame in api.plan(board, settings).frames:
        print(f"frame {frame.number}: {frame.prompt}")

    # The exact price, before any request is sent. Rendered again, the film would cost nothing: every take is kept.
    quote = api.quote(board, settings)
    print(f"{quote.generate} to generate, {quote.reuse} to reuse: {quote.price.usd} USD")

    try:
        result = api.render(board, settings)
    except api.IncompleteError as error:
        # What was generated is kept; render again to complete it.
        raise SystemExit(str(error)) from error
    print(f"{result.state}: {result.generated} generated, {result.video_seconds} s of film")

    # Two more takes of the last frame. It goes on to show its first take, until another one is picked.
    more = api.reroll(board, 2, takes=2, settings=settings)
    newest = more.new_takes[-1].spec.number
    api.pick(board, 2, newest, settings)
    print(f"frame 2 shows take {newest}")
    print(f"the film is {result.video}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))
