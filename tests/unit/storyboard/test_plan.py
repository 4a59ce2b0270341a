"""A plan is exact: every cut within half a video frame of its time, every request key what is asked and no more."""

from dataclasses import replace
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.common.budgets import Budgets
from pipelines.common.geometry import AspectRatio, Fit, Size
from pipelines.storyboard.model import BoardFrame, BoardScene, CaptionStyle, Output, Storyboard
from pipelines.storyboard.plan import plan_frames, request_key
from pipelines.storyboard.timeline import Chapter, Hold, build_timeline
from pipelines.storyboard.timing import NO_SPEECH, hold_lengths

MODEL = "flux-1-schnell"
HARBOR = BoardFrame("arrival", "wide", "a harbor", (), 4, AspectRatio.LANDSCAPE, Fraction(2), Fit.COVER)
OUTPUT = Output(Fraction(24), Size(1344, 768), "h264", 18, Fit.COVER)
HALF = Fraction(1, 2)

rates = st.sampled_from([Fraction(12), Fraction(24), Fraction(25), Fraction(24000, 1001), Fraction(60000, 1001)])


def board_of(*frames: BoardFrame, output: Output = OUTPUT) -> Storyboard:
    """Return a storyboard of these frames; scenes follow from theirs."""
    ids = dict.fromkeys(frame.scene for frame in frames)
    scenes = tuple(BoardScene(scene, scene.title()) for scene in ids)
    path, captions = Path("harbor.yaml"), (CaptionStyle(),)
    return Storyboard("harbor", "Harbor at dawn", path, (output,), Budgets(), scenes, frames, captions)


@st.composite
def boards(draw: st.DrawFn) -> Storyboard:
    """Draw a storyboard whose holds are each one video frame or longer."""
    fps = draw(rates)
    shortest_s = 1 / fps
    longer_s = st.fractions(min_value=0, max_value=20, max_denominator=10_000)
    holds_s = draw(st.lists(longer_s, min_size=1, max_size=60))
    frames = [replace(HARBOR, hold_s=shortest_s + hold_s) for hold_s in holds_s]
    return board_of(*frames, output=replace(OUTPUT, fps=fps))


@given(boards())
def test_holds_follow_one_another_and_none_is_empty(board: Storyboard) -> None:
    """No gap, no overlap, and no frame that was paid for is never seen."""
    holds = build_timeline(board).holds

    assert [hold.frame for hold in holds] == list(range(len(board.frames)))
    assert holds[0].start == 0
    assert all(this.start + this.length == after.start for this, after in pairwise(holds))
    assert all(hold.length >= 1 for hold in holds)


@given(boards())
def test_every_cut_is_within_half_a_video_frame_of_its_time(board: Storyboard) -> None:
    """Rounding never adds up, however many frames there are."""
    fps = board.output.fps
    exact = [Fraction(0), *accumulate(length_s * fps for length_s in hold_lengths(board.frames, NO_SPEECH))]

    timeline = build_timeline(board)

    cuts = [*(hold.start for hold in timeline.holds), timeline.video_frames]
    assert all(-HALF < cut - time <= HALF for cut, time in zip(cuts, exact, strict=True))


@given(boards())
def test_the_film_is_as_long_as_its_holds_together(board: Storyboard) -> None:
    """The total is the exact total, rounded once, half up."""
    exact = sum(hold_lengths(board.frames, NO_SPEECH)) * board.output.fps

    timeline = build_timeline(board)

    assert timeline.video_frames == (exact + HALF).__floor__()
    assert timeline.duration_s == timeline.video_frames / board.output.fps


def test_a_half_video_frame_is_rounded_up() -> None:
    """Cuts at 1.5, 3 and 4.5 video frames stand at 2, 3 and 5."""
    frame = replace(HARBOR, hold_s=Fraction(3, 48))

    assert build_timeline(board_of(frame, frame, frame)).holds == (Hold(0, 0, 2), Hold(1, 2, 1), Hold(2, 3, 2))


def test_every_scene_is_a_chapter() -> None:
    """Chapters begin and end where their scenes' frames do."""
    frames = [replace(HARBOR, hold_s=Fraction(1)), HARBOR, replace(HARBOR, scene="storm")]

    timeline = build_timeline(board_of(*frames))

    assert timeline.title == "Harbor at dawn"
    assert timeline.chapters == (Chapter("Arrival", 0, 72), Chapter("Storm", 72, 120))


def test_a_plan_says_what_to_ask_for_and_where_it_stands() -> None:
    """Each frame of the storyboard becomes one numbered frame to show."""
    storm = replace(HARBOR, scene="storm", shot="close", prompt="a storm", fallback_prompts=("rain",), steps=8)
    board = board_of(HARBOR, storm)

    plan = plan_frames(board, model=MODEL)

    second = plan.frames[1]
    assert (plan.storyboard, plan.title, plan.model) == ("harbor", "Harbor at dawn", MODEL)
    assert plan.timeline == build_timeline(board)
    assert (second.number, second.name, second.label) == (1, "frame_0001", "frame_0001 storm/close")
    assert (second.prompt, second.fallback_prompts, second.steps) == ("a storm", ("rain",), 8)
    assert (second.aspect, second.fit, second.takes) == (AspectRatio.LANDSCAPE, Fit.COVER, 1)
    assert second.request_key == request_key(
        model=MODEL, prompt="a storm", steps=8, aspect=AspectRatio.LANDSCAPE, take=1
    )


def test_a_frame_is_priced_by_its_size_and_steps() -> None:
    """The price of an attempt is the list's for its tiles and steps."""
    small, large = plan_frames(board_of(HARBOR, replace(HARBOR, steps=8)), model=MODEL).frames

    assert str(small.price.usd) < str(large.price.usd)


def test_frames_that_ask_the_same_have_pictures_of_their_own() -> None:
    """The same request twice shows two pictures, not one twice."""
    other = replace(HARBOR, prompt="a storm")

    plan = plan_frames(board_of(HARBOR, other, HARBOR, HARBOR), model=MODEL)

    assert [frame.copy for frame in plan.frames] == [1, 1, 2, 3]
    assert len({frame.request_key for frame in plan.frames}) == 4


@given(st.permutations([0, 0, 0, 1, 1, 2]))
def test_reordering_asks_for_nothing_new(order: list[int]) -> None:
    """The set of request keys is the same in any order."""
    asked = [HARBOR, replace(HARBOR, prompt="a storm"), replace(HARBOR, steps=5)]
    plain = plan_frames(board_of(*(asked[number] for number in sorted(order))), model=MODEL)

    mixed = plan_frames(board_of(*(asked[number] for number in order)), model=MODEL)

    assert {frame.request_key for frame in mixed.frames} == {frame.request_key for frame in plain.frames}


@pytest.mark.parametrize(
    "other",
    [
        replace(HARBOR, hold_s=Fraction(9)),
        replace(HARBOR, fit=Fit.STRETCH),
        replace(HARBOR, scene="elsewhere", shot="close"),
        replace(HARBOR, fallback_prompts=("a quay",)),
    ],
    ids=["hold", "fit", "place", "fallback prompts"],
)
def test_what_is_not_asked_does_not_enter_the_key(other: BoardFrame) -> None:
    """Timing, fit and place can change without generating anything."""
    assert key_of(other) == key_of(HARBOR)


@pytest.mark.parametrize(
    "other",
    [replace(HARBOR, prompt="a quay"), replace(HARBOR, steps=5), replace(HARBOR, aspect=AspectRatio.SQUARE)],
    ids=["prompt", "steps", "aspect"],
)
def test_what_is_asked_enters_the_key(other: BoardFrame) -> None:
    """Another request is another picture."""
    assert key_of(other) != key_of(HARBOR)


def test_the_model_enters_the_key() -> None:
    """A sketch never stands in for a real take."""
    assert key_of(HARBOR, model="sketch") != key_of(HARBOR)


def test_request_keys_stay_the_same_forever() -> None:
    """A key that moved would have every frame of every storyboard generated again."""
    asked = {"prompt": "a harbor 港", "steps": 4, "aspect": AspectRatio.LANDSCAPE, "take": 1}

    key = request_key(model=MODEL, **asked)  # type: ignore[arg-type]

    assert key == "3c8e8c828e111549bd8390ac202fd8bbe281f6ebf7278dd8d9010e7654c82b89"


def key_of(frame: BoardFrame, *, model: str = MODEL) -> str:
    """Return the request key of a storyboard's only frame."""
    return plan_frames(board_of(frame), model=model).frames[0].request_key


def test_frames_without_a_hold_share_the_length_of_their_shots_speech() -> None:
    """Planning is given the lengths of speech; three frames of a shot that speaks for two seconds divide its frames."""
    speaking = replace(HARBOR, shot="speech", hold_s=None)
    board = board_of(HARBOR, speaking, speaking, speaking)

    plan = plan_frames(board, model=MODEL, speech_s={("arrival", "speech"): Fraction(2)})

    lengths = [hold.length for hold in plan.timeline.holds]
    assert sum(lengths[1:]) == round(2 * plan.timeline.output.fps)
    assert max(lengths[1:]) - min(lengths[1:]) <= 1
    assert lengths[0] == round(2 * plan.timeline.output.fps)
