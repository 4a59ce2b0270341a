"""Flows run without Prefect, in place of `cli.render.prefect_flows`: for tests of the command that are not about it."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.flows.handover import Handover, RunFlow
from pipelines.run.local import run_locally
from pipelines.storyboard.selection import select_extra_takes
from pipelines.voice.planning import plan_spoken


@contextlib.contextmanager
def local_flows() -> Iterator[RunFlow]:
    """Yield a function that runs a flow's pipeline in this process, as the review page does."""
    yield lambda *call: asyncio.run(_run(*call))


async def _run(name: str, parameters: Mapping[str, Any], given: Handover) -> None:
    extra = None
    if name == "reroll_takes":
        plan = plan_spoken(given.board, given.settings)
        extra = select_extra_takes(
            plan, parameters["frames"], count=parameters["takes"], prompt=parameters.get("prompt")
        )
    await run_locally(
        given.board,
        given.settings,
        extra,
        observer=given.observer,
        otio=parameters.get("otio", False),
        notes=given.notes,
        began=given.began,
    )
