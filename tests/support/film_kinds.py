"""A film with every kind of segment in it, and frames for it that an encoder has to work on."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipelines.common.geometry import Size
from pipelines.storyboard.model import CaptionStyle, Motion, MotionType, Smooth, SmoothMethod, WordCaptions
from pipelines.storyboard.timeline import Spoken, Timeline
from tests.support.film_samples import noisy_gradient, timeline_of
from tests.support.speeches import spoken

SIZE = Size(160, 96)
PUSH = Motion(MotionType.PUSH_IN, Fraction(1, 10))
PAN = Motion(MotionType.PAN_LEFT, Fraction(1, 5))


def all_kinds(fps: Fraction = Fraction(24)) -> Timeline:
    """Return a film of every kind of segment, most of them more than once: 14 of them; over some of them is spoken.

    It has ten frames.
    """
    plain = timeline_of([60, 60, 140, 60, 3, 5, 60, 60, 30, 30], size=SIZE, fps=fps)
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
