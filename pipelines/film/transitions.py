"""Transitions: two pictures become one. Each plane is mixed alike; edges move by whole pixels of the colour planes."""

from functools import partial

import cv2
import numpy as np

from pipelines.film.encoding import rate
from pipelines.film.picture import Picture, Plane, flat_picture
from pipelines.film.segments import Crossing
from pipelines.storyboard.model import Output
from pipelines.storyboard.transitions import DISSOLVE, FADES

_FADES_TO_WHITE = dict(zip(FADES, (False, True), strict=True))


def mix_pictures(kind: str, leaving: Picture, coming: Picture, progress: float) -> Picture:
    """Return a picture of a transition of storyreel's own, at `progress` from 0 to 1.

    A dissolve mixes in proportion. A fade is all of one colour in its middle. In a wipe the edge of the coming picture
    moves where the name says, over the leaving one; in a slide both move there together.
    """
    if kind == DISSOLVE:
        return leaving.combine(coming, partial(_blended, share=progress))
    if kind in _FADES_TO_WHITE:
        plain = flat_picture(leaving, white=_FADES_TO_WHITE[kind])
        first, second, share = (leaving, plain, 2 * progress) if progress < 0.5 else (plain, coming, 2 * progress - 1)
        return first.combine(second, partial(_blended, share=share))
    move, way = kind.split("_")
    across = way in ("left", "right")
    # A step is a pixel of the colour planes, which is two of the brightness: so the planes move alike.
    steps = leaving.planes[1].shape[1 if across else 0]
    come = round(progress * steps) / steps
    return leaving.combine(coming, partial(_moved, come=come, way=way, slides=move == "slide"))


def _blended(leaving: Plane, coming: Plane, share: float) -> Plane:
    return np.asarray(cv2.addWeighted(leaving, 1 - share, coming, share, 0), np.uint8)


def _moved(leaving: Plane, coming: Plane, *, come: float, way: str, slides: bool) -> Plane:
    """Bring the coming picture in by the share `come` of the whole; with `slides` the leaving one moves out before it.

    `way` is where the edge moves to: left, right, up or down.
    """
    # One case instead of four: the planes are turned so that the coming one enters at the end of the last axis.
    if way in ("up", "down"):
        leaving, coming = leaving.T, coming.T
    if way in ("right", "down"):
        leaving, coming = leaving[:, ::-1], coming[:, ::-1]
    width = leaving.shape[1]
    edge = width - round(come * width)
    if slides:
        moved = np.hstack((leaving[:, width - edge :], coming[:, : width - edge]))
    else:
        moved = np.hstack((leaving[:, :edge], coming[:, edge:]))
    if way in ("right", "down"):
        moved = moved[:, ::-1]
    return moved.T if way in ("up", "down") else moved


def xfade_filters(crossing: Crossing, output: Output) -> list[str]:
    """Return the ffmpeg filters that make a transition of stacked pictures, the leaving one above."""
    size, half = output.size, float(1 / output.fps / 2)
    # xfade starts half a video frame early: each picture is then as far as in the middle of its video frame, as in
    # storyreel's own transitions.
    seconds = float(crossing.length / output.fps)
    parts = [f"crop={size.width}:{size.height}:0:{top}" for top in (0, size.height)]
    return [
        f"settb=1/(2*{rate(output.fps)}),setpts=2*N,split[above][below];"
        f"[above]{parts[0]}[leaving];[below]{parts[1]}[coming];"
        f"[leaving][coming]xfade={crossing.type}:duration={seconds:.6f}:offset={-half:.6f}"
    ]
