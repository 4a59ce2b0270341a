"""Transitions: two pictures become one. Each plane is mixed alike; edges move by whole pixels of the colour planes."""

from functools import partial

import cv2
import numpy as np

from pipelines.film.encoding import rate
from pipelines.film.painting import Picture, Plane, flat
from pipelines.film.segments import Crossing
from pipelines.storyboard.model import Output
from pipelines.storyboard.transitions import DISSOLVE, FADES

# In limited range.
_LIGHTS = dict(zip(FADES, (16, 235), strict=True))


def mixed(kind: str, leaving: Picture, coming: Picture, progress: float) -> Picture:
    """Return a picture of a transition that storyreel draws itself, at `progress` from 0 to 1.

    A dissolve mixes in proportion. A fade is all of one colour in its middle. In a wipe the edge of the coming picture
    moves where the name says, over the leaving one; in a slide both move there together.
    """
    if kind == DISSOLVE:
        return leaving.mixed(coming, partial(_blended, share=progress))
    if kind in _LIGHTS:
        plain = flat(leaving, _LIGHTS[kind])
        first, second, share = (leaving, plain, 2 * progress) if progress < 0.5 else (plain, coming, 2 * progress - 1)
        return first.mixed(second, partial(_blended, share=share))
    move, way = kind.split("_")
    across = way in ("left", "right")
    # In steps that the colour planes can follow.
    steps = leaving.planes[1].shape[1 if across else 0]
    come = round(progress * steps) / steps
    return leaving.mixed(coming, partial(_moved, come=come, way=way, slides=move == "slide"))


def _blended(leaving: Plane, coming: Plane, share: float) -> Plane:
    return np.asarray(cv2.addWeighted(leaving, 1 - share, coming, share, 0), np.uint8)


def _moved(leaving: Plane, coming: Plane, *, come: float, way: str, slides: bool) -> Plane:
    """Lay the coming picture over the leaving one, as far in as `come` says, from the edge that it comes from."""
    # Turned so that what comes does so from the end of the last axis.
    if way in ("up", "down"):
        leaving, coming = leaving.T, coming.T
    if way in ("right", "down"):
        leaving, coming = leaving[:, ::-1], coming[:, ::-1]
    width = leaving.shape[1]
    edge = width - round(come * width)
    if slides:
        laid = np.hstack((leaving[:, width - edge :], coming[:, : width - edge]))
    else:
        laid = np.hstack((leaving[:, :edge], coming[:, edge:]))
    if way in ("right", "down"):
        laid = laid[:, ::-1]
    return laid.T if way in ("up", "down") else laid


def xfade_filters(crossing: Crossing, output: Output) -> list[str]:
    """Return the ffmpeg filters that make a transition of pictures that stand in pairs, the leaving one above."""
    size, half = output.size, float(1 / output.fps / 2)
    # In the middle of its video frame each picture is as far as its time, as in transitions of our own.
    seconds = float(crossing.length / output.fps)
    parts = [f"crop={size.width}:{size.height}:0:{top}" for top in (0, size.height)]
    return [
        f"settb=1/(2*{rate(output.fps)}),setpts=2*N,split[above][below];"
        f"[above]{parts[0]}[leaving];[below]{parts[1]}[coming];"
        f"[leaving][coming]xfade={crossing.type}:duration={seconds:.6f}:offset={-half:.6f}"
    ]
