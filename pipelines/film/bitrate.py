"""How many bits a piece may take, so that a film keeps to its highest bitrate: ffmpeg's arguments for it.

Pieces are encoded apart. So each has a decoder's buffer of its own (ITU-T H.264, annex C), which may take no more than
is sent while the piece is shown.
"""

from fractions import Fraction

from pipelines.storyboard.model import Output

# As much as is sent in this time; less for pieces that are shorter than twice that.
_BUFFER_S = Fraction(1, 2)
# What x264 takes to be there when a piece begins.
_FULL = Fraction(9, 10)
# x264 counts bits a second in 32 bits.
_MAX_BITS_PER_S = 2_000_000_000


def bound_of_all(output: Output, *, length: int) -> list[str]:
    """Return the arguments for a piece whose `length` video frames are all encoded; none without a bound."""
    most = output.delivery.max_bitrate
    if most is None:
        return []
    length_s = length / output.fps
    buffer = most * min(_BUFFER_S, length_s / 2)
    # What the buffer holds at first is sent too.
    return _arguments(most - _FULL * buffer / length_s, buffer)


def bound_of_each(output: Output, *, held: int) -> list[str]:
    """Return the arguments for pictures that copies hold, each for at least `held` video frames; none without a bound.

    The encoder is given one picture of each hold, so it must not take each for a video frame: each has a buffer of its
    own, full at its beginning, and may take what is sent while it is held.
    """
    most = output.delivery.max_bitrate
    if most is None:
        return []
    buffer = min(most * held / output.fps, _MAX_BITS_PER_S / output.fps)
    return _arguments(buffer * output.fps, buffer)


def _arguments(bits_per_s: Fraction, buffer: Fraction) -> list[str]:
    return ["-maxrate", str(int(bits_per_s)), "-bufsize", str(int(buffer))]
