"""The ends of flow runs as Prefect's states, and paths under a worker, without a server."""

from pathlib import Path
from typing import Any

import pytest
from prefect import Flow, State
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ParameterTypeError

from pipelines.common.errors import (
    BudgetError,
    CredentialsRefusedError,
    FilmError,
    FramesMissingError,
    InterruptedRunError,
    StorageError,
    StoryreelError,
    UsageError,
)
from pipelines.common.quality import Quality
from pipelines.common.settings import load_settings
from pipelines.flows.orchestration import FlowRequest, final_state
from pipelines.flows.render_lane import render_lane
from pipelines.flows.render_storyboard import render_storyboard
from pipelines.flows.reroll_takes import reroll_takes

FLOW_RUN_ID = "PREFECT__FLOW_RUN_ID"


@pytest.mark.parametrize(
    ("error", "name", "kind"),
    [
        (FramesMissingError("two frames"), "Incomplete", StateType.FAILED),
        (FilmError("no film"), "Incomplete", StateType.FAILED),
        (StorageError("a full disk"), "Incomplete", StateType.FAILED),
        (BudgetError("too dear"), "OverBudget", StateType.FAILED),
        (CredentialsRefusedError("401"), "EndpointUnavailable", StateType.FAILED),
        (InterruptedRunError("Ctrl-C"), "Cancelled", StateType.CANCELLED),
        (UsageError("no such option"), "Failed", StateType.FAILED),
        (StoryreelError("a bug"), "Failed", StateType.FAILED),
    ],
)
def test_every_end_has_a_state_of_its_own(error: StoryreelError, name: str, kind: StateType) -> None:
    """An automation can tell a budget stop from a hole by the state's name; the message says the rest."""
    state = final_state(error)

    assert (state.name, state.type, state.message) == (name, kind, str(error))


@pytest.mark.parametrize(
    ("flow", "name"),
    [(render_storyboard, "render_storyboard"), (reroll_takes, "reroll_takes"), (render_lane, "render_lane")],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_the_quality_is_a_parameter_of_every_flow(
    monkeypatch: pytest.MonkeyPatch, flow: Flow[..., Any], name: str
) -> None:
    """By its word, as a deployment is given it; another word is refused by Prefect."""
    requests: list[FlowRequest] = []

    async def note(request: FlowRequest) -> None:
        requests.append(request)

    monkeypatch.setattr(f"pipelines.flows.{name}.orchestrate", note)
    needed = {"reroll_takes": {"frames": "0"}, "render_lane": {"group": "1"}}.get(name, {})
    given = flow.validate_parameters({"storyboard": "board.yaml", **needed, "quality": "draft"})
    await flow.fn(**given)

    assert [load_settings(request.options).quality for request in requests] == [Quality.DRAFT]
    with pytest.raises(ParameterTypeError, match="quality"):
        flow.validate_parameters({"storyboard": "board.yaml", **needed, "quality": "fine"})


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in the temporary folder of a flow run that a worker started, without any setting; return the folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(FLOW_RUN_ID, "a-flow-run")
    for name in ("STORYREEL_ROOT", "STORYREEL_OUTPUT", "STORYREEL_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "board.yaml").write_text("title: Harbor\nprompts: [a harbor]\n")
    return tmp_path


async def test_a_relative_output_under_a_worker_is_refused(worker: Path) -> None:
    """Takes that are paid for would be deleted with the worker's temporary folder."""
    ended = await render_storyboard.fn(str(worker / "board.yaml"))

    assert isinstance(ended, State)
    assert ended.name == "Failed"
    assert ended.message == (
        "output outputs: is relative, and a worker runs flows in a temporary folder, which is deleted with all that "
        "was paid for: set STORYREEL_ROOT for the worker, or give an absolute path; nothing was sent"
    )
    assert [path.name for path in worker.iterdir()] == ["board.yaml"]


async def test_a_relative_storyboard_under_a_worker_is_refused(worker: Path) -> None:
    """It would be looked for in an empty folder."""
    ended = await reroll_takes.fn("board.yaml", "0", output=str(worker / "outputs"))

    assert isinstance(ended, State)
    assert str(ended.message).startswith("storyboard board.yaml: is relative")
    assert not (worker / "outputs").exists()


async def test_relative_paths_are_found_from_the_workers_root(worker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The storyboard is read from there: it is the next error that is reported."""
    monkeypatch.setenv("STORYREEL_ROOT", str(worker / "reels"))

    ended = await render_storyboard.fn("board.yaml")

    assert isinstance(ended, State)
    assert str(ended.message).startswith(f"{worker}/reels/board.yaml: there is no such file")


@pytest.mark.parametrize(
    ("endpoint", "held"),
    [
        ("https://amy:hunter2@flux.test", "a user and a password"),
        ("https://flux.test/?key=hunter2", "a query, which may be a key"),
        ("https://amy:hunter2@flux.test/?key=hunter3", "a user and a password and a query, which may be a key"),
    ],
)
async def test_a_secret_is_no_parameter(worker: Path, endpoint: str, held: str) -> None:
    """Every parameter stands on Prefect's page; the message does not repeat it."""
    ended = await render_storyboard.fn(str(worker / "board.yaml"), endpoint=endpoint)

    assert isinstance(ended, State)
    assert ended.name == "Failed"
    assert ended.message == (
        f"endpoint: holds {held}, and all parameters stand on Prefect's page: set STORYREEL_ENDPOINT "
        "for the worker instead, and change what was secret; nothing was sent"
    )


async def test_a_worker_looks_up_what_the_storyboard_names(worker: Path) -> None:
    """In its own environment: what is not set there is named at its place."""
    path = worker / "board.yaml"
    path.write_text("endpoint: {url: https://flux.test, token: $FILM_TOKEN}\nprompts: [a harbor]\n")

    ended = await render_storyboard.fn(str(path), output=str(worker / "outputs"))

    assert isinstance(ended, State)
    assert str(ended.message).startswith(f"{path}:1:43: endpoint.token: the variable FILM_TOKEN is not set")


async def test_an_unknown_dialect_is_refused_before_a_run_begins(worker: Path) -> None:
    """With the one that was meant."""
    ended = await render_storyboard.fn(str(worker / "board.yaml"), output=str(worker / "outputs"), dialect="fluks")

    assert isinstance(ended, State)
    assert ended.message == "--dialect: unknown dialect 'fluks'; did you mean 'flux'?"
    assert not (worker / "outputs").exists()
