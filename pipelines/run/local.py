"""A run without Prefect: for what has to be quick, a re-roll in the cutting room or a film cut anew after a pick."""

import logging
from collections.abc import Callable

from pipelines.common.errors import UsageError
from pipelines.common.settings import Settings
from pipelines.film.ffmpeg import require_encoder
from pipelines.film.sound import require_sounds
from pipelines.ledger.database import LedgerDatabase
from pipelines.ledger.takes import pick_take
from pipelines.run.context import RunContext, open_run
from pipelines.run.pipeline import effective_budgets, run_pipeline, start_progress, summary_of
from pipelines.run.result import RunRecord, RunResult
from pipelines.run.worker import TakeGenerator, TakeOutcome
from pipelines.storyboard.model import Storyboard
from pipelines.storyboard.plan import FrameSpec, Plan, plan_frames
from pipelines.storyboard.selection import ExtraTakes
from pipelines.takes.inventory import read_inventory

_log = logging.getLogger(__name__)


async def run_locally(
    board: Storyboard,
    settings: Settings,
    more: ExtraTakes | None,
    *,
    heeds_signals: bool = True,
    opened: Callable[[RunContext], None] = lambda _: None,
) -> RunResult:
    """Buy, lay the frames, and cut the film if every frame has something to show.

    Args:
        board: the storyboard.
        settings: where everything is, and of whom to buy.
        more: what to buy, perhaps nothing; None for what the storyboard asks for.
        heeds_signals: see `open_run`.
        opened: told of the run's session once it is open.

    Raises:
        StoryreelError: why the run is not complete; what was bought is kept.
    """
    for wanted in board.outputs:
        require_encoder(wanted.codec)
    await require_sounds(board)
    plan = plan_frames(board, model=settings.effective_model)
    budgets, record = effective_budgets(board, settings), RunRecord()
    progress = start_progress(plan, settings, budgets)
    async with open_run(plan, settings, budgets=budgets, progress=progress, heeds_signals=heeds_signals) as session:
        opened(session)
        await run_pipeline(session, record, _buy, more=more)
        return await summary_of(session, record)


def pick(plan: Plan, settings: Settings, frame: FrameSpec, number: int) -> None:
    """Write down which take a frame shows from now on.

    Args:
        plan: the storyboard's frames.
        settings: where the books are.
        frame: one of them.
        number: of the take, from 1.

    Raises:
        UsageError: there is no such take of it.
    """
    takes = read_inventory(plan, settings).frames[frame.number]
    if takes.find(number) is None:
        there = ", ".join(str(take.spec.take) for take in takes.takes)
        has = f"it has {there}" if there else "it has none yet; render the storyboard first"
        raise UsageError(f"{frame.label}: there is no take {number}; {has}")
    with LedgerDatabase(settings.effective_database_url) as books:
        pick_take(books, plan.storyboard, frame.request_key, number)


async def _buy(buyer: TakeGenerator, spec: FrameSpec) -> TakeOutcome:
    return await buyer.buy(spec, note=lambda text: _log.info("%s: %s", spec.label, text))
