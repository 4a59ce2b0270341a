"""The preparation of a run: everything that can be checked before its first request."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pipelines.common.budgets import Budgets
from pipelines.common.errors import Note
from pipelines.common.settings import Settings
from pipelines.endpoints.choice import endpoint_name, model_to_check
from pipelines.film.encoders import require_encoder
from pipelines.ledger.database import ledger_exists
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import Run
from pipelines.run.checking import check_storyboard
from pipelines.storyboard.model import Storyboard
from pipelines.storyboard.plan import Plan
from pipelines.storyboard.quote import Quote, require_within_budget
from pipelines.storyboard.selection import ExtraTakes
from pipelines.takes.inventory import read_inventory_here
from pipelines.takes.ownership import require_own_folder
from pipelines.voice.planning import plan_spoken

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """A run, ready to be opened.

    Attributes:
        board: the storyboard, at the settings' quality.
        plan: its frames and films, for the settings' model.
        settings: folders, ledger, endpoint and bounds.
        budgets: the caps that hold.
        extra_takes: more takes of some frames, to be generated instead of what the storyboard asks for; perhaps of
            no frames, for a film that is only cut again. None for what the storyboard asks for.
        otio: write the timeline as OpenTimelineIO too.
        notes: on the storyboard and its sounds.
    """

    board: Storyboard
    plan: Plan
    settings: Settings
    budgets: Budgets
    extra_takes: ExtraTakes | None = None
    otio: bool = False
    notes: tuple[Note, ...] = ()


async def prepare_run(
    board: Storyboard,
    settings: Settings,
    *,
    select: Callable[[Plan], ExtraTakes] | None = None,
    otio: bool = False,
    notes: Sequence[Note] | None = None,
) -> PreparedRun:
    """Check all that a run needs, and plan it; send nothing.

    Args:
        board: the storyboard.
        settings: folders, ledger, endpoint and bounds.
        select: chooses the extra takes from the plan, for a re-roll.
        otio: write the timeline as OpenTimelineIO too.
        notes: those of `check_storyboard`, where the caller has checked the storyboard and told them; None to check it
            here.

    Raises:
        StoryboardError: the endpoint cannot make a frame, a sound cannot be read, a narration cannot be spoken, or
            notes are errors.
        FilmError: this ffmpeg lacks an encoder that an output needs.
        UsageError: there are no such frames to select, a secret would be sent in clear, the storyboard's folder is
            another file's, or takes of it lie in another output folder.
    """
    board = board.at_quality(settings.quality)
    require_own_folder(board, settings)
    # Both would be noticed only when the film is cut, and its frames are paid for by then.
    for output in board.outputs:
        require_encoder(output.codec)
    if notes is None:
        notes = await check_storyboard(board, settings, strict=settings.strict, model=model_to_check(settings))
        for note in notes:
            _log.warning("%s", note)
    plan = await asyncio.to_thread(plan_spoken, board, settings)
    await asyncio.to_thread(read_inventory_here, plan, settings)
    extra_takes = select(plan) if select else None
    # None is a render. A film that is only cut again sends nothing.
    if extra_takes is None or extra_takes.frames:
        settings.require_secrets_hidden()
    return PreparedRun(board, plan, settings, effective_budgets(board, settings), extra_takes, otio, tuple(notes))


def effective_budgets(board: Storyboard, settings: Settings) -> Budgets:
    """Return the caps of the storyboard and of the settings together: the smaller of two on the run."""
    return replace(
        board.budgets.within(settings.budget_usd),
        daily_usd=settings.budget_daily_usd,
        on_exceed=board.budgets.on_exceed or settings.on_exceed,
    )


def require_quote_within_budgets(quote: Quote, board: Storyboard, settings: Settings) -> None:
    """Require, before a run is started, that its budgets can pay for its quote as they are now.

    Raises:
        BudgetError: they cannot; the run itself would be refused for the same reason.
        LedgerError: the ledger cannot be opened.
    """
    # A run that is in no ledger: nothing was spent yet of its own cap.
    budgets = effective_budgets(board, settings)
    run = Run("", board.id, endpoint_name(settings), settings.effective_model, settings.simulated, budgets)
    url = settings.effective_database_url
    remaining = budgets.caps
    if ledger_exists(url):
        with Ledger.open(url) as ledger:
            remaining = ledger.remaining_budgets(run)
    require_within_budget(quote, remaining, on_exceed=budgets.on_exceed)
