"""Two runs of one storyboard in two lanes: each says what it has done, and what both have done together."""

import asyncio
import logging
from pathlib import Path

import pytest

from pipelines.common.settings import Settings
from pipelines.report.status import status_of
from pipelines.run.local import run_locally
from pipelines.run.observer import RunObserver
from pipelines.run.result import RunResult
from pipelines.storyboard.loader import load_storyboard

FRAMES = 24
BOARD = f"""
output: {{fps: 12, size: 64x64}}
defaults: {{hold: 0.5s, steps: 1, aspect: "1:1"}}
scenes:
  - shots:
      - {{id: wide, prompt: "a harbor, view {{{{ frame }}}}", frames: {FRAMES}}}
"""


def settings_of(folder: Path, lane: str) -> Settings:
    # Slow enough that both have something to do, and are seen at it.
    return Settings(output=folder / "outputs", lane=lane, rate_limit=240)


async def render_in(folder: Path, observers: dict[str, RunObserver]) -> dict[str, RunResult]:
    """Render a storyboard in several lanes at once; return the result of each."""
    path = folder / "harbor.yaml"
    path.write_text(BOARD)
    board = load_storyboard(path)
    runs = [
        run_locally(board, settings_of(folder, lane), observer=observer, handle_signals=False)
        for lane, observer in observers.items()
    ]
    return dict(zip(observers, await asyncio.gather(*runs), strict=True))


async def test_two_lanes_are_watched_as_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In progress, result, log and status: what each lane does, and the sum."""
    observers = {"a": RunObserver(), "b": RunObserver()}
    with caplog.at_level(logging.INFO, logger="pipelines"):
        results = await render_in(tmp_path, observers)
    [joined] = [lane for lane, result in results.items() if result.run_id != result.members[0].run_id]
    conducting = "a" if joined == "b" else "b"
    status = status_of(settings_of(tmp_path, "a"), "harbor")

    generated = {lane: result.generated for lane, result in results.items()}
    assert sum(generated.values()) == FRAMES
    assert min(generated.values()) > 0
    for lane, result in results.items():
        other = "a" if lane == "b" else "b"
        elsewhere = f"{generated[other]} by another run (lane {other})"
        assert result.counts == f"{generated[lane]} generated here, {elsewhere}, 0 reused, 0 failed"
        assert {each.lane: each.kept for each in result.members} == generated
        assert {each.lane for each in observers[lane].progress.members} == {"a", "b"}
    beginnings = [text for text in caplog.messages if " asks the embedded endpoint " in text]
    conductor_id = results[conducting].run_id
    assert any(f"run {conductor_id} in lane {conducting} asks" in text for text in beginnings)
    assert any(
        f"run {results[joined].run_id} in lane {joined} joins run {conductor_id}, which makes the film, and asks"
        in text
        for text in beginnings
    )
    assert [group.done for group in status.groups] == [FRAMES]


async def test_a_run_alone_shows_no_lanes(tmp_path: Path) -> None:
    """Though it has one."""
    observer = RunObserver()

    result = (await render_in(tmp_path, {"a": observer}))["a"]

    assert (observer.progress.members, result.members, "lanes" in result.as_json()) == ((), (), False)
    assert result.counts == f"{FRAMES} generated, 0 reused, 0 failed"
