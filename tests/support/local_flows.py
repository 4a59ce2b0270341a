"""Flows run without Prefect, in place of `cli.render.prefect_flows`: for tests of the command that are not about it."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from rich.console import Console

from pipelines.cli.render import RunFlow
from pipelines.common.settings import Settings
from pipelines.run.context import open_run
from pipelines.run.observer import RunObserver
from pipelines.run.pipeline import run_pipeline
from pipelines.run.preparation import prepare_run
from pipelines.run.result import RunRecord
from pipelines.run.take_log import generate_logged
from pipelines.storyboard.model import Storyboard
from pipelines.storyboard.selection import select_extra_takes


@contextlib.contextmanager
def local_flows(console: Console) -> Iterator[RunFlow]:
    """Yield a function that runs a flow's pipeline in this process, as the review page does."""
    yield lambda *call: asyncio.run(_run(*call))


async def _run(
    name: str, parameters: Mapping[str, Any], board: Storyboard, settings: Settings, observer: RunObserver
) -> None:
    select = None
    if name == "reroll_takes":
        given = {"text": parameters["frames"], "count": parameters["takes"], "prompt": parameters.get("prompt")}
        select = partial(select_extra_takes, **given)
    prepared = await prepare_run(board, settings, select=select, otio=parameters.get("otio", False))
    async with open_run(prepared, observer) as context:
        await run_pipeline(context, RunRecord(), generate_logged)
