"""What Prefect's page of a run shows, read back from a real Prefect API."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.artifacts import Artifact

from pipelines.flows.artifacts import publish_cost, publish_frames
from pipelines.run.result import RunResult
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.plan import plan_frames
from pipelines.takes.models import Take
from tests.support.builders import run_result

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_api_url")]


async def stored(key: str) -> Any:
    """Return the latest artifact of this key as the API has it."""
    found = await Artifact.aget(key)
    return found and found.data


async def publish(result: RunResult, *, reason: str | None = None) -> None:
    """Publish what a run came to, in a flow."""

    @flow
    async def publishing() -> None:
        await publish_cost(result, reason=reason)

    await publishing()


async def test_the_cost_names_the_report_and_links_to_it(tmp_path: Path) -> None:
    """As long as there is none, there is no link either."""
    report = tmp_path / "report.html"
    await publish(run_result())
    before = await stored("storyreel-account"), await stored("storyreel-report")
    await publish(run_result(report=report))
    after = await stored("storyreel-account"), await stored("storyreel-report")

    # Another test's run may have left a link of its own.
    assert ("Report" in before[0], report.as_uri() in (before[1] or "")) == (False, False)
    assert f"| Report | `{report}` |" in after[0]
    assert after[1] == f"[The report of harbor]({report.as_uri()})"


async def test_the_cost_says_how_the_run_ended_and_why() -> None:
    """Its state by the name that Prefect's state has, its frames, its cost, and the reason below."""
    await publish(run_result(), reason="1 of 2 frames is missing")

    text = await stored("storyreel-account")
    assert "| State | Incomplete |\n| Frames | 2: 1 generated, 0 reused, 1 failed |\n| Requests | 3 |" in text
    assert "| Cost | 0.000652 USD, 0.02282 THB, 57.6 neurons |\n| Film | none |" in text
    assert text.endswith("\n1 of 2 frames is missing\n")


async def test_the_table_of_frames_says_what_each_took(write: Any) -> None:
    """Its take and file, how many requests went out for it, and what the take cost."""
    plan = plan_frames(load_storyboard(write("title: Harbor\nprompts: [calm sea, calm sea]\n")), model="sketch")
    generated = plan.frames[1].first_take
    selected = {1: Take(generated, Path("takes/a.png"), generated.prompt, Decimal("0.000652"))}

    @flow
    async def publishing() -> None:
        await publish_frames(plan, selected, {generated.request_key: 2})

    await publishing()

    place = f"{generated.frame.scene}/{generated.frame.shot}"
    missing = {"take": "", "file": "missing", "attempts": "0", "cost_usd": ""}
    found = {"take": "1", "file": "a.png", "attempts": "2", "cost_usd": "0.000652"}
    table = await stored("storyreel-frames")
    assert json.loads(table) == [
        {
            "frame": "frame_0000",
            "place": f"{plan.frames[0].scene}/{plan.frames[0].shot}",
            "prompt": "calm sea",
            **missing,
        },
        {"frame": "frame_0001", "place": place, "prompt": "calm sea", **found},
    ]
