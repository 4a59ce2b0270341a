"""The artifacts on Prefect's page of a run: its progress, its cost, its frames."""

import asyncio
import contextlib
import platform
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from uuid import UUID

from prefect.artifacts import (
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)

from pipelines.common.formatting import counted, format_amounts, format_decimal, format_spent
from pipelines.common.printable import printable
from pipelines.flows.best_effort import best_effort
from pipelines.ledger.models import GroupMember, Run, RunState
from pipelines.report.lanes import by_lane, lane_costs, lane_rates, lanes_title, sum_up_group
from pipelines.run.observer import RunObserver
from pipelines.run.result import RunResult
from pipelines.run.run_log import quote_text
from pipelines.storyboard.plan import FrameSpec, Plan
from pipelines.storyboard.quote import Quote
from pipelines.takes.models import Take

_EVERY_S = 2.0
# An artifact is sent in one request, which must not grow with the storyboard.
_MAX_ROWS = 1000
_NOT_PUBLISHED = "an artifact was not published"


@contextlib.asynccontextmanager
async def publishing_progress(observer: RunObserver) -> AsyncIterator[None]:
    """Update a progress artifact every two seconds for as long as the block lasts, and once more at its end."""
    artifact: UUID | None = None
    with best_effort(_NOT_PUBLISHED):
        artifact = await acreate_progress_artifact(
            progress=0, key="storyreel-progress", description=progress_text(observer)
        )

    async def keep_in_step() -> None:
        published = ""
        while True:
            await asyncio.sleep(_EVERY_S)
            # Each update is a mark on Prefect's page, and work for its server.
            if (text := progress_text(observer)) != published:
                await _update(artifact, observer)
                published = text

    updating = asyncio.create_task(keep_in_step())
    try:
        yield
    finally:
        updating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await updating
        await _update(artifact, observer)


def progress_share(observer: RunObserver) -> float:
    """Return how much of a run is done, in per cent of the work that it takes."""
    result = observer.result
    # One that was to generate takes only has no film to wait for.
    return 100.0 if result and result.state is RunState.COMPLETED else 100 * observer.progress.time_left.share


def progress_text(observer: RunObserver) -> str:
    """Return the step that a run is at, or the state that it has ended in, and its counts so far."""
    progress, result = observer.progress, observer.result
    step = result.state if result else progress.counters.stage
    parts = [f"{step}: {progress.done - progress.failed} of {counted(progress.frames, 'frame')}"]
    parts += [f"{progress.failed} failed"] if progress.failed else []
    parts += [f"{progress.segments_done} of {counted(progress.segments, 'segment')}"] if progress.segments else []
    members = result.members if result else progress.members
    # The budget is one for all of them.
    spent = sum_up_group(members) if members else progress
    cost = format_spent(spent.cost_usd, spent.uncertain_usd, budget_usd=progress.budget_usd)
    text = ", ".join([*parts, f"{cost}{' (simulated)' if progress.simulated else ''}"])
    news = [text, *([f"{lanes_title(members)}: {lane_costs(members)}"] if members else [])]
    news += [f"requests a minute: {lane_rates(members)}"] if members and not result else []
    return "; ".join(news)


async def publish_account(run: Run, quote: Quote | None, result: RunResult, *, reason: str | None) -> None:
    """Publish the account of a run as a table, with what else is to be known of it below.

    Args:
        run: its entry in the ledger.
        quote: what it was to generate; None where it ended before that was known.
        result: what became of it.
        reason: why it is not whole; None where it is.
    """
    rows = _account(run, quote, result)
    # Markdown knows no table without a head, so it is empty.
    table = "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)])
    paragraphs = [f"# {result.storyboard}", table, *([reason] if reason else [])]
    further = [*result.remarks, *result.notes]
    paragraphs += ["\n".join(f"- {line}" for line in further)] if further else []
    with best_effort(_NOT_PUBLISHED):
        await acreate_markdown_artifact(
            markdown=printable("\n\n".join(paragraphs) + "\n"),
            key="storyreel-account",
            description="The account of the run",
        )


def _account(run: Run, quote: Quote | None, result: RunResult) -> Iterator[tuple[str, str]]:
    yield "State", result.state
    yield "Endpoint", f"`{run.endpoint}`"
    yield "Model", f"`{run.model}`"
    if quote:
        yield "Quote", quote_text(quote)
    yield "Frames", f"{result.frames}: {result.counts}"
    yield "Requests", str(result.requests)
    amounts = format_amounts(result.cost_usd, result.cost_thb, result.neurons, uncertain_usd=result.uncertain_usd)
    yield f"Cost{' (simulated)' if result.simulated else ''}", amounts
    yield from _lane_rows(result)
    films = f"`{result.video}`, {result.video_seconds:.1f} s" if result.video else "none"
    yield "Film", ", ".join([films, *(f"`{path}`" for path in result.more_videos)])
    yield "Ledger", f"`{result.ledger}`"
    # A path and no link: browsers follow none from Prefect's page to a file.
    if result.report:
        yield "Report", f"`{result.report}`"
    yield "Machine", f"`{platform.node()}`"


def _lane_rows(result: RunResult) -> Iterator[tuple[str, str]]:
    """Yield what each lane of a run's group has done, and the sum; nothing of a run that was alone."""
    simulated = " (simulated)" if result.simulated else ""
    for name, of_lane in by_lane(result.members).items():
        yield f"{'Lane' if of_lane[0].lane else 'Run on'} `{name}`{simulated}", _sums_text(of_lane)
    if result.members:
        yield f"All {lanes_title(result.members)}{simulated}", _sums_text(result.members)


def _sums_text(members: Sequence[GroupMember]) -> str:
    sums = sum_up_group(members)
    return f"{sums.kept} generated, {counted(sums.requests, 'request')}, {sums.spent}"


async def publish_frames(plan: Plan, selected: Mapping[int, Take], requests: Mapping[str, int]) -> None:
    """Publish a table of the first thousand frames.

    Args:
        plan: the frames.
        selected: the take that each frame shows, by the frame's number.
        requests: how many were sent for a take, by its request key.
    """
    rows = [_row(frame, selected.get(frame.number), requests) for frame in plan.frames[:_MAX_ROWS]]
    description = (
        f"The first {_MAX_ROWS} of {len(plan.frames)} frames" if len(plan.frames) > _MAX_ROWS else "The frames"
    )
    with best_effort(_NOT_PUBLISHED):
        await acreate_table_artifact(table=rows, key="storyreel-frames", description=description)


def _row(frame: FrameSpec, take: Take | None, requests: Mapping[str, int]) -> dict[str, str]:
    row = {
        "frame": frame.name,
        "place": f"{frame.scene}/{frame.shot}",
        "prompt": take.prompt if take else frame.prompt,
        "take": str(take.spec.number) if take else "",
        "file": take.path.name if take else "missing",
        "attempts": str(requests.get(take.spec.request_key if take else frame.request_key, 0)),
        "cost_usd": _cost(take) if take else "",
    }
    return {column: printable(value) for column, value in row.items()}


def _cost(take: Take) -> str:
    return "unknown" if take.cost_usd is None else format_decimal(take.cost_usd)


async def _update(artifact: UUID | None, observer: RunObserver) -> None:
    if artifact is None:
        return
    with best_effort(_NOT_PUBLISHED):
        await aupdate_progress_artifact(
            artifact, progress=progress_share(observer), description=progress_text(observer)
        )
