"""How films are encoded: one set of x264 parameters, so that pieces encoded apart can be spliced."""

from fractions import Fraction

from pipelines.aspect import Fit, Size
from pipelines.film.ffmpeg import ENCODERS
from pipelines.storyboard.board import Output

# For 60 stills of 1344x768, against veryfast: superfast takes 0.9 of the time and 1.02 of the bytes, faster 1.7 and
# 0.97, medium 1.6 and 1.08. Reading the PNGs is the larger part of it.
_PRESET = "veryfast"

# stitchable keeps the headers free of what the pictures look like; without B-frames and weights a copy of a picture
# does not depend on what stood before or after it. qcomp=1: a still is as good in a long hold as in a short one.
# aud marks where each picture begins in the stream.
_X264 = (
    "stitchable=1:aud=1:scenecut=0:keyint=infinite:bframes=0:ref=1:weightp=0:mbtree=0:rc-lookahead=0:qcomp=1:ipratio=1"
)


# sRGB pictures become limited-range BT.709, and say so: players that must guess, guess wrong for small sizes.
_TAGS = "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709"


def picture_filter(output: Output) -> str:
    """Return the ffmpeg filter that lays a picture of any size and pixel format into the film's."""
    # Fitted as RGB first: resizing and converting in one step misses flat colours by up to 6 levels of 255, in two by
    # 3. Frames of the film's own size, which are most, only need converting either way.
    convert = "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"
    return f"{_fit_filter(output.size, output.fit)},format=rgb24,setsar=1,{convert},{_TAGS}"


def blank_filter() -> str:
    """Return the ffmpeg filter that makes of any picture one that H.264 keeps exactly, at every quality.

    Where nothing is known yet, a decoder predicts 128 for every sample (H.264, 8.3.1.2): that leaves nothing to encode.
    """
    return f"setsar=1,format=yuv420p,lutyuv=y=128:u=128:v=128,{_TAGS}"


def rate(fps: Fraction) -> str:
    """Return `fps` as ffmpeg reads it: `24000/1001`."""
    return f"{fps.numerator}/{fps.denominator}"


def encoder_arguments(output: Output) -> list[str]:
    """Return the ffmpeg arguments that encode pictures of the film's size, as a raw stream on stdout."""
    return [
        *("-fps_mode", "cfr", "-r", rate(output.fps)),
        *("-c:v", ENCODERS[output.codec], "-preset", _PRESET, "-crf", str(_crf(output))),
        *("-x264-params", _X264, "-f", "h264", "-"),
    ]


def _crf(output: Output) -> int:
    # x264 betters a still video frame by video frame; ours must be as good as it gets from its first. With 3 less it is
    # as like its frame as in the middle of a hold that x264 encodes in full (SSIM of grainy slopes, here and there:
    # 0.977 and 0.976, 0.981 and 0.975), in 0.75 to 1.0 of the bytes.
    # 0 would be lossless, in a profile that browsers don't play; the eye cannot tell 1 from it.
    return max(1, output.crf - 3)


def _fit_filter(size: Size, fit: Fit) -> str:
    box = f"scale={size.width}:{size.height}"
    match fit:
        case Fit.CONTAIN:
            return f"{box}:force_original_aspect_ratio=decrease,format=rgb24,pad={size.width}:{size.height}:-1:-1"
        case Fit.COVER:
            return f"{box}:force_original_aspect_ratio=increase,crop={size.width}:{size.height}"
        case _:
            return box
