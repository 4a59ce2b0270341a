"""Generates the frames of a storyboard without Prefect, as fast as the gate allows, from a signal on.

    python -m tests.campaigns.generating board.yaml

Prints `ready`, waits for a line, and in the end prints as JSON how many takes it generated.
"""

import asyncio
import json
import sys
from functools import partial
from pathlib import Path

from pipelines.common.settings import load_settings
from pipelines.run.context import open_run
from pipelines.run.generation import open_generator
from pipelines.run.observer import RunObserver
from pipelines.run.outcomes import Generated
from pipelines.run.preparation import prepare_run
from pipelines.run.scheduling import AdmissionQueue, generate_in_order
from pipelines.storyboard.loader import load_storyboard
from tests.support.generation import one_by_one


async def generate(path: Path) -> int:
    """Generate what the budgets allow; return the number of takes generated."""
    settings, observer = load_settings(), RunObserver()
    prepared = await prepare_run(load_storyboard(path), settings)
    queue = AdmissionQueue(settings.concurrency)
    async with open_run(prepared, observer) as context, open_generator(context, queue, retry_quota=0) as generator:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        outcomes = await generate_in_order(
            one_by_one(frame.first_take for frame in prepared.plan.frames),
            partial(generator.generate, log=lambda _: None),
            queue=queue,
            stop_signal=observer.stop_signal,
        )
    return sum(isinstance(outcome, Generated) for outcome in outcomes)


if __name__ == "__main__":
    print(json.dumps({"generated": asyncio.run(generate(Path(sys.argv[1])))}))
