"""ffmpeg's arguments: how it reads pictures, and how it encodes them in each codec."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from pipelines.common.quality import Quality
from pipelines.film.levels import level_of
from pipelines.storyboard.model import Output
from pipelines.storyboard.presets import PieceKind, encoding_of

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


def plain_filter(*, blank: bool) -> str:
    """Return the ffmpeg filter that makes any picture one of the film's kind; `blank`, one that H.264 keeps exactly.

    Where nothing is known yet, a decoder predicts 128 for every sample (H.264, 8.3.1.2): that leaves nothing to encode.
    """
    blanked = ",lutyuv=y=128:u=128:v=128" if blank else ""
    return f"setsar=1,format=yuv420p{blanked},{TAGS}"


def keyframe_every(output: Output) -> int:
    """Return how many video frames there are from one keyframe of a film to the next, at most."""
    wanted_s = output.delivery.keyframe_s
    # At least 2: a film of keyframes alone could hold no picture by copies.
    return max(2, min(KEYFRAME_EVERY, int(wanted_s * output.fps))) if wanted_s is not None else KEYFRAME_EVERY


def audio_arguments(output: Output) -> tuple[str, ...]:
    """Return the ffmpeg arguments that encode a film's sound; none where its format holds none."""
    bitrate = output.delivery.audio_bitrate
    return (*(encoding_of(output.codec).audio or ()), *(("-b:a", str(bitrate)) if bitrate is not None else ()))


def encoder_arguments(output: Output, kind: PieceKind, *, bound: Sequence[str] = ()) -> list[str]:
    """Return the ffmpeg arguments that encode pictures of the film's size as a piece of it, of a kind.

    `bound` are those that keep the piece to the film's highest bitrate, if there is one; see `film.bitrate`.
    """
    encoding = encoding_of(output.codec)
    of_kind = encoding.pieces(output.quality).of(kind)
    # At least 1: 0 would be lossless in H.264, in a profile that browsers don't play, and looks the same.
    quality = ["-crf", str(max(1, output.crf - of_kind.finer))] if encoding.crf is not None else []
    # One thread: other pieces keep the other processors busy.
    return [
        *("-fps_mode", "cfr", "-r", rate(output.fps), "-pix_fmt", encoding.pixel_format, "-threads", "1"),
        *("-c:v", encoding.encoder, *encoding.arguments, *quality, *of_kind.arguments),
        *_between(output),
        *_level(output),
        *bound,
        *("-f", encoding.piece),
    ]


def _between(output: Output) -> list[str]:
    bframes = output.delivery.bframes
    return ["-bf", str(bframes)] if bframes is not None else []


def _level(output: Output) -> list[str]:
    """Return the arguments that state the level of a film with a highest bitrate.

    x264 would choose it by the bounds of each piece, and pieces of different levels cannot be joined.
    """
    most = output.delivery.max_bitrate
    return ["-level", level_of(output.size, output.fps, bitrate=most)] if most is not None else []


def is_draft(output: Output, kind: PieceKind) -> bool:
    """Say whether a kind of piece comes out otherwise than in the final film."""
    return encoder_arguments(output, kind) != encoder_arguments(replace(output, quality=Quality.FINAL), kind)
