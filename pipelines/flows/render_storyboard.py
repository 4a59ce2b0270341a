"""The Prefect flow: a storyboard becomes a film and an account of every cent."""

import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

from prefect import State, flow
from prefect.states import Cancelled

from pipelines.common.errors import InterruptedRunError
from pipelines.common.settings import load_settings
from pipelines.film.ffmpeg import require_encoder
from pipelines.film.sound import require_sounds
from pipelines.flows.artifacts import publish_account, publish_frames, publishing_progress
from pipelines.flows.tasks import TakeFailedError, generate_take
from pipelines.ledger.queries import requests_by_take
from pipelines.run.context import RunContext, open_run
from pipelines.run.pipeline import effective_budgets, run_pipeline, start_progress, summary_of
from pipelines.run.result import RunRecord, RunResult
from pipelines.run.worker import TakeGenerator, TakeOutcome
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.plan import FrameSpec, plan_frames
from pipelines.storyboard.selection import select_extra_takes


@flow(name="render-storyboard", flow_run_name="{storyboard}", retries=0, persist_result=False)
async def render_storyboard(
    storyboard: str,
    output: str | None = None,
    endpoint: str | None = None,
    model: str | None = None,
    budget_usd: Decimal | None = None,
    rate_limit: int | None = None,
    concurrency: int | None = None,
    otio: bool = False,
    reroll: str | None = None,
    takes: int = 1,
    prompt: str | None = None,
) -> "RunResult | State[RunResult]":
    """Render a storyboard: buy what is missing, cut the film, write the ledger.

    Args:
        storyboard: path of the YAML file.
        output: folder for everything that is made; default `outputs`.
        endpoint: address of the FLUX API; default STORYREEL_ENDPOINT, else the embedded one, which is free.
        model: the model to ask for; default `flux-1-schnell`, or `sketch` for the embedded endpoint.
        budget_usd: hard cap for this run in US dollars, beside the storyboard's own.
        rate_limit: requests a minute; default 720.
        concurrency: requests in flight at most; default 128.
        otio: write the timeline as OpenTimelineIO too, for an editor.
        reroll: buy more takes of these frames, and nothing else: `3,7-9` or `scene/shot`.
        takes: with `reroll`, how many for each frame.
        prompt: with `reroll`, what to ask instead of the frames' own prompts.

    Raises:
        StoryreelError: why the run is not complete; each kind has an exit code of its own. A run that was stopped
            ends as Cancelled instead.
    """
    given = {"output": output, "endpoint": endpoint, "model": model, "budget_usd": budget_usd}
    settings = load_settings({**given, "rate_limit": rate_limit, "concurrency": concurrency})
    board = load_storyboard(Path(storyboard))
    for wanted in board.outputs:
        require_encoder(wanted.codec)
    await require_sounds(board)
    plan = plan_frames(board, model=settings.effective_model)
    more = select_extra_takes(plan, reroll, count=takes, prompt=prompt) if reroll is not None else None
    budgets = effective_budgets(board, settings)
    record = RunRecord()
    progress = start_progress(plan, settings, budgets)

    try:
        async with open_run(plan, settings, budgets=budgets, progress=progress) as session:
            async with _published(session, record):
                await run_pipeline(session, record, _buy_as_task, more=more, otio=otio)
            return await summary_of(session, record)
    except InterruptedRunError as error:
        # An exception would say Failed, which Ctrl-C and a cancellation are not.
        return Cancelled(message=str(error))


async def _buy_as_task(buyer: TakeGenerator, spec: FrameSpec) -> TakeOutcome:
    try:
        return await generate_take(spec.label, spec, buyer)
    except TakeFailedError as error:
        return error.outcome


@contextlib.asynccontextmanager
async def _published(session: RunContext, record: RunRecord) -> AsyncIterator[None]:
    """Show the run's progress on Prefect's page while it goes on, and what it came to however it ends."""
    try:
        async with publishing_progress(session.progress):
            yield
    finally:
        takes = record.takes or await session.take_inventory()
        requests = await session.desk(requests_by_take, session.desk.books, session.plan.storyboard)
        await publish_frames(session.plan, {take.spec.number: take for take in takes.shown}, requests)
        await publish_account(await summary_of(session, record), reason=str(record.error) if record.error else None)
