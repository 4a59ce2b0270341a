"""What Prefect's page of a run shows, read back from a real Prefect API."""

import json
import platform
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.artifacts import Artifact

from pipelines.endpoints.amounts import Price
from pipelines.flows.artifacts import publish_account, publish_frames
from pipelines.run.result import RunResult
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.plan import plan_frames
from pipelines.storyboard.quote import Quote
from pipelines.takes.models import Take
from tests.support.builders import group_member, run
from tests.support.results import run_result

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_api_url")]


QUOTE = Quote(
    frames=2,
    reuse=0,
    generate=2,
    price=Price(Decimal("0.001304"), Decimal("0.04564"), Decimal("115.2")),
    worst_case_usd=Decimal("0.005"),
    time_at_rate_limit_s=Fraction(1, 6),
)


async def stored(key: str) -> Any:
    """Return the latest artifact of this key as the API has it."""
    found = await Artifact.aget(key)
    return found and found.data


async def published_account(result: RunResult, *, reason: str | None = None) -> str:
    """Publish what a run came to, in a flow; return the account as the API has it."""

    @flow
    async def publishing() -> None:
        await publish_account(run(), QUOTE, result, reason=reason)

    await publishing()
    return str(await stored("storyreel-account"))


async def test_the_account_says_what_was_asked_for_and_what_came_of_it() -> None:
    """Its state by the name that Prefect's state has, endpoint, model, quote, frames, cost, files; the reason below."""
    account = await published_account(run_result(), reason="1 of 2 frames is missing")

    assert account == (
        "# harbor\n\n| | |\n| --- | --- |\n"
        "| State | Incomplete |\n"
        "| Endpoint | `http://flux.test` |\n"
        "| Model | `flux-1-schnell` |\n"
        "| Quote | 2 to generate for 0.001304 USD, at worst 0.005 USD; 0 to reuse |\n"
        "| Frames | 2: 1 generated, 0 reused, 1 failed |\n"
        "| Requests | 3 |\n"
        "| Cost | 0.000652 USD, 0.02282 THB, 57.6 neurons |\n"
        "| Film | none |\n"
        "| Ledger | `outputs/harbor/ledger.csv` |\n"
        f"| Machine | `{platform.node()}` |\n\n"
        "1 of 2 frames is missing\n"
    )


async def test_the_account_names_the_report_and_what_is_uncertain(tmp_path: Path) -> None:
    """By its path: no browser follows a link from Prefect's page to a file. Remarks are a list below."""
    report = tmp_path / "report.html"

    account = await published_account(
        run_result(report=report, uncertain_usd=Decimal("0.001"), remarks=("1 take is one flat colour",))
    )

    assert f"| Report | `{report}` |" in account
    assert "| Cost | 0.000652 USD and at most 0.001 uncertain, 0.02282 THB, 57.6 neurons |" in account
    assert account.endswith("\n- 1 take is one flat colour\n")
    assert "file://" not in account


async def test_the_account_shows_each_lane_and_their_sum() -> None:
    """A machine that sends from no address with a name of its own stands for its lane."""
    named = group_member("a", kept=2, requests=3, cost_usd=Decimal("0.001304"), uncertain_usd=Decimal("0.000652"))
    nameless = group_member("", kept=1, requests=1, cost_usd=Decimal("0.000652"))

    account = await published_account(run_result(members=(named, nameless), simulated=True))

    assert (
        "| Lane `a` (simulated) | 2 generated, 3 requests, 0.001304 USD and at most 0.000652 uncertain |\n"
        "| Run on `attic` (simulated) | 1 generated, 1 request, 0.000652 USD |\n"
        "| All lanes (simulated) | 3 generated, 4 requests, 0.001956 USD and at most 0.000652 uncertain |\n"
    ) in account


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
