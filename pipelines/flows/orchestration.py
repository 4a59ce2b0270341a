"""The body that all flows share: prepare, open, run, publish; every end becomes a state with a name of its own."""

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import State
from prefect.client.schemas.objects import StateType

from pipelines.common.errors import StoryreelError, UsageError
from pipelines.common.settings import Settings, load_settings
from pipelines.flows.artifacts import publish_cost, publish_frames, publishing_progress
from pipelines.flows.handover import Handover, handover
from pipelines.flows.tasks import TakeFailedError, generate_take
from pipelines.ledger.models import RunState
from pipelines.run.context import RunContext, open_run
from pipelines.run.observer import RunObserver
from pipelines.run.pipeline import find_takes, run_pipeline
from pipelines.run.preparation import prepare_run
from pipelines.run.result import RunRecord, RunResult, state_after
from pipelines.run.worker import TakeGenerator, TakeOutcome
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.plan import Plan, TakeSpec
from pipelines.storyboard.selection import ExtraTakes

# Set by Prefect in every process that a worker starts for a flow run.
_UNDER_WORKER = "PREFECT__FLOW_RUN_ID"


@dataclass(frozen=True, slots=True)
class FlowRequest:
    """A run as a flow's parameters ask for it.

    Attributes:
        storyboard: path of the YAML file.
        options: settings by name; None where the environment decides.
        select: chooses the takes of a re-roll; None for a render.
        otio: write the timeline as OpenTimelineIO too.
    """

    storyboard: str
    options: Mapping[str, Any]
    select: Callable[[Plan], ExtraTakes] | None = None
    otio: bool = False


async def orchestrate(request: FlowRequest) -> "RunResult | State[RunResult]":
    """Run a request under Prefect; return its result, or the state that says why there is none.

    The state's name tells what a caller can do about it: `Incomplete`, `OverBudget`, `EndpointUnavailable`,
    `Cancelled`, `Failed`. An exception would always be called Failed.
    """
    try:
        return await _run(request)
    except StoryreelError as error:
        return final_state(error)


def final_state(error: StoryreelError) -> State[Any]:
    """Return the state of a flow run that ended with this error; it carries the error to whoever called the flow."""
    state = state_after(error)
    kind = StateType.CANCELLED if state is RunState.CANCELLED else StateType.FAILED
    return State(type=kind, name=state.value, message=str(error), data=error)


async def _run(request: FlowRequest) -> RunResult:
    given = handover.get() or _read(request)
    prepared = await prepare_run(given.board, given.settings, select=request.select, otio=request.otio)
    record = RunRecord()
    async with open_run(prepared, given.observer) as context, _published(context, record):
        return await run_pipeline(context, record, _generate_as_task)


def _read(request: FlowRequest) -> Handover:
    settings = load_settings(request.options)
    _require_lasting_folder(settings, request.storyboard)
    board = load_storyboard(settings.locate(Path(request.storyboard)))
    return Handover(board, settings, RunObserver())


def _require_lasting_folder(settings: Settings, storyboard: str) -> None:
    """Refuse relative paths in a worker's process.

    Raises:
        UsageError: its working folder is temporary, and takes that are paid for would be deleted with it.
    """
    if _UNDER_WORKER not in os.environ or settings.root:
        return
    relative = {"storyboard": Path(storyboard), "output": settings.output}
    for name, path in relative.items():
        if not path.is_absolute():
            raise UsageError(
                f"{name} {path}: is relative, and a worker runs flows in a temporary folder, which is deleted with all "
                "that was paid for: set STORYREEL_ROOT for the worker, or give an absolute path; nothing was sent"
            )


async def _generate_as_task(generator: TakeGenerator, spec: TakeSpec) -> TakeOutcome:
    try:
        return await generate_take(spec.label, spec, generator)
    except TakeFailedError as error:
        return error.outcome


@contextlib.asynccontextmanager
async def _published(context: RunContext, record: RunRecord) -> AsyncIterator[None]:
    """Show the run's progress on Prefect's page while it goes on, and in the end what it came to."""
    try:
        async with publishing_progress(context.observer.progress):
            yield
    finally:
        inventory = record.inventory or await find_takes(context)
        requests = await context.ledger.requests_by_take(context.plan.storyboard)
        selected = {take.frame.number: take for take in inventory.selected}
        await publish_frames(context.plan, selected, requests)
        if result := context.observer.result:
            await publish_cost(result, reason=str(record.error) if record.error else None)
