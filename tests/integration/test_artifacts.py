"""What Prefect's page of a run shows, read back from a real Prefect API."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.artifacts import Artifact

from pipelines.flows.artifacts import publish_account, publish_frames
from pipelines.run.result import RunResult
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.plan import plan_frames
from pipelines.takes.models import Take

SUMMARY = RunResult(
    storyboard="harbor",
    run_id="1",
    state="Completed",
    frames=2,
    reused=0,
    generated=1,
    failed=1,
    requests=3,
    cost_usd=Decimal("0.000652"),
    cost_thb=Decimal("0.02282"),
    neurons=Decimal("57.6"),
    simulated=False,
    video=None,
    video_seconds=None,
    ledger=Path("outputs/harbor/ledger.csv"),
    report=None,
    elapsed_s=2.25,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_api_url")]


async def stored(key: str) -> Any:
    """Return the latest artifact of this key as the API has it."""
    found = await Artifact.aget(key)
    return found and found.data


async def publish(summary: RunResult) -> None:
    @flow
    async def publishing() -> None:
        await publish_account(summary, reason=None)

    await publishing()


async def test_the_account_names_the_report_and_links_to_it(tmp_path: Path) -> None:
    """As long as there is none, there is no link either."""
    report = tmp_path / "report.html"
    await publish(SUMMARY)
    before = await stored("storyreel-account"), await stored("storyreel-report")
    await publish(replace(SUMMARY, report=report))
    after = await stored("storyreel-account"), await stored("storyreel-report")

    # Another test's run may have left a link of its own.
    assert ("Report" in before[0], report.as_uri() in (before[1] or "")) == (False, False)
    assert f"| Report | `{report}` |" in after[0]
    assert after[1] == f"[The report of harbor]({report.as_uri()})"


async def test_the_table_of_frames_says_what_each_took(write: Any) -> None:
    """Its take and file, how many requests went out for it, and what the take cost."""
    plan = plan_frames(load_storyboard(write("title: Harbor\nprompts: [calm sea, calm sea]\n")), model="sketch")
    bought = plan.frames[1]
    shown = {bought.number: Take(bought, Path("takes/a.png"), bought.prompt, Decimal("0.000652"))}

    @flow
    async def publishing() -> None:
        await publish_frames(plan, shown, {bought.request_key: 2})

    await publishing()

    place = f"{bought.scene}/{bought.shot}"
    missing = {"take": "", "file": "missing", "attempts": "0", "cost_usd": ""}
    found = {"take": "1", "file": "a.png", "attempts": "2", "cost_usd": "0.000652"}
    told = await stored("storyreel-frames")
    assert json.loads(told) == [
        {
            "frame": "frame_0000",
            "place": f"{plan.frames[0].scene}/{plan.frames[0].shot}",
            "prompt": "calm sea",
            **missing,
        },
        {"frame": "frame_0001", "place": place, "prompt": "calm sea", **found},
    ]
