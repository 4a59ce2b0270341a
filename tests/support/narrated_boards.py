"""Random storyboards that speak, with a made-up speech for each of their narrations."""

import json
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from pipelines.storyboard.loader import load_text
from pipelines.storyboard.model import Storyboard
from pipelines.storyboard.speech import Speech, Word

RATES = {
    "1": Fraction(1),
    "23.976": Fraction(24000, 1001),
    "24": Fraction(24),
    "25": Fraction(25),
    "59.94": Fraction(60000, 1001),
    "120": Fraction(120),
}
_MOST_VIDEO_FRAMES = 6
_LEAST_TRANSITION_MS, _MOST_TRANSITION_MS = 40, 200
_TRANSITIONS = ("dissolve", "fade_black", "wipe_left")


@dataclass(frozen=True)
class SpokenBoard:
    """A storyboard, and the speech of each of its narrations."""

    board: Storyboard
    speeches: tuple[Speech, ...]


@st.composite
def spoken_boards(draw: st.DrawFn, *, most_outputs: int = 3, crossed: bool = True) -> SpokenBoard:
    """Draw a storyboard of a few frames.

    Some are held for as long as what is spoken over them: over a shot, over each frame of one, or over a scene.

    Args:
        draw: draws.
        most_outputs: how many films it asks for, at most.
        crossed: it may have transitions.
    """
    rates = draw(st.lists(st.sampled_from(list(RATES)), min_size=1, max_size=most_outputs, unique=True))
    slowest = min(RATES[rate] for rate in rates)
    transition_ms = draw(st.none() | st.integers(_LEAST_TRANSITION_MS, _MOST_TRANSITION_MS)) if crossed else None
    # A transition takes a video frame of each of two holds at least.
    least_ms = ceil(1000 / slowest) if transition_ms is None else ceil(3000 / slowest) + transition_ms
    scenes = [
        {"id": f"s{number}", **draw(_scenes(least_ms=least_ms, slowest=slowest, transition_ms=transition_ms))}
        for number in range(draw(st.integers(1, 3)))
    ]
    outputs = [{"fps": float(rate), "size": "64x36", "name": f"at-{n}"} for n, rate in enumerate(rates)]
    gap_ms = draw(st.integers(0, 60))
    # Nothing is drawn into the pictures: they are told by their colours.
    texts = {"narration": {"gap": f"{gap_ms}ms"}, "captions": {"burn": False}}
    board = load_text(json.dumps({"output": outputs, **texts, "scenes": scenes}), Path("spoken.yaml"))
    return SpokenBoard(board, tuple(draw(_speeches(slowest)) for _ in board.narrations))


@st.composite
def _scenes(draw: st.DrawFn, *, least_ms: int, slowest: Fraction, transition_ms: int | None) -> dict[str, Any]:
    speaks = draw(st.booleans())
    shots = []
    for number in range(draw(st.integers(1, 3))):
        frames = draw(st.integers(1, 3))
        narration = None if speaks else draw(st.sampled_from([None, "A word.", [f"Word {n}." for n in range(frames)]]))
        is_auto = (speaks or narration is not None) and draw(st.integers(0, 3)) > 0
        longer_ms = draw(st.integers(0, ceil(_MOST_VIDEO_FRAMES * 1000 / slowest)))
        shot: dict[str, Any] = {
            "id": f"shot-{number}",
            "prompt": "a harbor",
            "frames": frames,
            "hold": "auto" if is_auto else f"{least_ms + longer_ms}ms",
        }
        if narration is not None:
            shot["narration"] = narration
        if transition_ms is not None and draw(st.booleans()):
            shot["transition"] = {"type": draw(st.sampled_from(_TRANSITIONS)), "duration": f"{transition_ms}ms"}
        shots.append(shot)
    return {"shots": shots, **({"narration": "A scene of words."} if speaks else {})}


@st.composite
def _speeches(draw: st.DrawFn, slowest: Fraction) -> Speech:
    """Draw a speech, of a length that has nothing to do with video frames."""
    length_s = Fraction(draw(st.integers(1, 10_000 * _MOST_VIDEO_FRAMES)), 10_000) / slowest
    return Speech(f"{length_s}", Path("speech.wav"), length_s, (Word("A", 0, Fraction(0), length_s),))
