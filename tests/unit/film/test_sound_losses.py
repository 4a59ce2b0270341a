"""What of a sound is missing: by its clock, by its header, and when that is too much."""

from fractions import Fraction

import pytest

from pipelines.film.sound_containers import Clock
from pipelines.film.sound_losses import Loss, SampleClock, find_loss


def clock_of(*pieces: tuple[int, int]) -> SampleClock:
    """Return a clock of 1000 samples a second that counted pieces, each by its time and its length."""
    clock = SampleClock(1000)
    for start, length in pieces:
        clock.add(start, length)
    return clock


# A second is there, half a second is not, then two are there.
HOLE = clock_of((0, 1000), (1500, 2000))
IN_THE_HOLE = Loss(Fraction(1, 2), (Fraction(1),))


@pytest.mark.parametrize(
    ("kind", "stated_s", "complained", "loss"),
    [
        (Clock.EXACT, None, False, IN_THE_HOLE),
        (Clock.EXACT, 4, False, Loss(Fraction(1), (Fraction(1), Fraction(7, 2)))),
        (Clock.EXACT, 2, False, IN_THE_HOLE),
        (Clock.LOOSE, None, True, IN_THE_HOLE),
        (Clock.LOOSE, None, False, Loss()),
        (Clock.LOOSE, 4, False, Loss(Fraction(1, 2), (Fraction(7, 2),))),
        (Clock.NONE, None, False, IN_THE_HOLE),
        (Clock.NONE, 4, False, Loss(Fraction(1), (Fraction(1),))),
        (Clock.NONE, 3, False, Loss()),
    ],
)
def test_what_is_missing_follows_from_the_kind_of_clock(
    kind: Clock, stated_s: int | None, complained: bool, loss: Loss
) -> None:
    """Exact times tell all; those of a film may have pauses; where there are none, the header's length tells more."""
    stated = None if stated_s is None else Fraction(stated_s)

    assert find_loss(HOLE, kind, stated_s=stated, complained=complained) == loss


@pytest.mark.parametrize("kind", Clock)
@pytest.mark.parametrize(
    "clock",
    [
        clock_of((0, 1000), (1000, 2000)),
        clock_of((0, 1000), (1010, 1990)),
        clock_of((0, 1000), (990, 2000)),
        clock_of((0, 2000), (0, 1000)),
    ],
    ids=["whole", "late by a rounding", "early", "joined"],
)
def test_of_a_whole_sound_nothing_is_missing(kind: Clock, clock: SampleClock) -> None:
    """Though its header states a little more."""
    stated_s = clock.seconds(clock.end) + Fraction(1, 25)

    assert find_loss(clock, kind, stated_s=stated_s, complained=True) == Loss()


def test_what_is_skipped_between_frames_need_not_be_sound() -> None:
    """A tag takes the time of a frame, where there is no clock."""
    clock = clock_of((0, 1000), (1030, 1000), (2060, 1000))

    assert find_loss(clock, Clock.NONE, stated_s=None, complained=True) == Loss()


@pytest.mark.parametrize(
    ("length_s", "too_much"),
    [(Fraction(0), False), (Fraction(1) - Fraction(1, 10**9), False), (Fraction(1), True), (Fraction(9), True)],
)
def test_a_tenth_is_too_much(length_s: Fraction, too_much: bool) -> None:
    """Of all that should be there: one second beside nine."""
    assert Loss(length_s, (Fraction(0),)).is_too_much(Fraction(9)) == too_much
