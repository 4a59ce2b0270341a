"""One encoder makes several pieces: each as if it had been made alone, each kept as soon as it is there."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.common.errors import FilmError
from pipelines.common.geometry import Size
from pipelines.film import capacity
from pipelines.film.assembler import cut_film
from pipelines.storyboard.model import CaptionStyle, Motion, MotionType, Smooth, SmoothMethod, WordCaptions
from pipelines.storyboard.timeline import Spoken, Timeline
from tests.support.film_samples import (
    Picture,
    colour_runs,
    fake_ffmpeg,
    flat_frames,
    noisy_gradient,
    pictures,
    timeline_of,
)
from tests.support.speeches import audible, spoken

SIZE = Size(160, 96)
PUSH = Motion(MotionType.PUSH_IN, Fraction(1, 10))
PAN = Motion(MotionType.PAN_LEFT, Fraction(1, 5))


@pytest.fixture
def one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have one worker, which takes all segments that are ready, in their order."""
    monkeypatch.setattr(os, "cpu_count", lambda: 1)


def all_kinds() -> Timeline:
    """Return a film of every kind of segment, most of them more than once: 14 of them; over some of them is spoken."""
    plain = timeline_of([60, 60, 140, 60, 3, 5, 60, 60, 30, 30], size=SIZE)
    changes: tuple[dict[str, Any], ...] = (
        {"transition": "dissolve", "half": 5, "caption": "one"},
        {"motion": PUSH, "transition": "fade_black", "half": 4},
        {"motion": PAN, "transition": "wipe_left", "half": 3, "caption": "two"},
        {"caption": "two"},
        {},
        {},
        {"motion": PUSH, "transition": "slide_up", "half": 6},
        {"transition": "circleopen", "half": 4, "caption": "three"},
        {"smooth": Smooth(None, SmoothMethod.BLEND)},
        {},
    )
    holds = tuple(replace(hold, **change) for hold, change in zip(plain.holds, changes, strict=True))
    speech = spoken("One two three four five six seven eight nine ten eleven.", word_s=Fraction(1, 2))
    said = (
        Spoken(speech, plain.holds[4].start, plain.holds[7].start),
        Spoken(speech, plain.holds[7].start, plain.video_frames),
    )
    style = CaptionStyle(words=WordCaptions.HIGHLIGHT)
    return replace(plain, holds=holds, captions=style, spoken=said)


def grainy_frames(folder: Path, count: int) -> list[Path]:
    """Write frames that an encoder has to work on, each another."""
    folder.mkdir()
    picture = np.asarray(noisy_gradient(SIZE))
    paths = [folder / f"frame_{number:04d}.png" for number in range(count)]
    for number, path in enumerate(paths):
        Image.fromarray(np.roll(picture, 9 * number, axis=1)).save(path)
    return paths


def cut(timeline: Timeline, frames: Sequence[Path], folder: Path) -> list[Picture]:
    """Cut a film and read it back."""
    film = asyncio.run(cut_film(timeline, frames, folder / "film.mp4", segments=folder / "segments"))
    return pictures(film.path, timeline.output.size)


@pytest.mark.usefixtures("one_worker")
def test_pieces_made_together_are_as_if_made_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Picture by picture, with fewer starts of ffmpeg."""
    timeline, frames = audible(all_kinds(), tmp_path), grainy_frames(tmp_path / "frames", 10)
    pids = fake_ffmpeg(tmp_path / "ffmpeg", monkeypatch)
    together = cut(timeline, frames, tmp_path / "together")
    starts = len(pids.read_text().split())
    monkeypatch.setattr(capacity, "_MAX_BATCH", 1)
    pids.unlink()
    alone = cut(timeline, frames, tmp_path / "alone")

    assert len(together) == len(alone) == timeline.video_frames
    assert all(np.array_equal(one, other) for one, other in zip(together, alone, strict=True))
    kept = [{path.name for path in (tmp_path / folder / "segments").glob("*.h264")} for folder in ("together", "alone")]
    assert kept[0] == kept[1]
    # Alike are the still holds, the moves and the transitions; alone are a long move, xfade's own and in-betweens.
    assert len(pids.read_text().split()) - starts == len(kept[0]) - 6


@pytest.mark.usefixtures("one_worker")
@pytest.mark.parametrize("fps", [Fraction(24000, 1001), Fraction(120)], ids=str)
def test_a_film_may_flicker_for_long(tmp_path: Path, fps: Fraction) -> None:
    """Hundreds of stills of one video frame each go through one encoder."""
    names = ["red", "green", "blue"] * 150

    film = asyncio.run(
        cut_film(timeline_of([1] * 450, fps=fps), flat_frames(tmp_path / "frames", names), tmp_path / "film.mp4")
    )

    assert colour_runs(film.path) == [(name, 1) for name in names]


@pytest.mark.usefixtures("one_worker")
def test_what_is_there_when_an_encoder_fails_is_kept(tmp_path: Path) -> None:
    """A frame that cannot be read costs its own piece and those after it, not those before."""
    frames = flat_frames(tmp_path / "frames", ["red", "green", "blue", "white"])
    frames[2].write_text("no picture")

    with pytest.raises(FilmError, match=r"frame_0002\.png: cannot be read"):
        cut(timeline_of([60] * 4), frames, tmp_path)

    assert len(list((tmp_path / "segments").iterdir())) == 2
