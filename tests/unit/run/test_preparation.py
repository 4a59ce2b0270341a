"""What can be wrong before the first request is found before it; nothing is sent, and no folder is made."""

from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr

from pipelines.common.budgets import Budgets, OnExceed
from pipelines.common.errors import FilmError, StoryboardError, UsageError
from pipelines.common.quality import Quality
from pipelines.common.settings import Settings
from pipelines.run.preparation import effective_budgets, prepare_run
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.model import Storyboard
from pipelines.storyboard.plan import plan_frames
from pipelines.storyboard.selection import ExtraTakes, select_extra_takes


def board_of(folder: Path, more: str = "") -> Storyboard:
    """Return a storyboard of two frames."""
    path = folder / "pets.yaml"
    path.write_text(f"{more}prompts: [a cat, a dog]\n")
    return load_storyboard(path)


async def test_a_run_is_prepared_for_the_settings_model(tmp_path: Path) -> None:
    """Its plan, its budgets and its settings are what will be run; nothing extra unless it is selected."""
    board, settings = board_of(tmp_path), Settings(output=tmp_path / "outputs", budget_usd=Decimal("0.5"))

    prepared = await prepare_run(board, settings, otio=True)

    assert (prepared.plan, prepared.settings) == (plan_frames(board, model="sketch"), settings)
    assert (prepared.budgets, prepared.extra_takes, prepared.otio) == (Budgets(run_usd=Decimal("0.5")), None, True)
    assert not settings.output.exists()


@pytest.mark.parametrize(
    ("asked", "quality", "prepared"),
    [
        ("", None, ["final"]),
        ("output: {quality: draft}\n", None, ["draft"]),
        ("output: {quality: draft}\n", Quality.FINAL, ["final"]),
        ("output: [{quality: draft}, {codec: gif}]\n", None, ["draft", "final"]),
        ("output: [{quality: final}, {codec: gif}]\n", Quality.DRAFT, ["draft", "draft"]),
    ],
)
async def test_films_are_planned_at_the_quality_that_is_asked_for(
    tmp_path: Path, asked: str, quality: Quality | None, prepared: list[str]
) -> None:
    """By the settings, else by each output, else final."""
    board = board_of(tmp_path, asked)

    run = await prepare_run(board, Settings(output=tmp_path / "outputs", quality=quality))

    assert [timeline.output.quality for timeline in run.plan.timelines] == prepared
    assert [output.quality for output in run.board.outputs] == prepared


async def test_a_reroll_selects_its_takes_from_the_plan(tmp_path: Path) -> None:
    """Once, before the price is shown."""
    prepared = await prepare_run(
        board_of(tmp_path), Settings(), select=lambda plan: select_extra_takes(plan, "1", count=2, prompt=None)
    )

    assert prepared.extra_takes == ExtraTakes((prepared.plan.frames[1],), 2, None)


async def test_frames_that_are_not_there_cannot_be_selected(tmp_path: Path) -> None:
    """The error is the selection's own."""
    with pytest.raises(UsageError, match="7: there is no such frame; pets has frames 0 to 1"):
        await prepare_run(
            board_of(tmp_path), Settings(), select=lambda plan: select_extra_takes(plan, "7", count=1, prompt=None)
        )


async def test_a_sound_that_cannot_be_read_is_found_first(tmp_path: Path) -> None:
    """With its place in the storyboard."""
    (tmp_path / "noise.mp3").write_text("no sound")

    with pytest.raises(StoryboardError, match=r"pets\.yaml:1:16: audio\.track: .*noise\.mp3: is no sound"):
        await prepare_run(board_of(tmp_path, "audio: {track: noise.mp3}\n"), Settings())


async def test_an_encoder_that_is_missing_is_found_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For every output, not for the first alone."""
    board = board_of(tmp_path, "output: [{codec: h264}, {codec: vp9}]\n")
    asked = list[str]()

    def require(codec: str) -> None:
        asked.append(codec)
        if codec == "vp9":
            raise FilmError("this ffmpeg has no encoder for vp9")

    monkeypatch.setattr("pipelines.run.preparation.require_encoder", require)
    with pytest.raises(FilmError, match="no encoder for vp9"):
        await prepare_run(board, Settings())

    assert asked == ["h264", "vp9"]


@pytest.mark.parametrize(
    ("board_usd", "settings_usd", "run_usd"),
    [(None, None, None), ("0.5", None, "0.5"), (None, "0.5", "0.5"), ("0.5", "0.25", "0.25"), ("0.25", "0.5", "0.25")],
)
def test_the_narrower_of_two_caps_for_a_run_counts(
    tmp_path: Path, board_usd: str | None, settings_usd: str | None, run_usd: str | None
) -> None:
    """The storyboard's or the command's."""
    board = board_of(tmp_path, f"budget: {{usd: {board_usd}}}\n" if board_usd else "")
    settings = Settings(budget_usd=Decimal(settings_usd) if settings_usd else None)

    assert effective_budgets(board, settings).run_usd == (Decimal(run_usd) if run_usd else None)


def test_other_caps_come_from_where_they_stand(tmp_path: Path) -> None:
    """The storyboard's total from the storyboard, the day's from the settings."""
    board = board_of(tmp_path, "budget: {total_usd: 2}\n")

    budgets = effective_budgets(board, Settings(budget_daily_usd=Decimal(3)))

    assert budgets == Budgets(None, Decimal(2), Decimal(3), None)


@pytest.mark.parametrize(
    ("board_says", "settings_say", "on_exceed"),
    [
        (None, None, None),
        (None, OnExceed.STOP, OnExceed.STOP),
        ("refuse", OnExceed.STOP, OnExceed.REFUSE),
        ("stop", None, OnExceed.STOP),
    ],
)
def test_the_storyboard_decides_what_an_exceeded_budget_means(
    tmp_path: Path, board_says: str | None, settings_say: OnExceed | None, on_exceed: OnExceed | None
) -> None:
    """Where it says nothing, the settings do."""
    more = f"budget: {{usd: 1, on_exceed: {board_says}}}\n" if board_says else ""

    assert effective_budgets(board_of(tmp_path, more), Settings(on_exceed=settings_say)).on_exceed is on_exceed


async def test_a_secret_is_not_sent_in_clear(tmp_path: Path) -> None:
    """Whatever starts the run; a film that is only cut again sends nothing."""
    board, settings = board_of(tmp_path), Settings(endpoint="http://flux.test", api_token=SecretStr("t0ken"))

    with pytest.raises(UsageError, match="STORYREEL_API_TOKEN would cross the network in clear"):
        await prepare_run(board, settings)
    with pytest.raises(UsageError, match="STORYREEL_API_TOKEN would cross the network in clear"):
        await prepare_run(board, settings, select=lambda plan: select_extra_takes(plan, "1", count=1, prompt=None))

    assert (await prepare_run(board, settings, select=lambda _: ExtraTakes())).extra_takes == ExtraTakes()
