"""Times in whole video frames: cut points and the lengths of transitions, in exact rational arithmetic."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from math import ceil

from pipelines.storyboard.model import Storyboard
from pipelines.storyboard.speech import Speech

HALF = Fraction(1, 2)


def hold_lengths(board: Storyboard, speeches: Sequence[Speech]) -> list[Fraction]:
    """Return the exact seconds that each frame is held.

    Frames that are held for as long as what is spoken over them share what other frames leave of it, in whole video
    frames of the first output. None is so short that a transition beside it does not fit.

    Args:
        board: the storyboard.
        speeches: that of each of its narrations.

    Raises:
        ValueError: there are not as many speeches as narrations.
    """
    holds = [frame.hold_s for frame in board.frames]
    for narration, speech in zip(board.narrations, speeches, strict=True):
        numbers = range(narration.frame, narration.frame + narration.frames)
        shared = [number for number in numbers if holds[number] is None]
        left_s = speech.length_s + board.narrator.gap_s - sum((holds[number] or 0 for number in numbers), Fraction(0))
        for number, share in zip(shared, _shares(left_s, len(shared), board.output.fps), strict=True):
            holds[number] = max(share, *(_least_hold(board, number, output.fps) for output in board.outputs))
    return [hold_s for hold_s in holds if hold_s is not None]


def _shares(length_s: Fraction, count: int, fps: Fraction) -> list[Fraction]:
    """Divide at least `length_s` into `count` shares, as even as whole video frames are."""
    if not count:
        return []
    video_frames = ceil(max(length_s, Fraction(0)) * fps)
    ends = [rounded(Fraction(video_frames * part, count)) for part in range(count + 1)]
    return [(end - start) / fps for start, end in pairwise(ends)]


def _least_hold(board: Storyboard, number: int, fps: Fraction) -> Fraction:
    """Return the seconds that a frame must be held for, so that it is seen and the transitions beside it fit."""
    beside = [frame.transition for frame in board.frames[max(0, number - 1) : number + 1] if frame.transition]
    halves = [half_transition(transition.duration_s, fps) for transition in beside]
    return max(1, 2 * max(halves, default=0)) / fps


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
