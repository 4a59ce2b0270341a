"""In-betweens: a few frames become many pictures, by following what moves or by mixing."""

from fractions import Fraction

from pipelines.film.encoding import rate
from pipelines.film.segments import Morph
from pipelines.storyboard.model import Output, SmoothMethod

# minterpolate looks this many pictures ahead, and ends as many early: the last picture is repeated to make up for it.
_LOOK_AHEAD = 3
_METHODS = {
    SmoothMethod.MOTION: "mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1",
    SmoothMethod.BLEND: "mi_mode=blend",
}


def key_rate(morph: Morph, fps: Fraction) -> Fraction:
    """Return how many key pictures come a second, so that the first and the last stand at their time."""
    return fps * (len(morph.keys) - 1) / morph.length


def smoothing_filters(morph: Morph, output: Output) -> list[str]:
    """Return the ffmpeg filters that make a morph's video frames of its key pictures.

    See ffmpeg-filters, "minterpolate".
    """
    between = morph.smooth.fps or output.fps
    return [
        f"tpad=stop={_LOOK_AHEAD}:stop_mode=clone",
        f"minterpolate=fps={rate(between)}:scd=none:{_METHODS[morph.smooth.method]}",
        *([f"fps={rate(output.fps)}"] if between != output.fps else []),
        f"trim=end_frame={morph.length}",
    ]
