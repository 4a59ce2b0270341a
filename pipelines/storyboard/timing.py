"""Times in whole video frames: cut points and the lengths of transitions, in exact rational arithmetic."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType

from pipelines.storyboard.model import BoardFrame

HALF = Fraction(1, 2)

# The length in seconds of the speech over each shot that has any, by the ids of its scene and its own.
SpeechLengths = Mapping[tuple[str, str], Fraction]

NO_SPEECH: SpeechLengths = MappingProxyType({})


def hold_lengths(frames: Sequence[BoardFrame], speech_s: SpeechLengths) -> list[Fraction]:
    """Return the exact seconds that each frame is held.

    Args:
        frames: a storyboard's.
        speech_s: of every shot with frames that are held as long as its speech; they share its length evenly.

    Raises:
        KeyError: `speech_s` lacks such a shot.
    """
    spoken = Counter((frame.scene, frame.shot) for frame in frames if frame.hold_s is None)
    return [
        speech_s[frame.scene, frame.shot] / spoken[frame.scene, frame.shot] if frame.hold_s is None else frame.hold_s
        for frame in frames
    ]


def cut_points(holds_s: Iterable[Fraction], fps: Fraction) -> list[int]:
    """Return the number of the video frame at which each hold begins, and of the one after the last.

    The cut points are rounded, not the holds, so errors do not add up: each cut is within half a video frame of its
    exact time, however long the film is.

    Args:
        holds_s: the length of each hold in seconds.
        fps: video frames a second.
    """
    cuts, elapsed_s = [0], Fraction(0)
    for hold_s in holds_s:
        elapsed_s += hold_s
        cuts.append(rounded(elapsed_s * fps))
    return cuts


def rounded(count: Fraction) -> int:
    """Return `count` rounded half up.

    Not half to even, as Python's `round`: a hold of one video frame or more never becomes none.
    """
    return int(count + HALF)


def half_transition(duration_s: Fraction, fps: Fraction) -> int:
    """Return the number of video frames that a transition takes of each of the two holds around it, at least one.

    It takes the same of both, so that its middle is the cut point and no hold changes its length.
    """
    # Of less than a video frame nothing would be seen.
    return max(1, rounded(duration_s * fps / 2))
