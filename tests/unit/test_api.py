"""The public API, as far as it needs no run: what it offers, its settings, plans and refusals."""

import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from pipelines import api
from pipelines.common import errors
from tests.conftest import clean_environment

REPOSITORY = Path(__file__).parents[2]
BOARD = "defaults: {aspect: 1:1, steps: 1}\nscenes:\n  - {id: garden, shots: [{id: cat, prompt: a cat}]}\n"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in an empty folder, with no setting in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in api.Settings.model_fields:
        monkeypatch.delenv(f"STORYREEL_{name.upper()}", raising=False)


def test_importing_the_api_does_not_import_prefect() -> None:
    """Prefect takes seconds to import, and configures the logging of the whole process."""
    code = "import sys; from pipelines import api; print([name for name in sys.modules if name.startswith('prefect')])"

    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment(PYTHONPATH=str(REPOSITORY)),
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "[]\n"


def test_every_error_of_storyreel_is_in_the_api() -> None:
    """So that a program can catch any of them without importing what is internal."""
    tree = {
        name for name, value in vars(errors).items() if isinstance(value, type) and value.__module__ == errors.__name__
    }

    assert tree - set(api.__all__) == set()
    assert [name for name in api.__all__ if not hasattr(api, name)] == []


def test_every_function_has_an_example_in_its_docstring() -> None:
    """And the module itself says that it is provisional."""
    documented = [api, api.Settings, api.load_storyboard, api.plan, api.quote, api.render, api.reroll, api.pick]

    assert [each for each in documented if "Example:\n" not in (each.__doc__ or "")] == []
    assert "Provisional until version 1.0" in (api.__doc__ or "")


# Settings


def test_keywords_win_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text is read as in a variable; None counts as not given; a relative output is found from the root."""
    monkeypatch.setenv("STORYREEL_RATE_LIMIT", "60")
    monkeypatch.setenv("STORYREEL_CONCURRENCY", "4")
    monkeypatch.setenv("STORYREEL_ROOT", str(tmp_path / "films"))

    settings = api.Settings(budget_usd="0.25", rate_limit=90, concurrency=None, output="spring")

    assert (settings.budget_usd, settings.rate_limit, settings.concurrency) == (Decimal("0.25"), 90, 4)
    assert settings.output == tmp_path / "films/spring"


def test_wrong_settings_are_named_as_the_program_named_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A keyword by its name, a variable by the one that it has in the environment."""
    monkeypatch.setenv("STORYREEL_CONCURRENCY", "few")

    with pytest.raises(api.UsageError) as caught:
        api.Settings(budget_usd=-1)

    assert sorted(str(caught.value).splitlines()) == [
        "STORYREEL_CONCURRENCY: must be a whole number, got 'few'",
        "budget_usd: must be at least 0, got -1",
    ]


def test_a_misspelt_setting_is_refused() -> None:
    """A budget that is silently ignored would never hold."""
    with pytest.raises(api.UsageError) as caught:
        api.Settings(budgt_usd="0.25")

    assert str(caught.value) == "budgt_usd: there is no such setting; did you mean 'budget_usd'?"


# Storyboards and plans


def test_a_storyboard_is_found_from_the_root(
    tmp_path: Path, write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the command finds it; a path may be text."""
    write(BOARD)
    monkeypatch.setenv("STORYREEL_ROOT", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    assert api.load_storyboard("board.yaml").id == "board"


def test_every_mistake_in_a_storyboard_is_in_the_error(write: Callable[[str], Path]) -> None:
    """Each with its line, for a program to show."""
    path = write("prompts: [a]\ndefaults: {steps: 12}\ncolour: red\n")

    with pytest.raises(api.StoryboardError) as caught:
        api.load_storyboard(path)

    assert [problem.line for problem in caught.value.problems] == [2, 3]


def test_a_plan_is_for_the_model_of_the_settings(write: Callable[[str], Path], tmp_path: Path) -> None:
    """The embedded endpoint's by default; nothing is written."""
    board = api.load_storyboard(write(BOARD))

    sketches, images = api.plan(board), api.plan(board, api.Settings(endpoint="http://flux.test"))

    assert (sketches.model, images.model) == ("sketch", "flux-1-schnell")
    assert [frame.label for frame in images.frames] == ["frame_0000 garden/cat"]
    assert list(tmp_path.iterdir()) == [tmp_path / "board.yaml"]


# Refusals


@pytest.mark.parametrize(
    ("function", "call"),
    [
        ("render", api.render),
        ("reroll", lambda board: api.reroll(board, 0)),
        ("pick", lambda board: api.pick(board, 0, 1)),
    ],
)
async def test_a_run_inside_a_running_event_loop_is_refused(
    write: Callable[[str], Path], tmp_path: Path, function: str, call: Callable[[api.Storyboard], object]
) -> None:
    """The error names the cure; nothing is written."""
    board = api.load_storyboard(write(BOARD))

    with pytest.raises(api.UsageError) as caught:
        call(board)

    assert str(caught.value) == (
        f"api.{function}: called inside a running event loop, which it would block; run it in a thread: "
        f"await asyncio.to_thread(api.{function}, ...)"
    )
    assert not (tmp_path / "outputs").exists()


def test_takes_are_priced_only_with_frames(write: Callable[[str], Path]) -> None:
    """Without frames it is a render that is quoted, whose takes the storyboard names."""
    board = api.load_storyboard(write(BOARD))

    with pytest.raises(api.UsageError, match=r"^api\.quote: takes and prompt are those of a re-roll; give frames too$"):
        api.quote(board, takes=2)
