"""Buys the frames of a storyboard without Prefect, as fast as the gate allows, from the moment it is told to.

    python -m tests.campaigns.buying board.yaml

Says `ready`, waits for a line, and in the end says as JSON how many frames it bought.
"""

import asyncio
import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from pipelines.common.settings import load_settings
from pipelines.run.context import open_run
from pipelines.run.progress import Progress
from pipelines.run.scheduling import AdmissionQueue, generate_in_order
from pipelines.run.worker import Generated
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.plan import plan_frames


async def buy(path: Path) -> int:
    """Buy what the budgets allow; return the number of frames bought."""
    settings, board = load_settings(), load_storyboard(path)
    plan = plan_frames(board, model=settings.effective_model)
    budgets = replace(board.budgets, daily_usd=settings.budget_daily_usd)
    async with open_run(plan, settings, budgets=budgets, progress=Progress()) as session:
        line = AdmissionQueue(settings.concurrency)
        async with session.buyer(line, retry_quota=0) as buyer:
            print("ready", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            buy_one = partial(buyer.buy, note=lambda _: None)
            outcomes = await generate_in_order(plan.frames, buy_one, line=line, stop_signal=session.stop_signal)
    return sum(isinstance(outcome, Generated) for outcome in outcomes)


if __name__ == "__main__":
    print(json.dumps({"bought": asyncio.run(buy(Path(sys.argv[1])))}))
