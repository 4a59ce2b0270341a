"""Flows run by a command, in its own process: a state that is not Completed becomes the error that it reports."""

import asyncio
from collections.abc import Mapping
from typing import Any

from prefect.exceptions import CancelledRun

from pipelines.common.errors import InterruptedRunError
from pipelines.flows.handover import Handover, handover
from pipelines.flows.render_storyboard import render_storyboard
from pipelines.flows.reroll_takes import reroll_takes
from pipelines.run.result import interrupted_error

_FLOWS: dict[str, Any] = {"render_storyboard": render_storyboard, "reroll_takes": reroll_takes}


def run_flow(name: str, parameters: Mapping[str, Any], given: Handover) -> None:
    """Run a flow to its end, in this process.

    Args:
        name: of one of this folder's flows.
        parameters: plain values; they are shown on Prefect's page, so none of them may be a secret.
        given: what the flow does not read again, and the observer of the run.

    Raises:
        StoryreelError: why the run is not whole.
    """
    token = handover.set(given)
    try:
        asyncio.run(_FLOWS[name](**parameters))
    # A state raises the error that it carries, and CancelledRun if it carries none: then Prefect has cancelled the run.
    except CancelledRun as exc:
        raise interrupted_error(InterruptedRunError(str(exc)), given.observer.result) from exc
    finally:
        handover.reset(token)
