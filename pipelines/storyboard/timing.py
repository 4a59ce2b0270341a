"""Time in whole video frames: where holds begin, and how long transitions last. Rational arithmetic throughout."""

from collections.abc import Iterable
from fractions import Fraction

HALF = Fraction(1, 2)


def cut_points(holds_s: Iterable[Fraction], fps: Fraction) -> list[int]:
    """Return the video frame at which each hold begins, and the one after the last.

    The cut points are rounded, not the holds: in any film each stands within half a video frame of its time.
    """
    cuts, elapsed_s = [0], Fraction(0)
    for hold_s in holds_s:
        elapsed_s += hold_s
        cuts.append(rounded(elapsed_s * fps))
    return cuts


def rounded(count: Fraction) -> int:
    """Round half up, not Python's half to even: a hold of one video frame or more then never rounds to none."""
    return int(count + HALF)


def half_transition(duration_s: Fraction, fps: Fraction) -> int:
    """Return the video frames that a transition takes of each of the two holds around it, at least one.

    It takes as many of one as of the other, so that its middle is the cut point and no hold changes.
    """
    return max(1, rounded(duration_s * fps / 2))
