"""Flows run without Prefect, in place of `cli.render.prefect_flows`: for tests of the command that are not about it."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from rich.console import Console

from pipelines.cli.render import RunFlow
from pipelines.flows.handover import Handover
from pipelines.run.context import open_run
from pipelines.run.pipeline import run_pipeline
from pipelines.run.preparation import prepare_run
from pipelines.run.result import RunRecord
from pipelines.run.take_log import generate_logged
from pipelines.storyboard.selection import select_extra_takes


@contextlib.contextmanager
def local_flows(console: Console) -> Iterator[RunFlow]:
    """Yield a function that runs a flow's pipeline in this process, as the review page does."""
    yield lambda *call: asyncio.run(_run(*call))


async def _run(name: str, parameters: Mapping[str, Any], given: Handover) -> None:
    select = None
    if name == "reroll_takes":
        asked = {"text": parameters["frames"], "count": parameters["takes"], "prompt": parameters.get("prompt")}
        select = partial(select_extra_takes, **asked)
    prepared = await prepare_run(
        given.board, given.settings, select=select, otio=parameters.get("otio", False), notes=given.notes
    )
    async with open_run(prepared, given.observer) as context:
        await run_pipeline(context, RunRecord(), generate_logged)
