"""Transitions: two pictures become one. Each plane is mixed alike; edges move by whole pixels of the colour planes."""

from collections.abc import Callable
from functools import partial

from PIL import Image

from pipelines.aspect import Size
from pipelines.film.encoding import rate
from pipelines.film.painting import Picture, flat
from pipelines.film.segments import Crossing
from pipelines.storyboard.board import Output
from pipelines.storyboard.transitions import DISSOLVE, FADES, SLIDES, WIPES

Plane = Image.Image
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
        width, height = leaving.planes[0].size
        plain = flat(Size(width, height), _LIGHTS[kind])
        first, second, share = (leaving, plain, 2 * progress) if progress < 0.5 else (plain, coming, 2 * progress - 1)
        return first.mixed(second, partial(_blended, share=share))
    # In steps that the colour planes can follow.
    half = leaving.planes[1]
    steps = half.width if kind.endswith(("left", "right")) else half.height
    return leaving.mixed(coming, partial(_MOVES[kind], progress=round(progress * steps) / steps))


def _blended(leaving: Plane, coming: Plane, share: float) -> Plane:
    return Image.blend(leaving, coming, share)


def _moved(leaving: Plane, coming: Plane, progress: float, *, way: str, slides: bool) -> Plane:
    """Lay the coming picture over the leaving one, `progress` of its way in from the edge that it comes from."""
    width, height = leaving.size
    across = way in ("left", "right")
    side = width if across else height
    come = round(side * progress)
    before, after = (come, side - come)
    forward = way in ("left", "up")
    canvas = leaving.copy()
    if slides:
        canvas.paste(leaving, _offset(-before if forward else before, across))
    if before:
        edge = after if forward else 0
        source = (0 if slides else edge) if forward else (after if slides else 0)
        box = (source, 0, source + before, height) if across else (0, source, width, source + before)
        canvas.paste(coming.crop(box), _offset(edge, across))
    return canvas


def _offset(by: int, across: bool) -> tuple[int, int]:
    return (by, 0) if across else (0, by)


_MOVES: dict[str, Callable[..., Plane]] = {
    **{kind: partial(_moved, way=kind.removeprefix("wipe_"), slides=False) for kind in WIPES},
    **{kind: partial(_moved, way=kind.removeprefix("slide_"), slides=True) for kind in SLIDES},
}


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
