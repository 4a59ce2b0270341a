"""One encoder makes several pieces: each as if it had been made alone, each kept as soon as it is there."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pipelines.common.errors import FilmError
from pipelines.film import capacity
from pipelines.film.assembler import cut_film
from pipelines.storyboard.model import Delivery
from pipelines.storyboard.timeline import Timeline
from tests.support.film_kinds import all_kinds, grainy_frames
from tests.support.film_samples import (
    Picture,
    colour_runs,
    fake_ffmpeg,
    flat_frames,
    pictures,
    timeline_of,
)
from tests.support.speeches import audible


@pytest.fixture
def one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have one worker, which takes all segments that are ready, in their order."""
    monkeypatch.setattr(os, "cpu_count", lambda: 1)


def cut(timeline: Timeline, frames: Sequence[Path], folder: Path) -> list[Picture]:
    """Cut a film and read it back."""
    film = asyncio.run(cut_film(timeline, frames, folder / "film.mp4", segments=folder / "segments"))
    return pictures(film.path, timeline.output.size)


@pytest.mark.usefixtures("one_worker")
@pytest.mark.parametrize("delivery", [Delivery(), Delivery(Fraction(1, 2), 2)], ids=["plain", "keyframes"])
def test_pieces_made_together_are_as_if_made_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, delivery: Delivery
) -> None:
    """Picture by picture, with fewer starts of ffmpeg; with keyframes in the middle of pieces too."""
    timeline, frames = audible(all_kinds(), tmp_path), grainy_frames(tmp_path / "frames", 10)
    timeline = replace(timeline, output=replace(timeline.output, delivery=delivery))
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
