"""A run without Prefect, which takes seconds to start: where nothing is generated, and for the review app."""

from collections.abc import Sequence

from pipelines.common.errors import Note, UsageError
from pipelines.common.settings import Settings
from pipelines.ledger.ledger import Ledger
from pipelines.run.context import open_run
from pipelines.run.observer import RunObserver
from pipelines.run.pipeline import run_pipeline
from pipelines.run.preparation import prepare_run
from pipelines.run.result import RunRecord, RunResult
from pipelines.run.take_log import generating_logged
from pipelines.storyboard.model import Storyboard
from pipelines.storyboard.plan import FrameSpec, Plan
from pipelines.storyboard.selection import ExtraTakes
from pipelines.takes.inventory import read_inventory_here


async def run_locally(
    board: Storyboard,
    settings: Settings,
    extra_takes: ExtraTakes | None = None,
    *,
    observer: RunObserver | None = None,
    otio: bool = False,
    notes: Sequence[Note] | None = None,
    began: float | None = None,
    handle_signals: bool = True,
) -> RunResult:
    """Generate takes, publish the frames, and cut the film if every frame has a take.

    Args:
        board: the storyboard.
        settings: folders, ledger, endpoint and bounds.
        extra_takes: the takes to generate, perhaps of no frames; None for those that the storyboard asks for.
        observer: receives the progress and the result, and can stop the run.
        otio: write the timeline as OpenTimelineIO too.
        notes: see `prepare_run`.
        began: when a person began to wait for it, by the monotonic clock; None for now.
        handle_signals: see `open_run`.

    Raises:
        StoryreelError: why the run is not whole; what was generated is kept.
    """
    # An empty ExtraTakes is not None: it generates nothing, and the film is cut again.
    select = (lambda _: extra_takes) if extra_takes is not None else None
    record = RunRecord() if began is None else RunRecord(started=began)
    prepared = await prepare_run(board, settings, select=select, otio=otio, notes=notes)
    async with open_run(prepared, observer or RunObserver(), handle_signals=handle_signals) as context:
        return await run_pipeline(context, record, generating_logged)


def pick_take(plan: Plan, settings: Settings, frame: FrameSpec, number: int) -> None:
    """Enter in the ledger which take a frame shows from now on.

    Args:
        plan: the storyboard's frames.
        settings: where the ledger is.
        frame: one of the plan's.
        number: of the take, from 1.

    Raises:
        UsageError: there is no such take of it, or takes of the storyboard lie in another output folder.
    """
    # Before the pick is entered: the film could not follow it.
    inventory = read_inventory_here(plan, settings)
    takes = inventory.frames[frame.number]
    if takes.find(number) is None:
        there = ", ".join(str(take.spec.number) for take in takes.takes)
        has = f"it has {there}" if there else "it has none yet; render the storyboard first"
        raise UsageError(f"{frame.label}: there is no take {number}; {has}")
    with Ledger.open(settings.effective_database_url) as ledger:
        ledger.pick_take(plan.storyboard, frame.request_key, number)
