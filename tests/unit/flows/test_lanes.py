"""What the other lanes of a run are told to do."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipelines.common.settings import Settings
from pipelines.flows.lanes import lane_parameters
from pipelines.run.context import open_run
from pipelines.run.observer import RunObserver
from pipelines.run.preparation import prepare_run
from pipelines.storyboard.endpoint import settings_for
from pipelines.storyboard.loader import load_storyboard

ENDPOINT = "https://flux.test"


async def parameters_of(
    folder: Path, options: dict[str, Any], *, text: str = "prompts: [a harbor]\n", **settings: Any
) -> dict[str, Any]:
    """Return what the lanes of a run in a folder are told, but for its group, which is the run."""
    path = folder / "board.yaml"
    path.write_text(text)
    board = load_storyboard(path)
    prepared = await prepare_run(board, settings_for(board, Settings(output=folder / "films", **settings)))
    async with open_run(prepared, RunObserver()) as context:
        parameters = lane_parameters(context, options)
        assert parameters.pop("group") == context.run.run_id
    return parameters


async def test_lanes_are_told_what_the_run_goes_by(tmp_path: Path) -> None:
    """Though that came from its environment; its rate limit only where it was an option."""
    settings: dict[str, Any] = {
        "endpoint": ENDPOINT,
        "model": "sketch",
        "price_usd": "0.02",
        "budget_usd": "0.25",
        "concurrency": 9,
        "quality": "draft",
    }

    parameters = await parameters_of(tmp_path, {"output": "films", "model": None, "rate_limit": 60}, **settings)

    assert parameters == {
        "storyboard": str(tmp_path / "board.yaml"),
        "output": str(tmp_path / "films"),
        "endpoint": ENDPOINT,
        "dialect": "flux",
        "model": "sketch",
        "price_usd": Decimal("0.02"),
        "budget_usd": Decimal("0.25"),
        "rate_limit": 60,
        "quality": "draft",
    }


async def test_paths_below_the_root_are_found_from_each_machines_own(tmp_path: Path) -> None:
    """The same folder may be mounted elsewhere there."""
    parameters = await parameters_of(tmp_path, {}, root=tmp_path)

    assert parameters == {"storyboard": "board.yaml", "output": "films", "model": "sketch"}


@pytest.mark.parametrize("secret", ["https://amy:hunter2@flux.test", "https://flux.test/?key=hunter2"])
async def test_a_secret_is_no_parameter_of_a_lane(tmp_path: Path, secret: str) -> None:
    """Without it the address would be refused by the endpoint, so lanes have all of it from their own environment."""
    parameters = await parameters_of(tmp_path, {"endpoint": ENDPOINT}, endpoint=secret, model="sketch")

    assert "endpoint" not in parameters


async def test_an_endpoint_that_the_storyboard_names_is_no_parameter_of_a_lane(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each machine asks it as the storyboard says, with a token of its own; none stands on Prefect's page."""
    monkeypatch.setenv("FILM_TOKEN", "t0ken")
    text = f"endpoint: {{url: {ENDPOINT}, token: $FILM_TOKEN}}\nprompts: [a harbor]\n"

    parameters = await parameters_of(tmp_path, {}, text=text)

    assert parameters == {
        "storyboard": str(tmp_path / "board.yaml"),
        "output": str(tmp_path / "films"),
        "model": "flux-1-schnell",
    }
