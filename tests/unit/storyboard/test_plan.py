"""A plan is exact: every cut within half a video frame of its time, every request key what is asked and no more."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate, pairwise
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.common.budgets import Budgets
from pipelines.common.geometry import AspectRatio, Fit, Size
from pipelines.common.settings import Settings
from pipelines.endpoints.amounts import Price
from pipelines.endpoints.prices import price_list
from pipelines.storyboard.model import BoardFrame, BoardScene, CaptionStyle, Narration, Output, Place, Storyboard
from pipelines.storyboard.plan import plan_frames, plan_of, request_key, take_of
from pipelines.storyboard.speech import Speech
from pipelines.storyboard.timeline import Chapter, Hold, build_timeline
from pipelines.storyboard.timing import hold_lengths

MODEL = "flux-1-schnell"
HARBOR = BoardFrame("arrival", "wide", "a harbor", (), 4, AspectRatio.LANDSCAPE, Fraction(2), Fit.COVER)
DAWN, QUOTED, YOAKE = "a harbor at dawn", 'a "quoted" harbor\n', "港の夜明け"
CLOUDFLARE, KLEIN = "cloudflare", "flux-2-klein-4b"
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
    exact = [Fraction(0), *accumulate(length_s * fps for length_s in hold_lengths(board, ()))]

    timeline = build_timeline(board)

    cuts = [*(hold.start for hold in timeline.holds), timeline.video_frames]
    assert all(-HALF < cut - time <= HALF for cut, time in zip(cuts, exact, strict=True))


@given(boards())
def test_the_film_is_as_long_as_its_holds_together(board: Storyboard) -> None:
    """The total is the exact total, rounded once, half up."""
    exact = sum(hold_lengths(board, ())) * board.output.fps

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


@pytest.mark.parametrize(
    ("dialect", "model", "prompt", "steps", "aspect", "take", "copy", "key"),
    [
        ("flux", MODEL, DAWN, 4, "16:9", 1, 1, "ae5799c243e4b53cabff33c0613354e7836534dc69f69f265515b634c5575780"),
        ("flux", MODEL, DAWN, 4, "16:9", 1, 2, "1c1a19434514ea51acafda284aa091dfe3f36b1a99ad3d27c8dee27a5c99cdd6"),
        ("flux", MODEL, DAWN, 4, "16:9", 2, 1, "929949e6bd81a081ff09da6aa9be0aac4d801823fdfc78b3109d49755292bda8"),
        ("flux", MODEL, DAWN, 4, "16:9", 3, 2, "a324837dccde4751bb568a5c3f3e388e68300bb009366148a0d1e51e5a3d81ed"),
        ("flux", "sketch", QUOTED, 4, "9:16", 1, 1, "8eb4e7dbe19429f2ba5d17fae4fab099bc286cb97ca7b8fe049de5584b115a9f"),
        # Wherever a model is asked, and whatever is made of it there, it is the same request.
        (CLOUDFLARE, MODEL, DAWN, 4, "16:9", 1, 1, "ae5799c243e4b53cabff33c0613354e7836534dc69f69f265515b634c5575780"),
        (CLOUDFLARE, KLEIN, YOAKE, 8, "1:1", 1, 1, "7e354ee4e1d67ef4549f5e3144a708b950c0c64765665abb375cc3f1f9d8496d"),
        (
            "openai", "black-forest-labs/FLUX-1-schnell", DAWN, 1, "3:4", 1, 1,
            "84e501ba4c94647fefc6e28c1d59e9dc2f52af371cbc72c96980595521195844",
        ),
    ],
)  # fmt: skip
def test_the_key_of_each_request_is_frozen(
    dialect: str, model: str, prompt: str, steps: int, aspect: str, take: int, copy: int, key: str
) -> None:
    """By the model's short name, the number among frames that ask for the same, and the number of the take."""
    frame = replace(HARBOR, prompt=prompt, steps=steps, aspect=AspectRatio(aspect))
    plan = plan_frames(board_of(*[frame] * copy), model=price_list(dialect).find(model))

    assert take_of(plan.frames[-1], take, model=plan.model).request_key == key


@pytest.mark.parametrize(
    ("dialect", "named", "key"),
    [
        ("cloudflare", MODEL, "ae5799c243e4b53cabff33c0613354e7836534dc69f69f265515b634c5575780"),
        (
            "cloudflare", "@cf/black-forest-labs/flux-1-schnell",
            "ae5799c243e4b53cabff33c0613354e7836534dc69f69f265515b634c5575780",
        ),
        (
            "flux", "@cf/black-forest-labs/flux-1-schnell",
            "ae5799c243e4b53cabff33c0613354e7836534dc69f69f265515b634c5575780",
        ),
        ("cloudflare", "@cf/leonardo/lucid-origin", "501173715842f73e261e80129009087a874308203ba684de66caa1eb9eed1d13"),
        ("openai", "dall-e-3", "212b397e84287cbd5d53daf0a4368e3df172462cd96215f866a08eee47ce9a69"),
        ("openai", "gpt-image-1", "289710dfea147bb607e9e126bc4066fb6be936c1ba9301645bbeec4a46226bc8"),
    ],
)  # fmt: skip
def test_a_model_has_the_same_keys_under_each_of_its_names(dialect: str, named: str, key: str) -> None:
    """As people name it in settings, wherever it is asked; frozen too."""
    settings = Settings(endpoint="https://api.test", dialect=dialect, model=named)

    assert plan_of(board_of(replace(HARBOR, prompt=DAWN)), settings).frames[0].request_key == key


def test_a_frame_costs_what_its_model_makes_of_it() -> None:
    """A model that makes squares is paid for squares; a name alone is priced by the FLUX API's list."""
    board = board_of(HARBOR)
    squares = plan_frames(board, model=price_list("cloudflare").model(MODEL))

    assert squares.frames[0].price == Price(Decimal("0.0006336"), Decimal("0.022176"), Decimal("57.6"))
    assert plan_frames(board, model=MODEL).frames[0].price.usd == Decimal("0.000758")


def test_a_plan_is_for_the_model_that_the_settings_choose() -> None:
    """At its price there; where no list has one, at the most that it may cost by the settings."""
    board = board_of(HARBOR)
    asked = {"endpoint": "https://api.test", "dialect": "cloudflare", "price_usd": "0.5"}

    def price_usd(**settings: Any) -> Decimal:
        return plan_of(board, Settings(**settings)).frames[0].price.usd

    assert price_usd(**asked, model="flux-2-klein-4b") == Decimal("0.0011462")
    assert price_usd(**asked, model="dreamshaper-8-lcm") == Decimal("0.5")
    assert price_usd(price_usd="0.5") == Decimal("0.000758")


def key_of(frame: BoardFrame, *, model: str = MODEL) -> str:
    """Return the request key of a storyboard's only frame."""
    return plan_frames(board_of(frame), model=model).frames[0].request_key


def test_frames_without_a_hold_share_the_length_of_what_is_spoken_over_them() -> None:
    """Planning is given the speech; three frames of a shot that speaks for two seconds divide its video frames."""
    speaking = replace(HARBOR, shot="speech", hold_s=None)
    narration = Narration("Six in the morning.", 1, 3, Place(0, 0, ""))
    board = replace(board_of(HARBOR, speaking, speaking, speaking), narrations=(narration,))
    speech = Speech("", Path("speech.wav"), Fraction("1.75"), ())

    plan = plan_frames(board, model=MODEL, speeches=[speech])

    lengths = [hold.length for hold in plan.timeline.holds]
    # With the narrator's gap of 0.3 s, in whole video frames.
    assert sum(lengths[1:]) == ceil(Fraction("2.05") * plan.timeline.output.fps)
    assert max(lengths[1:]) - min(lengths[1:]) <= 1
    assert lengths[0] == round(2 * plan.timeline.output.fps)
