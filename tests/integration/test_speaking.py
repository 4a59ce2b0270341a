"""Speaking in a command: what a terminal shows of it, what Ctrl-C leaves, and what `plan` and `check` say of it."""

import re
from pathlib import Path

import pytest

from tests.conftest import Storyreel, wait_until
from tests.support.terminal import CTRL_C, on_terminal

pytestmark = pytest.mark.slow

LINE = "The harbor is quiet, and the boats are asleep, and nobody says a word about it until {} minutes past six."


@pytest.fixture
def story(tmp_path: Path) -> Path:
    """Return a storyboard with a narration over each of its forty frames."""
    shots = [f'{{prompt: picture {n}, narration: "{LINE.format(n)}"}}' for n in range(40)]
    path = tmp_path / "story.yaml"
    path.write_text(
        f"output: {{fps: 12, size: 64x36}}\ndefaults: {{hold: auto}}\nscenes: [{{shots: [{', '.join(shots)}]}}]\n"
    )
    return path


def test_ctrl_c_ends_the_speaking_and_leaves_nothing_by_halves(story: Path, tmp_path: Path) -> None:
    """Exit code 130 at once; what was spoken is kept, and the next command speaks the rest."""
    with on_terminal("plan", str(story), cwd=tmp_path) as session:
        wait_until(lambda: bool(re.search(r"speaking: [1-9]\d? of 40 narrations, \d s so far", session.printed)))
        ended = session.press(CTRL_C).end()

    kept = sorted(path.name for path in (tmp_path / "outputs/story/voice").iterdir() if path.name != ".lock")
    speeches = {name.removesuffix(".json") for name in kept if name.endswith(".json")}
    assert (ended.exit_code, ended.stdout) == (130, "")
    assert ended.stderr.endswith("interrupted: what was paid for is kept; run again to complete\n")
    assert 0 < len(speeches) < 40
    assert kept == sorted(f"{key}.{suffix}" for key in speeches for suffix in ("json", "wav"))
    with on_terminal("plan", str(story), cwd=tmp_path) as session:
        session.wait_for(f"speaking: 0 of {40 - len(speeches)} narrations")


def test_plan_and_check_tell_what_is_spoken(storyreel: Storyreel, tmp_path: Path) -> None:
    """A line where there is narration; the film is as long as the voice, and what is spoken is spoken once."""
    path = tmp_path / "dawn.yaml"
    shots = "[{id: wide, prompt: a harbor, narration: Six in the morning. Nobody is up., hold: auto}, {prompt: a gull}]"
    path.write_text(f"output: {{fps: 10, size: 64x36}}\ndefaults: {{hold: 2s}}\nscenes: [{{shots: {shots}}}]\n")

    told = storyreel("plan", str(path))
    planned = storyreel("plan", str(path), "--json").json
    checked = storyreel("check", str(path), "--json").json

    seconds = planned["narration_seconds"]
    share = seconds / planned["video_seconds"]
    assert f"\n  narration   7 words in {seconds:.1f} s, {share:.0%} of the film\n" in told.stderr
    assert planned["words"] == 7
    # And the gap after it, up to the next video frame.
    assert 2 + seconds + 0.3 <= planned["video_seconds"] < 2 + seconds + 0.4
    assert checked["storyboards"][0]["video_seconds"] == planned["video_seconds"]
    assert len(list((tmp_path / "outputs/dawn/voice").glob("*.wav"))) == 1
