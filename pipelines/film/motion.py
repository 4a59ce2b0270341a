"""Moves over a still: which part of the picture is shown at each moment of a move."""

from dataclasses import dataclass

from pipelines.storyboard.model import Ease, Motion, MotionType


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a picture, of the picture's own shape.

    Attributes:
        left, top: the upper left corner, in shares of the picture's width and height.
        side: its width and height, in shares of the picture's.
    """

    left: float
    top: float
    side: float


WHOLE = Window(0.0, 0.0, 1.0)


def window(motion: Motion | None, progress: float) -> Window:
    """Return the part that a move shows at `progress`, from 0 where the frame appears to 1 where it is gone.

    A push goes from the whole picture to 1 / (1 + amount) of its sides around the middle, a pull the other way round: a
    point that stood r from the middle stands r * (1 + amount * progress) from it, so its speed is constant. A pan
    keeps to 1 / (1 + amount) of the sides and travels over what is left, the way that its name says.
    """
    if motion is None:
        return WHOLE
    done, amount = _eased(motion.ease, progress), float(motion.amount)
    side = 1 / (1 + amount)
    middle, travel = (1 - side) / 2, 1 - side
    match motion.type:
        case MotionType.PUSH_IN:
            return _around_the_middle(1 + amount * done)
        case MotionType.PULL_OUT:
            return _around_the_middle(1 + amount * (1 - done))
        case MotionType.PAN_LEFT:
            return Window(travel * (1 - done), middle, side)
        case MotionType.PAN_RIGHT:
            return Window(travel * done, middle, side)
        case MotionType.PAN_UP:
            return Window(middle, travel * (1 - done), side)
        case MotionType.PAN_DOWN:
            return Window(middle, travel * done, side)
        case _:
            return WHOLE


def _around_the_middle(zoom: float) -> Window:
    margin = (1 - 1 / zoom) / 2
    return Window(margin, margin, 1 / zoom)


def _eased(ease: Ease, progress: float) -> float:
    """Return how much of the way is done; in_out is the smooth step 3p^2 - 2p^3."""
    return progress * progress * (3 - 2 * progress) if ease is Ease.IN_OUT else progress
