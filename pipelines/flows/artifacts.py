"""The artifacts on Prefect's page of a run: its progress, its cost, its frames."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from uuid import UUID

import httpx
from prefect import get_run_logger
from prefect.artifacts import (
    acreate_link_artifact,
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)
from prefect.exceptions import PrefectException

from pipelines.common.formatting import format_amounts, format_decimal
from pipelines.common.printable import printable
from pipelines.run.progress import Progress
from pipelines.run.result import RunResult
from pipelines.storyboard.plan import FrameSpec, Plan
from pipelines.takes.models import Take

_EVERY_S = 2.0
# An artifact is sent in one request, which must not grow with the storyboard.
_MAX_ROWS = 1000


@contextlib.asynccontextmanager
async def publishing_progress(progress: Progress) -> AsyncIterator[None]:
    """Update a progress artifact every two seconds for as long as the block lasts, and once more at its end."""
    artifact: UUID | None = None
    with _best_effort():
        artifact = await acreate_progress_artifact(progress=0, key="storyreel-progress", description=progress.headline)

    async def keep_in_step() -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            await _update(artifact, progress)

    updating = asyncio.create_task(keep_in_step())
    try:
        yield
    finally:
        updating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await updating
        await _update(artifact, progress)


async def publish_cost(result: RunResult, *, reason: str | None) -> None:
    """Publish a run's result as a table, and a link to its report; `reason` says why it is not whole."""
    simulated = " (simulated)" if result.simulated else ""
    lines = {
        "State": result.state,
        "Frames": f"{result.frames}: {result.generated} generated, {result.reused} reused, {result.failed} failed",
        "Requests": str(result.requests),
        f"Cost{simulated}": format_amounts(
            result.cost_usd, result.cost_thb, result.neurons, uncertain_usd=result.uncertain_usd
        ),
        "Film": f"`{result.video}`, {result.video_seconds:.1f} s" if result.video else "none",
        "Ledger": f"`{result.ledger}`",
        **({"Report": f"`{result.report}`"} if result.report else {}),
    }
    # Markdown knows no table without a head, so it is empty.
    table = "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in lines.items())])
    text = f"# {result.storyboard}\n\n{table}\n" + (f"\n{reason}\n" if reason else "")
    with _best_effort():
        await acreate_markdown_artifact(
            markdown=printable(text), key="storyreel-account", description="The account of the run"
        )
    if result.report:
        with _best_effort():
            await acreate_link_artifact(
                link=_address(result.report), key="storyreel-report", link_text=f"The report of {result.storyboard}"
            )


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
    with _best_effort():
        await acreate_table_artifact(table=rows, key="storyreel-frames", description=description)


def _address(path: Path) -> str:
    return path.absolute().as_uri()


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


async def _update(artifact: UUID | None, progress: Progress) -> None:
    if artifact is None:
        return
    share = 100 * progress.time_left.share
    with _best_effort():
        await aupdate_progress_artifact(artifact, progress=share, description=progress.headline)


@contextlib.contextmanager
def _best_effort() -> Iterator[None]:
    """Log an error of Prefect's API and go on: a run that was paid for must not fail for an artifact."""
    try:
        yield
    except (httpx.HTTPError, PrefectException) as exc:
        get_run_logger().warning("an artifact could not be published: %s", exc)
