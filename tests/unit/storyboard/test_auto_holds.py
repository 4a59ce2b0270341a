"""Holds that last as long as what is spoken over them, of any storyboard, at any rate, in every output."""

from fractions import Fraction
from itertools import accumulate, pairwise
from math import ceil

from hypothesis import given

from pipelines.storyboard.plan import plan_frames
from pipelines.storyboard.timeline import Timeline
from pipelines.storyboard.timing import hold_lengths
from tests.support.narrated_boards import SpokenBoard, spoken_boards

HALF = Fraction(1, 2)


def timelines(spoken: SpokenBoard) -> tuple[Timeline, ...]:
    """Return the timelines of a storyboard's films."""
    return plan_frames(spoken.board, model="sketch", speeches=spoken.speeches).timelines


@given(spoken_boards())
def test_the_sum_of_all_holds_is_the_film(spoken: SpokenBoard) -> None:
    """In each output: no gap, no overlap, none that is never seen, each cut within half a video frame of its time."""
    ends_s = [Fraction(0), *accumulate(hold_lengths(spoken.board, spoken.speeches))]

    for timeline in timelines(spoken):
        cuts = [*(hold.start for hold in timeline.holds), timeline.video_frames]
        assert cuts[0] == 0
        assert [hold.length for hold in timeline.holds] == [after - before for before, after in pairwise(cuts)]
        assert all(hold.length >= 1 for hold in timeline.holds)
        exact = [end_s * timeline.output.fps for end_s in ends_s]
        assert all(-HALF < cut - time <= HALF for cut, time in zip(cuts, exact, strict=True))


@given(spoken_boards())
def test_holds_that_are_written_stay_and_others_are_as_long_as_their_words(spoken: SpokenBoard) -> None:
    """With the gap after these; never shorter, and without transitions less than a video frame longer."""
    board, holds_s = spoken.board, hold_lengths(spoken.board, spoken.speeches)
    is_crossed = any(frame.transition for frame in board.frames)

    written = [(frame.hold_s, hold_s) for frame, hold_s in zip(board.frames, holds_s, strict=True) if frame.hold_s]
    assert all(asked_s == hold_s for asked_s, hold_s in written)
    for narration, speech in zip(board.narrations, spoken.speeches, strict=True):
        numbers = range(narration.frame, narration.frame + narration.frames)
        shared = [holds_s[number] for number in numbers if board.frames[number].hold_s is None]
        held_s = sum((holds_s[number] for number in numbers), Fraction(0))
        needed_s = speech.length_s + board.narrator.gap_s
        if not shared:
            continue
        assert held_s >= needed_s
        written_s = held_s - sum(shared)
        slowest = min(output.fps for output in board.outputs)
        # Where no share is less than a video frame of any output.
        if not is_crossed and needed_s - written_s > 2 * len(shared) / slowest:
            assert sum(shared) * board.output.fps == ceil((needed_s - written_s) * board.output.fps)


@given(spoken_boards())
def test_chapters_and_voices_begin_with_their_frames(spoken: SpokenBoard) -> None:
    """A chapter lasts until the next; a voice until the next, or the film's end."""
    board = spoken.board
    scenes = [frame.scene for frame in board.frames]
    firsts = [scenes.index(scene.id) for scene in board.scenes]

    for timeline in timelines(spoken):
        starts = [timeline.holds[number].start for number in firsts]
        ends = [*starts[1:], timeline.video_frames]
        assert [(chapter.start, chapter.end) for chapter in timeline.chapters] == list(zip(starts, ends, strict=True))
        begun = [timeline.holds[narration.frame].start for narration in board.narrations]
        assert [each.start for each in timeline.spoken] == begun
        assert [each.end for each in timeline.spoken] == [*begun[1:], timeline.video_frames][: len(begun)]


@given(spoken_boards())
def test_transitions_fit_into_the_holds_beside_them(spoken: SpokenBoard) -> None:
    """Half of one in each; two of them never overlap, and none is left out."""
    for timeline in timelines(spoken):
        for before, after in pairwise(timeline.holds):
            crossed = spoken.board.frames[before.frame].transition is not None
            assert (before.transition is not None, before.half > 0) == (crossed, crossed)
            assert 2 * before.half <= min(before.length, after.length)
