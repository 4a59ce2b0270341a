"""The time that is left: over takes and segments together, never 0 while there is work, unknown before measured."""

import pytest

from pipelines.film.effort import SECONDS_PER_MEGAPIXEL
from pipelines.run.time_left import EncodingPace, TakePace, TimeLeft
from tests.support.clocks import Seconds


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture
def left(clock: Seconds) -> TimeLeft:
    """Return the estimate of a run of a hundred takes, and of segments of a thousand megapixels by two encoders."""
    return TimeLeft(TakePace(clock, expected=100, assumed_s=0.1), EncodingPace(expected=1000, encoders=2))


def end_takes(left: TimeLeft, clock: Seconds, count: int, *, gap_s: float) -> None:
    """End some takes, each `gap_s` after the one before."""
    for _ in range(count):
        clock.now += gap_s
        left.takes.count()


def encode(left: TimeLeft, count: int, *, seconds: float | None) -> None:
    """Encode some segments of ten megapixels, each in so many seconds of an encoder."""
    for _ in range(count):
        left.encoding.count(10, seconds)


@pytest.mark.parametrize("ended", [0, 1])
def test_before_takes_have_a_pace_nothing_is_known(left: TimeLeft, clock: Seconds, ended: int) -> None:
    """One answer is no pace; nor does what is encoded tell when the takes come."""
    end_takes(left, clock, ended, gap_s=5)
    encode(left, 3, seconds=1)

    assert (left.seconds, left.known) == (None, False)


def test_takes_are_left_for_as_long_as_their_pace_says(left: TimeLeft, clock: Seconds) -> None:
    """Twenty in ten seconds: the eighty others take forty; the segments of the last one follow."""
    end_takes(left, clock, 20, gap_s=0.5)
    encode(left, 20, seconds=0.2)

    assert left.takes.seconds_left == pytest.approx(40)
    assert left.seconds == pytest.approx(40 + 0.2)


def test_encoding_is_what_is_left_where_it_takes_longer(left: TimeLeft, clock: Seconds) -> None:
    """800 megapixels at half a second each by one encoder; there are two."""
    end_takes(left, clock, 20, gap_s=0.5)
    encode(left, 20, seconds=5)

    assert left.seconds == pytest.approx(800 * 0.5 / 2)


def test_after_the_last_take_the_encoding_alone_is_left(left: TimeLeft, clock: Seconds) -> None:
    """Down to a second: people read 0 as done."""
    end_takes(left, clock, 100, gap_s=0.1)
    encode(left, 99, seconds=1)
    before_the_last = left.seconds
    encode(left, 1, seconds=1)

    assert (before_the_last, left.seconds, left.known) == (1.0, None, True)


def test_takes_that_are_there_leave_the_encoding_to_be_measured(left: TimeLeft) -> None:
    """Nothing to generate, and no segment done yet."""
    left.takes.expected = 0
    before = left.seconds, left.known
    encode(left, 1, seconds=1)

    assert before == (None, False)
    assert left.seconds == pytest.approx(990 * 0.1 / 2)


def test_segments_that_wait_for_the_last_take_are_added(left: TimeLeft, clock: Seconds) -> None:
    """Takes of another size are fitted first, and none is encoded before: at the speed of a machine like ours."""
    end_takes(left, clock, 20, gap_s=0.5)

    assert left.seconds == pytest.approx(80 * 0.5 + 1000 * SECONDS_PER_MEGAPIXEL / 2)


def test_segments_that_were_there_before_cost_no_time(left: TimeLeft, clock: Seconds) -> None:
    """They say nothing of the encoders' speed, and are no work."""
    end_takes(left, clock, 100, gap_s=0.1)
    encode(left, 60, seconds=None)
    encode(left, 20, seconds=1)

    assert left.seconds == pytest.approx(200 * 0.1 / 2)
    assert left.share == pytest.approx((100 * 0.1 + 200 * 0.05) / (100 * 0.1 + 400 * 0.05))


def test_a_run_that_stands_still_promises_less_and_less(left: TimeLeft, clock: Seconds) -> None:
    """The gap since the last take counts; after a minute without any, nothing is known, and the bar has not moved."""
    end_takes(left, clock, 11, gap_s=1)
    encode(left, 1, seconds=0.1)
    at_first, share = left.takes.seconds_left, left.share
    clock.now += 10
    later = left.takes.seconds_left
    clock.now += 60

    assert [at_first, later] == pytest.approx([89, 89 * 2])
    assert (left.seconds, left.share) == (None, share)


def test_the_pace_is_that_of_the_last_minute(left: TimeLeft, clock: Seconds) -> None:
    """A slow start does not count for ever."""
    left.takes.expected = 1000
    end_takes(left, clock, 10, gap_s=30)
    end_takes(left, clock, 600, gap_s=0.1)

    assert left.takes.seconds_left == pytest.approx(390 * 0.1, rel=0.01)


def test_one_a_minute_is_a_pace(clock: Seconds) -> None:
    """A minute would hold no two of them."""
    left = TimeLeft(TakePace(clock, expected=10, assumed_s=60))
    end_takes(left, clock, 3, gap_s=60)

    assert left.takes.seconds_left == pytest.approx(7 * 60)


def test_answers_of_one_moment_are_not_taken_for_a_pace(clock: Seconds) -> None:
    """No division by zero on a coarse clock, and no promise of an end at once."""
    left = TimeLeft(TakePace(clock, expected=100))
    end_takes(left, clock, 2, gap_s=0)

    assert left.takes.seconds_left == 98


def test_the_bar_is_full_only_once_the_film_is_there(left: TimeLeft, clock: Seconds) -> None:
    """Joining and the check of the film come after the last segment."""
    shares = [left.share]
    end_takes(left, clock, 100, gap_s=0.1)
    shares.append(left.share)
    encode(left, 100, seconds=1)
    shares.append(left.share)
    left.film_made = True

    assert [*shares, left.share] == [0, pytest.approx(10 / (10 + 1000 * SECONDS_PER_MEGAPIXEL / 2)), 0.99, 1]


def test_a_run_without_work_has_no_bar_to_fill(clock: Seconds) -> None:
    """Nothing to generate and nothing to encode."""
    left = TimeLeft(TakePace(clock))

    assert (left.share, left.seconds, left.known) == (0, None, True)


def test_what_is_given_up_is_not_waited_for(left: TimeLeft, clock: Seconds) -> None:
    """A frame failed: its segments are never encoded, and the report is written."""
    end_takes(left, clock, 100, gap_s=0.1)
    encode(left, 50, seconds=1)
    left.over = True

    assert (left.seconds, left.known) == (None, True)


def test_the_speed_of_the_encoders_is_told_once_it_is_measured(left: TimeLeft) -> None:
    """Of all of them together; a tenth of a second measures nothing."""
    encode(left, 1, seconds=0.1)
    too_short = left.encoding.megapixels_per_s
    encode(left, 19, seconds=0.1)

    assert too_short is None
    assert left.encoding.megapixels_per_s == pytest.approx(2 * 200 / 2)
