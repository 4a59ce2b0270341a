"""Flows run from a command: their state becomes the error that a command reports."""

import asyncio
from collections.abc import Mapping
from typing import Any

from prefect import Flow
from prefect.exceptions import CancelledRun

from pipelines.common.errors import InterruptedRunError
from pipelines.flows.handover import Handover, handover


def run_flow(flow: "Flow[..., Any]", parameters: Mapping[str, Any], given: Handover) -> None:
    """Run a flow to its end, in this process; its result is in the observer.

    Args:
        flow: one of this folder's.
        parameters: plain values; they are shown on Prefect's page, so none of them may be a secret.
        given: what has been read already, and the observer.

    Raises:
        StoryreelError: why the run is not whole.
    """
    token = handover.set(given)
    try:
        asyncio.run(flow(**parameters))
    except CancelledRun as exc:
        raise InterruptedRunError(str(exc)) from exc
    finally:
        handover.reset(token)
