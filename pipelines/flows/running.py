"""Flows run from a command: their state becomes the error that a command reports."""

import asyncio
from collections.abc import Mapping
from typing import Any

from prefect.exceptions import CancelledRun

from pipelines.common.errors import InterruptedRunError
from pipelines.common.settings import Settings
from pipelines.flows.handover import Handover, handover
from pipelines.flows.render_storyboard import render_storyboard
from pipelines.flows.reroll_takes import reroll_takes
from pipelines.run.observer import RunObserver
from pipelines.storyboard.model import Storyboard

_FLOWS: dict[str, Any] = {"render_storyboard": render_storyboard, "reroll_takes": reroll_takes}


def run_flow(
    name: str, parameters: Mapping[str, Any], board: Storyboard, settings: Settings, observer: RunObserver
) -> None:
    """Run a flow to its end, in this process.

    Args:
        name: of one of this folder's flows.
        parameters: plain values; they are shown on Prefect's page, so none of them may be a secret.
        board: the storyboard, read already.
        settings: read already.
        observer: sees the run, and has its result in the end.

    Raises:
        StoryreelError: why the run is not whole.
    """
    token = handover.set(Handover(board, settings, observer))
    try:
        asyncio.run(_FLOWS[name](**parameters))
    except CancelledRun as exc:
        raise InterruptedRunError(str(exc)) from exc
    finally:
        handover.reset(token)
