"""Lanes that a real Prefect API cannot start, and those for which there is nothing to do."""

from pathlib import Path

import pytest

from pipelines.flows.render_lane import render_lane
from pipelines.flows.render_storyboard import render_storyboard
from pipelines.run.result import RunResult
from tests.conftest import Board, Storyreel
from tests.support.accounts import rows

pytestmark = pytest.mark.slow

NOT_STARTED = "no other lanes were started: Prefect has no render-lane/lane; `prefect deploy --all` makes it"


def test_without_a_deployment_for_lanes_a_run_goes_on_alone(
    storyreel_on_prefect: Storyreel, board: Board, tmp_path: Path
) -> None:
    """It says so, with the cure, at once and in the end."""
    ended = storyreel_on_prefect("render", str(board()), "--lanes", "2")

    assert ended.exit_code == 0
    assert " ".join(ended.stderr.split()).count(NOT_STARTED) == 2
    assert [row["status"] for row in rows(tmp_path / "outputs/film")] == ["ok"] * 3


@pytest.mark.usefixtures("prefect_api_url", "plain_sketches")
async def test_lanes_are_started_only_where_takes_are_missing(board: Board, tmp_path: Path) -> None:
    """The second run has nothing to generate, and so nothing to say of lanes either."""
    path, output = str(board()), str(tmp_path / "outputs")

    results = [await render_storyboard(path, output=output, lanes=2) for _ in range(2)]

    assert [(result.generated, result.remarks) for result in results if isinstance(result, RunResult)] == [
        (3, (NOT_STARTED,)), (0, ()),
    ]  # fmt: skip


@pytest.mark.usefixtures("prefect_api_url")
async def test_a_lane_never_makes_a_film_by_itself(board: Board, tmp_path: Path) -> None:
    """Without the run that it was started for, it sends nothing; its state says what is wrong."""
    output = tmp_path / "outputs"

    state = await render_lane(str(board()), "another-ledgers-run", output=str(output), return_state=True)

    assert (state.name, str(state.message).split(":")[0]) == (
        "Failed",
        "the ledger here has no run another-ledgers-run",
    )
    assert not list((output / "film/takes").glob("*"))
