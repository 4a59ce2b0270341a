"""Whole runs below Prefect: as the flow does them, but for the film."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

from pipelines.common.errors import StoryreelError
from pipelines.common.settings import Settings
from pipelines.run.context import open_run
from pipelines.run.generation import Generate, Settled, generate_missing
from pipelines.run.observer import RunObserver
from pipelines.run.pipeline import find_takes
from pipelines.run.preparation import prepare_run
from pipelines.run.result import RunRecord, incomplete_error
from pipelines.run.worker import TakeGenerator
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.plan import TakeSpec


async def generate_without_film(board: Path, settings: Settings) -> int:
    """Generate what is missing as the flow does, without Prefect and without the film; return the exit code."""
    record, observer = RunRecord(), RunObserver()
    prepared = await prepare_run(load_storyboard(board), settings)
    try:
        async with open_run(prepared, observer, handle_signals=False) as context:
            inventory = await find_takes(context)
            record.requested = inventory.requested
            record.outcomes = await generate_missing(
                context, inventory.missing, generating_quietly, on_outcome=lambda _: None
            )
            record.inventory = await find_takes(context)
            if error := incomplete_error(context.plan, record, stopped_by=observer.stop_signal.error):
                raise error
    except StoryreelError as error:
        return error.exit_code
    return 0


@contextlib.asynccontextmanager
async def generating_quietly(
    generator: TakeGenerator, takes: Sequence[TakeSpec], settled: Settled
) -> AsyncIterator[Generate]:
    """Yield how a take is generated without a log; what happens on the way is in the ledger."""
    yield partial(generator.generate, log=lambda _: None)
