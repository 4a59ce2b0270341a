"""A storyboard that speaks, rendered under Prefect: film, timeline and voice are of one length."""

import json
from pathlib import Path

import imageio_ffmpeg
import pytest

from tests.conftest import Storyreel

pytestmark = pytest.mark.slow

BOARD = """
output: {fps: 12, size: 64x36}
defaults: {hold: auto, steps: 1, aspect: "1:1"}
scenes:
  - id: arrival
    shots:
      - {id: wide, prompt: a harbor, narration: Six in the morning.}
      - {id: close, prompts: [a boat, a gull], narration: Nobody is up but the gulls and the keeper.}
  - id: lamp
    shots: [{id: night, prompt: the sea at night, hold: 1s}]
"""


def test_a_film_that_speaks_is_rendered(storyreel_on_prefect: Storyreel, tmp_path: Path) -> None:
    """As long as `plan` says; a re-roll and a pick change nothing of it, and nothing is spoken twice."""
    (tmp_path / "dawn.yaml").write_text(BOARD)
    planned = storyreel_on_prefect("plan", "dawn.yaml", "--json").json
    voice = tmp_path / "outputs/dawn/voice"
    spoken = {path.name: path.stat().st_mtime_ns for path in voice.iterdir()}

    rendered = storyreel_on_prefect("render", "dawn.yaml", "--json", "--otio")
    rerolled = storyreel_on_prefect("reroll", "dawn.yaml", "1", "--yes", "--json")
    picked = storyreel_on_prefect("pick", "dawn.yaml", "1", "2", "--json")

    runs = [rendered, rerolled, picked]
    assert [(run.exit_code, run.json["state"]) for run in runs] == [(0, "Completed")] * 3, rendered.stderr
    assert [run.json["video_seconds"] for run in runs] == [planned["video_seconds"]] * 3
    assert imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "outputs/dawn/dawn.mp4"))[0] == planned["video_frames"]
    assert {path.name: path.stat().st_mtime_ns for path in voice.iterdir()} == spoken
    tracks = json.loads((tmp_path / "outputs/dawn/dawn.otio").read_text())["tracks"]["children"]
    [heard] = [track for track in tracks if track["name"] == "voice"]
    references = [
        clip["media_references"]["DEFAULT_MEDIA"] for clip in heard["children"] if "Clip" in clip["OTIO_SCHEMA"]
    ]
    assert {f"outputs/dawn/{reference['target_url']}" for reference in references} == {
        f"outputs/dawn/voice/{name}" for name in spoken if name.endswith(".wav")
    }
