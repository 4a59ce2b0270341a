"""A re-roll from the command line: quoted, asked about, and then generated as it was shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.cli.confirmation import has_terminal, require_yes
from pipelines.cli.following import follow_last_run
from pipelines.cli.options import print_error, print_message
from pipelines.cli.quotes import reroll_text
from pipelines.cli.speaking import plan_shown
from pipelines.common.errors import StoryboardError, UsageError
from pipelines.common.settings import Settings, load_settings
from pipelines.run.preparation import require_quote_within_budgets
from pipelines.storyboard.loader import load_text
from pipelines.storyboard.model import Storyboard
from pipelines.storyboard.plan import Plan
from pipelines.storyboard.quote import Quote, quote_takes
from pipelines.storyboard.reading import read_text
from pipelines.storyboard.selection import select_extra_takes
from pipelines.takes.inventory import read_inventory_here
from pipelines.takes.ownership import require_own_folder


@dataclass(frozen=True, slots=True)
class RerollOffer:
    """More takes of some frames, and their price.

    Attributes:
        path: the storyboard's file, as it was named on the command line.
        text: what was in it.
        board: the same, resolved.
        settings: from the options, the environment and .env.
        plan: the storyboard's frames.
        frames: how many of them get more takes.
        quote: of these takes.
    """

    path: Path
    text: str
    board: Storyboard
    settings: Settings
    plan: Plan
    frames: int
    quote: Quote

    @property
    def price(self) -> str:
        """The price in a line."""
        return reroll_text(self.frames, self.quote, self.settings)


def quote_reroll(path: Path, frames: str, options: Mapping[str, Any]) -> RerollOffer:
    """Quote more takes of some frames; send nothing.

    Raises:
        UsageError: the storyboard or an option is wrong, there are no such frames, the storyboard's folder is
            another file's, or takes of it lie in another output folder.
    """
    text = read_text(path)
    board = load_text(text, path)
    given = load_settings(options)
    require_own_folder(board, given)
    settings = follow_last_run(given, board, asks=True)
    plan = plan_shown(board, settings)
    extra = select_extra_takes(plan, frames, count=options["takes"], prompt=options["prompt"])
    read_inventory_here(plan, settings)
    # Every one of them is new: no take that is there already makes a re-roll cheaper.
    quote = quote_takes(extra.to_quote, frames=len(plan.frames), settings=settings)
    return RerollOffer(path, text, board, settings, plan, len(extra.frames), quote)


def require_consent(offer: RerollOffer, *, yes: bool) -> None:
    """Show the price, and require that the user wants to pay it: by `--yes`, or by the answer on the terminal.

    Raises:
        BudgetError: the budgets cannot pay for it.
        UsageError: the user does not want to, or cannot be asked; or the storyboard has changed meanwhile.
        InterruptedRunError: Ctrl-C came instead of an answer.
    """
    asks = has_terminal() and not yes
    # Also with --quiet, where something is asked: a price that is to be paid has to be seen.
    print_error(offer.price) if asks else print_message(offer.price)
    if yes:
        return
    # Before the question: a run that would be refused needs no answer.
    require_quote_within_budgets(offer.quote, offer.board, offer.settings)
    if not asks:
        raise UsageError(
            "reroll asks before it spends, and there is no terminal to ask on: nothing was sent; give --yes to "
            "generate without being asked, or --dry-run for the price alone"
        )
    require_yes("Generate?")
    _require_unchanged(offer)


def _require_unchanged(offer: RerollOffer) -> None:
    # However long the question stood there: what would be generated is what was shown, and no longer what is wanted.
    try:
        unchanged = read_text(offer.path) == offer.text
    except StoryboardError:
        unchanged = False
    if not unchanged:
        raise UsageError(f"{offer.path}: has changed since its price was shown: nothing was sent; reroll it again")
