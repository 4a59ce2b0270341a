"""The body that all flows share: prepare, open, run, publish; every way to end has a state with its own name."""

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import State
from prefect.client.schemas.objects import StateType
from prefect.states import Completed

from pipelines.common.errors import GroupEndedError, StoryreelError, UsageError
from pipelines.common.settings import Settings, load_settings
from pipelines.flows.artifacts import publish_account, publish_frames, publishing_progress
from pipelines.flows.handover import Handover, handover
from pipelines.flows.lanes import generating_in_lanes
from pipelines.flows.run_log import logging_to_prefect
from pipelines.flows.tags import tag_flow_run
from pipelines.ledger.models import RunState
from pipelines.run.context import RunContext, open_run
from pipelines.run.observer import RunObserver
from pipelines.run.pipeline import find_takes, run_pipeline
from pipelines.run.preparation import prepare_run
from pipelines.run.result import RunRecord, RunResult, state_after
from pipelines.storyboard.endpoint import settings_for
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.plan import Plan
from pipelines.storyboard.selection import ExtraTakes

# Set by Prefect in every process that a worker starts for a flow run.
_UNDER_WORKER = "PREFECT__FLOW_RUN_ID"


@dataclass(frozen=True, slots=True)
class FlowRequest:
    """A run, as a flow's parameters describe it.

    Attributes:
        storyboard: path of the YAML file.
        options: settings by name; None where the environment decides.
        select: chooses the takes of a re-roll; None for a render.
        otio: write the timeline as OpenTimelineIO too.
        lanes: how many lanes are to generate its takes, its own included.
        group: the id of the group that it is to join, as one of its lanes; None for a run that makes a film.
    """

    storyboard: str
    options: Mapping[str, Any]
    select: Callable[[Plan], ExtraTakes] | None = None
    otio: bool = False
    lanes: int = 1
    group: str | None = None


async def orchestrate(request: FlowRequest) -> "RunResult | State[RunResult]":
    """Run a request under Prefect; return its result, or the state that says why the run is not whole.

    The state's name tells a caller what to do: `Incomplete`, `OverBudget`, `EndpointUnavailable`, `Cancelled`,
    `Failed`. Of an exception Prefect would always make a state named Failed.
    """
    try:
        return await _run(request)
    except GroupEndedError as ended:
        # It was begun too late to be of use, and nothing is missing for that.
        return Completed(message=str(ended))
    except StoryreelError as error:
        return final_state(error)


def final_state(error: StoryreelError) -> State[Any]:
    """Return the state of a flow run that ended with this error; it carries the error to the flow's caller."""
    # Prefect knows only a few types of states; automations and `flow-run retry` go by them, people by the name.
    state = state_after(error)
    kind = StateType.CANCELLED if state is RunState.CANCELLED else StateType.FAILED
    return State(type=kind, name=state.value, message=str(error), data=error)


async def _run(request: FlowRequest) -> RunResult:
    # From a command, the flow gets what was checked and quoted; under a worker it reads everything itself.
    given = handover.get() or _read(request)
    with logging_to_prefect():
        prepared = await prepare_run(
            given.board, given.settings, select=request.select, otio=request.otio, notes=given.notes
        )
        record = RunRecord(started=given.began)
        async with (
            open_run(prepared, given.observer, group=request.group) as context,
            _published(context, record),
            generating_in_lanes(
                context, request.options, lanes=request.lanes, on_remark=record.remarks.append
            ) as generating,
        ):
            return await run_pipeline(context, record, generating)


def _read(request: FlowRequest) -> Handover:
    _require_no_secret(request.options.get("endpoint"))
    settings = load_settings(request.options)
    _require_lasting_folder(settings, request.storyboard)
    board = load_storyboard(settings.locate(Path(request.storyboard)))
    return Handover(board, settings_for(board, settings), RunObserver())


def _require_no_secret(endpoint: str | None) -> None:
    """Refuse a password or a key in a parameter: parameters stand on Prefect's page.

    Raises:
        UsageError: the endpoint's address holds a user with a password, or a query, in which keys are sent.
    """
    if endpoint is None:
        return
    held = [
        *(["a user and a password"] if "@" in endpoint else []),
        *(["a query, which may be a key"] if "?" in endpoint else []),
    ]
    if held:
        raise UsageError(
            f"endpoint: holds {' and '.join(held)}, and all parameters stand on Prefect's page: set STORYREEL_ENDPOINT "
            "for the worker instead, and change what was secret; nothing was sent"
        )


def _require_lasting_folder(settings: Settings, storyboard: str) -> None:
    """Refuse relative paths in a worker's process without STORYREEL_ROOT.

    Raises:
        UsageError: its working folder is temporary, and takes that were paid for would be deleted with it.
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


@contextlib.asynccontextmanager
async def _published(context: RunContext, record: RunRecord) -> AsyncIterator[None]:
    """Publish the run's progress while the block lasts, and in the end, however it ends, its frames and its cost."""
    await tag_flow_run(context.run)
    try:
        async with publishing_progress(context.observer):
            yield
    finally:
        # A run that was refused at once has no inventory yet, and its frames are published all the same.
        inventory = record.inventory or await find_takes(context)
        requests = await context.ledger.requests_by_take(context.plan.storyboard)
        selected = {take.frame.number: take for take in inventory.selected}
        await publish_frames(context.plan, selected, requests)
        if result := context.observer.result:
            reason = str(record.error) if record.error else None
            await publish_account(context.run, record.quote, result, reason=reason)
