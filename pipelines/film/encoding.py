"""ffmpeg's arguments: how it reads pictures, and how it encodes them in each codec."""

from fractions import Fraction

from pipelines.storyboard.model import Output
from pipelines.storyboard.presets import Encoding, encoding_of

# In video frames. Players can seek to a keyframe; a still costs its own bytes again at each.
KEYFRAME_EVERY = 120
# Limited-range BT.709, stated in the file: players that have to guess do so by the size, and wrongly for small ones.
TAGS = "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709"


def rate(fps: Fraction) -> str:
    """Return `fps` as ffmpeg reads it: `24000/1001`."""
    return f"{fps.numerator}/{fps.denominator}"


def raw_input(output: Output, *, fps: Fraction | None = None, stacked: bool = False) -> list[str]:
    """Return the arguments that read the film's pictures from stdin, at the film's rate unless `fps` says another.

    `stacked` pictures come in pairs, each pair as one picture of double height.
    """
    height = output.size.height * (2 if stacked else 1)
    size = f"{output.size.width}x{height}"
    pace = rate(fps or output.fps)
    return ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-video_size", size, "-framerate", pace, "-i", "pipe:0"]


def on_time(output: Output) -> str:
    """Return the filters that give every picture its own video frame, and state its shape and colours."""
    return f"settb=1/({rate(output.fps)}),setpts=N,setsar=1,{TAGS}"


def blank_filter() -> str:
    """Return the ffmpeg filter that makes of any picture one that H.264 keeps exactly, at every quality.

    Where nothing is known yet, a decoder predicts 128 for every sample (H.264, 8.3.1.2): that leaves nothing to encode.
    """
    return f"setsar=1,format=yuv420p,lutyuv=y=128:u=128:v=128,{TAGS}"


def encoder_arguments(output: Output, *, transition_quality: bool = False) -> list[str]:
    """Return the ffmpeg arguments that encode pictures of the film's size as a piece of it.

    At `transition_quality` they may be coarser: none of them is on screen for longer than a moment.
    """
    encoding = encoding_of(output.codec)
    crf = str(_crf(output, encoding, transition_quality=transition_quality))
    quality = ["-crf", crf] if encoding.crf is not None else []
    further = encoding.passing if transition_quality else ()
    # One thread: other pieces keep the other processors busy.
    return [
        *("-fps_mode", "cfr", "-r", rate(output.fps), "-pix_fmt", encoding.pixel_format, "-threads", "1"),
        *("-c:v", encoding.encoder, *encoding.arguments, *quality, *further, "-f", encoding.piece),
    ]


def _crf(output: Output, encoding: Encoding, *, transition_quality: bool) -> int:
    # x264 improves a still video frame by video frame. Here its first picture is held by copies, and must be as good as
    # it gets: with 3 less it is as like its frame as in the middle of a hold that x264 encodes in full (SSIM of grainy
    # slopes: 0.977 instead of 0.976, 0.981 instead of 0.975), in 0.75 to 1.0 of the bytes. Moves need as much (grainy
    # slopes: 0.971, and 0.963 without), and grain must not come and go where a still begins to move.
    # At least 1: 0 would be lossless, in a profile that browsers don't play, and looks the same.
    finer = 3 if encoding.piece == "h264" and not transition_quality else 0
    return max(1, output.crf - finer)
