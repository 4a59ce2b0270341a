"""The commands that make a film, but for what needs Prefect: that is in end_to_end/."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli.render import RenderResult
from pipelines.common.errors import BudgetError, FramesMissingError, StoryreelError
from tests.conftest import Ended


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that says how the renders of storyboards are to end; none is really made."""

    def end_with(**errors: StoryreelError | None) -> None:
        results = [RenderResult(Path(f"{name}.yaml"), None, error) for name, error in errors.items()]
        monkeypatch.setattr("pipelines.cli.render.render_boards", lambda *_: results)

    return end_with


def test_of_several_storyboards_each_failed_one_is_named_and_the_worst_decides(
    invoke: Callable[..., Ended], rendered: Callable[..., None]
) -> None:
    """Not the first that failed: its exit code would hide that the budget is used up."""
    rendered(harbor=FramesMissingError("2 of 3 are missing"), forest=None, city=BudgetError("the budget is used up"))

    ended = invoke("render", "harbor.yaml", "forest.yaml", "city.yaml", "--json")

    assert ended.exit_code == 3
    assert ended.stderr == "harbor.yaml: 2 of 3 are missing\ncity.yaml: the budget is used up\n"
    assert ended.json == {
        "renders": [
            {"storyboard": "harbor.yaml", "error": "2 of 3 are missing"},
            {"storyboard": "forest.yaml"},
            {"storyboard": "city.yaml", "error": "the budget is used up"},
        ]
    }


def test_of_one_storyboard_the_error_stands_alone(invoke: Callable[..., Ended], rendered: Callable[..., None]) -> None:
    """And its JSON is not in a list."""
    rendered(harbor=FramesMissingError("2 of 3 are missing"))

    ended = invoke("render", "harbor.yaml", "--json")

    assert (ended.exit_code, ended.stderr) == (4, "2 of 3 are missing\n")
    assert ended.json == {"storyboard": "harbor.yaml", "error": "2 of 3 are missing"}


def test_several_storyboards_that_are_complete_end_well(
    invoke: Callable[..., Ended], rendered: Callable[..., None]
) -> None:
    """Nothing is said of errors."""
    rendered(harbor=None, forest=None)

    ended = invoke("render", "harbor.yaml", "forest.yaml")

    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("frames", "takes", "line"),
    [
        ("0-2", "2", "6 more takes of 3 frames: 0.003912 USD, at worst 0.015648 USD, simulated: sketches are free\n"),
        ("1", "1", "1 more take of 1 frame: 0.000652 USD, at worst 0.002608 USD, simulated: sketches are free\n"),
    ],
)
def test_a_reroll_is_quoted_in_one_line(
    invoke: Callable[..., Ended], tmp_path: Path, frames: str, takes: str, line: str
) -> None:
    """Numbers and nouns agree; a dry run writes nothing."""
    ended = invoke("reroll", "harbor.yaml", frames, "--takes", takes, "--dry-run")

    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "", line)
    assert not (tmp_path / "outputs").exists()


def test_an_animatic_is_named_for_people_and_for_programs(invoke: Callable[..., Ended]) -> None:
    """On stderr, and as one object."""
    for_people = invoke("animatic", "harbor.yaml", "--scale", "0.1")
    for_programs = invoke("animatic", "harbor.yaml", "--scale", "0.1", "--json")

    assert (for_people.exit_code, for_people.stdout) == (0, "")
    assert for_people.stderr == (
        "outputs/harbor/harbor-animatic.mp4: 6.0 s at 102x102, sketch cards for 3 of 3 frames\n"
    )
    expected: dict[str, Any] = {
        "storyboard": "harbor",
        "frames": 3,
        "cards": 3,
        "video": "outputs/harbor/harbor-animatic.mp4",
        "video_seconds": 6.0,
    }
    assert for_programs.json == expected


@pytest.mark.parametrize("scale", ["0", "2", "-1", "half", "nan", "inf"])
def test_a_wrong_scale_is_refused(invoke: Callable[..., Ended], scale: str) -> None:
    """With the exit code of a wrong command line."""
    ended = invoke("animatic", "harbor.yaml", f"--scale={scale}")

    assert ended.exit_code == 2
    assert f"must be a number above 0 and up to 1, got '{scale}'" in ended.stderr


def test_lanes_need_a_prefect_api_that_other_machines_have_too(
    invoke: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one for the time of a run is not. Both ways to more lanes are told, and nothing is sent."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))

    ended = invoke("render", "harbor.yaml", "--lanes", "2")

    assert (ended.exit_code, ended.stderr) == (
        2,
        "--lanes 2: a Prefect API starts the other lanes, and none is configured: set PREFECT_API_URL, and start "
        "STORYREEL_LANE=<a name for its address> prefect worker start --pool storyreel --work-queue lanes on each "
        "further machine; or, without Prefect, run this without --lanes on each, with another STORYREEL_LANE; nothing "
        "was sent\n",
    )
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize("lanes", ["0", "65"])
def test_a_run_has_one_lane_or_a_few(invoke: Callable[..., Ended], lanes: str) -> None:
    """More would only wait for each other at the ledger."""
    ended = invoke("render", "harbor.yaml", "--lanes", lanes)

    assert (ended.exit_code, f"{lanes} is not in the range 1<=x<=64" in ended.stderr) == (2, True)
