"""Transitions, moves and captions are as the timeline says, picture by picture, read back from the film."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from pipelines.common.geometry import Size
from pipelines.film.assembler import assemble_film
from pipelines.film.segments import Crossing, Morph, Part, Shown, Stay, cut_segments
from pipelines.storyboard.model import Ease, Motion, MotionType, Smooth, SmoothMethod
from pipelines.storyboard.timeline import Hold, Timeline
from pipelines.storyboard.transitions import OWN, SLIDES, WIPES, XFADE
from tests.support.film_samples import (
    COLOURS,
    TOLERANCE,
    Picture,
    colour_of,
    flat_frames,
    noisy_gradient,
    pictures,
    similarity,
    timeline_of,
)

# The films of several kinds of transitions and moves are each cut once for many tests.
pytestmark = pytest.mark.xdist_group("film_language")

RATES = [Fraction(24), Fraction(24000, 1001), Fraction(60000, 1001)]
RED, BLUE = np.array(COLOURS["red"]), np.array(COLOURS["blue"])


def film_of(lengths: Sequence[int], *, half: int = 0, motion: Motion | None = None, **output: object) -> Timeline:
    """Return a timeline whose holds all have the same move, with dissolves between them where `half` says so."""
    timeline = timeline_of(lengths, **output)  # type: ignore[arg-type]
    last = len(lengths) - 1
    holds = [
        replace(hold, transition="dissolve" if half and n < last else None, half=half if n < last else 0, motion=motion)
        for n, hold in enumerate(timeline.holds)
    ]
    return replace(timeline, holds=tuple(holds))


def shares(films: Sequence[Picture]) -> list[float]:
    """Return how much of each picture is no longer red but blue, by its mean."""
    means = np.array([picture.reshape(-1, 3).mean(axis=0) for picture in films])
    way = BLUE - RED
    return [float(share) for share in (means - RED) @ way / (way @ way)]


def films_of(
    frames: Sequence[Path], lengths: Sequence[int], kinds: Sequence[str], *, half: int, fps: Fraction = Fraction(24)
) -> dict[str, list[Picture]]:
    """Cut one film in which a short film for each kind of transition follows another, with a cut between them.

    Args:
        frames: of each short film.
        lengths: of its holds.
        kinds: of transitions; each is between any two frames of its short film.
        half: of each transition, in video frames.
        fps: the rate.

    Returns:
        The pictures of each short film, by its kind.
    """
    timeline = timeline_of(list(lengths) * len(kinds), fps=fps)
    last = len(lengths) - 1
    holds = [
        hold if n % len(lengths) == last else replace(hold, transition=kinds[n // len(lengths)], half=half)
        for n, hold in enumerate(timeline.holds)
    ]
    timeline = replace(timeline, holds=tuple(holds))
    film = assemble_film(timeline, list(frames) * len(kinds), frames[0].parent / "film.mp4")
    shown, length = pictures(film.path), sum(lengths)
    assert len(shown) == film.video_frames == length * len(kinds)
    return {kind: shown[n * length : (n + 1) * length] for n, kind in enumerate(kinds)}


@pytest.fixture(scope="module")
def from_red_to_blue(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Picture]]:
    """Return the pictures of a hold of red and one of blue, of 10 each, with each kind of transition in 8 of them."""
    return films_of(flat_frames(tmp_path_factory.mktemp("all"), ["red", "blue"]), [10, 10], [*OWN, *XFADE], half=4)


def crossing(shown: Sequence[Picture]) -> list[Picture]:
    """Return the pictures of a transition of 8 video frames from red to blue, in holds of 10."""
    assert len(shown) == 20
    assert [colour_of(picture) for picture in shown[:6]] == ["red"] * 6
    assert [colour_of(picture) for picture in shown[14:]] == ["blue"] * 6
    return list(shown[6:14])


# The share of the coming picture in the middle of each of eight video frames.
EIGHTHS = [(2 * n + 1) / 16 for n in range(8)]


@pytest.mark.parametrize("fps", RATES, ids=str)
def test_a_dissolve_mixes_in_proportion(tmp_path: Path, fps: Fraction) -> None:
    """Its middle is the cut point; the same at every rate."""
    films = films_of(flat_frames(tmp_path, ["red", "blue"]), [10, 10], ["dissolve"], half=4, fps=fps)

    assert shares(crossing(films["dissolve"])) == pytest.approx(EIGHTHS, abs=0.02)


@pytest.mark.parametrize(("kind", "colour"), [("fade_black", "black"), ("fade_white", "white")])
def test_a_fade_is_plain_in_its_middle(from_red_to_blue: Mapping[str, list[Picture]], kind: str, colour: str) -> None:
    """Red goes before blue comes, and neither is seen with the other."""
    plain = np.array(COLOURS[colour])
    expected = [RED + (plain - RED) * 2 * share for share in EIGHTHS[:4]]
    expected += [plain + (BLUE - plain) * (2 * share - 1) for share in EIGHTHS[4:]]

    for picture, mean in zip(crossing(from_red_to_blue[kind]), expected, strict=True):
        assert np.abs(picture.astype(int) - mean).max() <= TOLERANCE + 2


@pytest.mark.parametrize("way", ["left", "right", "up", "down"])
@pytest.mark.parametrize("kind", ["wipe", "slide"])
def test_edges_move_where_the_name_says(from_red_to_blue: Mapping[str, list[Picture]], kind: str, way: str) -> None:
    """The coming picture is on the side that the edge comes from, and has its share of the whole."""
    shown = crossing(from_red_to_blue[f"{kind}_{way}"])

    assert shares(shown) == pytest.approx(EIGHTHS, abs=0.03)
    corner = {"left": (24, -2), "right": (24, 1), "up": (-2, 32), "down": (1, 32)}[way]
    opposite = {"left": (24, 1), "right": (24, -2), "up": (1, 32), "down": (-2, 32)}[way]
    assert np.abs(shown[3][corner].astype(int) - BLUE).max() <= 12
    assert np.abs(shown[3][opposite].astype(int) - RED).max() <= 12


@pytest.fixture(scope="module")
def from_a_mark(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Picture]]:
    """Return the pictures of wipes and slides as of `from_red_to_blue`, with a mark in the middle of the red frame."""
    frames = flat_frames(tmp_path_factory.mktemp("mark"), ["red", "blue"])
    marked = Image.open(frames[0])
    ImageDraw.Draw(marked).rectangle((28, 20, 35, 27), fill="white")
    marked.save(frames[0])
    return films_of(frames, [10, 10], [*WIPES, *SLIDES], half=4)


@pytest.mark.parametrize("way", ["left", "right", "up", "down"])
def test_a_slide_moves_both_pictures_and_a_wipe_none(from_a_mark: Mapping[str, list[Picture]], way: str) -> None:
    """A mark in the middle of the leaving picture stands still in a wipe until the edge comes, and moves in a slide."""
    across, forward = way in ("left", "right"), way in ("left", "up")
    for kind in ("wipe", "slide"):
        shown = from_a_mark[f"{kind}_{way}"][8]

        rows, columns = np.nonzero(shown.min(axis=2) > 150)
        place = columns.mean() if across else rows.mean()
        still, side = (31.5, 64) if across else (23.5, 48)
        come = round(EIGHTHS[2] * side / 2) * 2
        moved = (-come if forward else come) if kind == "slide" else 0
        assert place == pytest.approx(still + moved, abs=1)


@pytest.mark.parametrize("kind", XFADE)
def test_every_transition_of_ffmpeg_begins_red_and_ends_blue(
    from_red_to_blue: Mapping[str, list[Picture]], kind: str
) -> None:
    """By its own name, in its own time, for its own number of video frames."""
    shown = crossing(from_red_to_blue[kind])

    assert len(shown) == 8
    assert shares(shown)[0] < 0.5 < shares(shown)[-1]


FIVE_NAMES, FIVE_LENGTHS = ["red", "green", "blue", "white", "purple"], [8, 11, 9, 20, 8]
FIVE_KINDS = [*OWN, "circleopen", "hblur"]


@pytest.fixture(scope="module")
def five_holds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Picture]]:
    """Return the pictures of five holds with each kind of transition between any two."""
    return films_of(flat_frames(tmp_path_factory.mktemp("five"), FIVE_NAMES), FIVE_LENGTHS, FIVE_KINDS, half=3)


@pytest.mark.parametrize("kind", FIVE_KINDS)
def test_holds_and_length_do_not_depend_on_transitions(five_holds: Mapping[str, list[Picture]], kind: str) -> None:
    """The middle of every hold shows its frame and nothing else, wherever transitions are; the film is no longer."""
    shown = five_holds[kind]

    cuts = [0, *accumulate(FIVE_LENGTHS)]
    assert len(shown) == sum(FIVE_LENGTHS)
    assert [colour_of(shown[cut + 4]) for cut in cuts[:-1]] == FIVE_NAMES
    # The films of other kinds begin and end where this one does.
    assert [colour_of(shown[end]) for end in (0, -1)] == ["red", "purple"]


def test_transitions_may_meet_in_the_middle_of_a_hold(tmp_path: Path) -> None:
    """A hold as long as its transitions is never alone on screen, and the arithmetic holds."""
    frames = flat_frames(tmp_path / "frames", ["red", "blue", "red"])

    film = assemble_film(film_of([8, 8, 8], half=4), frames, tmp_path / "film.mp4")

    expected = [0.0] * 4 + EIGHTHS + EIGHTHS[::-1] + [0.0] * 4
    assert shares(pictures(film.path)) == pytest.approx(expected, abs=0.03)


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    """Draw holds, each long enough for its transitions, some of them with in-betweens."""
    lengths = draw(st.lists(st.integers(1, 60), min_size=1, max_size=12))
    timeline = timeline_of(lengths, fps=draw(st.sampled_from(RATES)))
    holds: list[Hold] = []
    for n, hold in enumerate(timeline.holds):
        most = min(lengths[n], lengths[n + 1]) // 2 if n + 1 < len(lengths) else 0
        smooth = Smooth(None, SmoothMethod.BLEND) if most and draw(st.booleans()) else None
        led_in = bool(holds and holds[-1].smooth)
        longest = 0 if smooth else min(most, (lengths[n] - 1) // 2 if led_in else most)
        # The next hold may be led out of by in-betweens from its middle.
        half = draw(st.integers(0, min(longest, (lengths[n + 1] - 1) // 2) if longest else 0))
        motion = (
            Motion(MotionType.PUSH_IN, Fraction(1, 10)) if not smooth and not led_in and draw(st.booleans()) else None
        )
        holds.append(replace(hold, half=half, transition="dissolve" if half else None, smooth=smooth, motion=motion))
    return replace(timeline, holds=tuple(holds))


def shown_in(part: Part) -> list[Shown]:
    """Return the frames of a part that may move."""
    match part:
        case Stay(shown=shown):
            return [shown]
        case Crossing(leaving=leaving, coming=coming):
            return [leaving, coming]
        case Morph():
            return []


@given(timelines())
@settings(max_examples=300)
def test_segments_are_the_film(timeline: Timeline) -> None:
    """They follow one another without gap, are as long as the holds, and show each moment of every move once."""
    segments = cut_segments(timeline)

    starts = [0, *accumulate(segment.length for segment in segments)]
    assert [segment.start for segment in segments] == starts[:-1]
    assert starts[-1] == sum(hold.length for hold in timeline.holds)
    assert all(part.length > 0 for segment in segments for part in segment.parts)
    moments: dict[int, list[int]] = {}
    for part in (part for segment in segments for part in segment.parts):
        for frame in shown_in(part):
            if frame.motion:
                moments.setdefault(frame.frame, []).extend(range(frame.age, frame.age + part.length))
                assert frame.age + part.length <= frame.span
    for hold in timeline.holds:
        if hold.motion:
            assert moments[hold.frame] == list(range(len(moments[hold.frame])))


@given(timelines())
@settings(max_examples=100)
def test_only_short_holds_share_a_segment(timeline: Timeline) -> None:
    """A transition or a run of in-betweens is alone, and so is a hold of two seconds or more."""
    few = 2 * timeline.output.fps
    for segment in cut_segments(timeline):
        if len(segment.parts) > 1:
            assert all(isinstance(part, Stay) and part.length < few for part in segment.parts)
            assert sum(part.length for part in segment.parts[:-1]) < few


DISC = Size(320, 192)


def disc_frame(path: Path, place: tuple[float, float] = (200, 120)) -> Path:
    """Draw a bright disc on gray, drawn large and made small so that its middle is known to a fraction of a pixel."""
    large = Image.new("L", (DISC.width * 4, DISC.height * 4), 70)
    x, y = (4 * side for side in place)
    ImageDraw.Draw(large).ellipse((x - 40, y - 40, x + 39, y + 39), fill=220)
    path.parent.mkdir(parents=True, exist_ok=True)
    large.resize((DISC.width, DISC.height), Image.Resampling.BOX).convert("RGB").save(path)
    return path


def middle_of_disc(picture: Picture) -> tuple[float, float]:
    """Return the disc's centre of brightness, in pixels from the upper left corner."""
    light = np.maximum(picture @ np.full(3, 1 / 3) - 90, 0)
    by_column, by_row = light.sum(axis=0), light.sum(axis=1)
    across, down = (float((np.arange(len(line)) * line).sum() / line.sum()) for line in (by_column, by_row))
    return across + 0.5, down + 0.5


def commanded(motion: Motion, progress: float, place: tuple[float, float]) -> tuple[float, float]:
    """Return where a point must be, from the words of the documentation and not from the code."""
    amount = float(motion.amount)
    done = progress if motion.ease is Ease.LINEAR else 3 * progress**2 - 2 * progress**3
    half = (DISC.width / 2, DISC.height / 2)
    if motion.type in (MotionType.PUSH_IN, MotionType.PULL_OUT):
        zoom = 1 + amount * (done if motion.type is MotionType.PUSH_IN else 1 - done)
        return tuple(middle + (at - middle) * zoom for at, middle in zip(place, half, strict=True))  # type: ignore[return-value]
    travelled = {
        MotionType.PAN_RIGHT: (done, 0.5), MotionType.PAN_LEFT: (1 - done, 0.5),
        MotionType.PAN_DOWN: (0.5, done), MotionType.PAN_UP: (0.5, 1 - done),
    }[motion.type]  # fmt: skip
    # The window is 1 / (1 + amount) of the picture; what lies before it is the part of the rest that is travelled.
    sides = (DISC.width, DISC.height)
    return tuple(
        at * (1 + amount) - side * amount * part for at, side, part in zip(place, sides, travelled, strict=True)
    )  # type: ignore[return-value]


PLACE = (200.0, 120.0)
MOVES = [Motion(kind, Fraction(1, 10), ease) for kind in MotionType if kind is not MotionType.NONE for ease in Ease]
# In video frames: half a transition, a hold that moves, and the plain one before and after it.
MOVE_HALF, MOVE, PLAIN = 6, 60, 20
MOVE_SPAN = MOVE + 2 * MOVE_HALF
# The first and the last are mixed with gray so much that the disc is too faint to measure.
MEASURED = range(3, MOVE_SPAN - 3)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[Motion, list[tuple[float, float]]]:
    """Cut one film of all moves; return where the disc is in each of the `MEASURED` pictures of each move."""
    folder = tmp_path_factory.mktemp("moves")
    # The neighbours of each move keep the disc out of the way: they are plain.
    Image.new("RGB", (DISC.width, DISC.height), (70, 70, 70)).save(folder / "plain.png")
    frames = [folder / "plain.png", disc_frame(folder / "disc.png", PLACE)] * len(MOVES) + [folder / "plain.png"]
    timeline = film_of([PLAIN, MOVE] * len(MOVES) + [PLAIN], half=MOVE_HALF, size=DISC)
    holds = [replace(hold, motion=MOVES[n // 2] if n % 2 else None) for n, hold in enumerate(timeline.holds)]
    film = assemble_film(replace(timeline, holds=tuple(holds)), frames, folder / "film.mp4")
    shown = pictures(film.path, DISC)
    starts = [hold.start - MOVE_HALF for hold in holds if hold.motion]
    return {
        move: [middle_of_disc(shown[start + n]) for n in MEASURED] for move, start in zip(MOVES, starts, strict=True)
    }


@pytest.mark.parametrize("move", MOVES, ids=lambda move: f"{move.type}-{move.ease}")
def test_a_move_neither_shakes_nor_drifts(paths: Mapping[Motion, list[tuple[float, float]]], move: Motion) -> None:
    """A point stays within 0.15 px RMS of its commanded path, through transitions too, and never steps back."""
    found = np.array(paths[move])
    expected = np.array([commanded(move, (n + 0.5) / MOVE_SPAN, PLACE) for n in MEASURED])
    rms = math.sqrt(((found - expected) ** 2).sum(axis=1).mean())
    # Where it is all there, its place is known to a few hundredths of a pixel.
    steps = np.diff(found[MOVE_HALF:-MOVE_HALF], axis=0) * np.sign(expected[-1] - expected[0])
    assert rms <= 0.15
    assert steps.min() >= -0.03


def test_a_still_hold_beside_moves_is_still(tmp_path: Path) -> None:
    """motion: none is none."""
    frames = [disc_frame(tmp_path / f"{n}.png") for n in range(2)]

    film = assemble_film(film_of([12, 12], size=DISC), frames, tmp_path / "film.mp4")

    assert len({picture.tobytes() for picture in pictures(film.path, DISC)[:12]}) == 1


@pytest.mark.parametrize("method", list(SmoothMethod))
def test_in_betweens_lead_from_middle_to_middle(tmp_path: Path, method: SmoothMethod) -> None:
    """Each frame is shown as it is in the middle of its hold; between two of them the disc is on its way."""
    places = [(60.0 + 12 * n, 90.0) for n in range(4)]
    frames = [disc_frame(tmp_path / f"{n}.png", place) for n, place in enumerate(places)]
    timeline = timeline_of([12, 12, 12, 12], size=DISC)
    smooth = Smooth(None, method)
    holds = [replace(hold, smooth=smooth if n < 3 else None) for n, hold in enumerate(timeline.holds)]

    film = assemble_film(replace(timeline, holds=tuple(holds)), frames, tmp_path / "film.mp4")

    across = [middle_of_disc(picture)[0] for picture in pictures(film.path, DISC)]
    assert len(across) == 48
    assert [across[6 + 12 * n] for n in range(4)] == pytest.approx([place[0] for place in places], abs=0.6)
    assert [across[n] for n in (0, 3, 45)] == pytest.approx([60, 60, 96], abs=0.6)
    assert [across[12 + 12 * n] for n in range(3)] == pytest.approx([66, 78, 90], abs=1.5)


def white_rows(picture: Picture) -> list[int]:
    """Return the rows in which something is as bright as a caption."""
    return [int(row) for row in np.nonzero((picture.min(axis=2) > 150).any(axis=1))[0]]


@pytest.mark.parametrize("fps", [*RATES, Fraction(240)], ids=str)
def test_a_caption_is_there_for_its_hold_and_no_video_frame_more(tmp_path: Path, fps: Fraction) -> None:
    """Whatever the rate, and whether anything moves, as in the second half of the film, or not."""
    size, push = Size(320, 180), Motion(MotionType.PUSH_IN, Fraction(1, 10))
    frames = flat_frames(tmp_path / "frames", ["red", "blue", "green"], size=size) * 2
    holds = list(timeline_of([5, 7, 4] * 2, fps=fps, size=size).holds)
    for n in (1, 4):
        holds[n] = replace(holds[n], caption="Six in the morning")
    # A transition between the halves: holds in a row that are all still are encoded otherwise than those that move.
    holds[2] = replace(holds[2], transition="dissolve", half=1)
    holds[3:] = [replace(hold, motion=push) for hold in holds[3:]]
    timeline = replace(timeline_of([5, 7, 4] * 2, fps=fps, size=size), holds=tuple(holds))

    film = assemble_film(timeline, frames, tmp_path / "film.mp4")

    half = [False] * 5 + [True] * 7 + [False] * 4
    assert [bool(white_rows(picture)) for picture in pictures(film.path, size)] == half * 2


def test_captions_change_in_the_middle_of_a_transition(tmp_path: Path) -> None:
    """Where the cut would be."""
    size = Size(320, 180)
    frames = flat_frames(tmp_path / "frames", ["red", "blue"], size=size)
    timeline = film_of([10, 10], half=4, size=size)
    holds = (replace(timeline.holds[0], caption="before"), timeline.holds[1])

    film = assemble_film(replace(timeline, holds=holds), frames, tmp_path / "film.mp4")

    assert [bool(white_rows(picture)) for picture in pictures(film.path, size)] == [True] * 10 + [False] * 10


@pytest.mark.parametrize("motion", [None, Motion(MotionType.PUSH_IN, Fraction(1, 10))], ids=["still", "moving"])
def test_the_film_is_like_its_frames_whether_they_move_or_not(tmp_path: Path, motion: Motion | None) -> None:
    """At the default quality, the middle of a hold has an SSIM of 0.97 or more with the visible part of its frame."""
    size, lengths = Size(384, 216), [9, 33, 9]
    frame = noisy_gradient(size)
    frames = [tmp_path / f"{n}.png" for n in range(3)]
    for path in frames:
        frame.save(path)

    film = assemble_film(film_of(lengths, half=4, motion=motion, size=size), frames, tmp_path / "film.mp4")

    side = 1 / (1 + 0.1 * 0.5) if motion else 1.0
    box = (size.width * (1 - side) / 2, size.height * (1 - side) / 2)
    seen = frame.resize(
        (size.width, size.height),
        Image.Resampling.LANCZOS,
        (*box, size.width - box[0], size.height - box[1]),
    )
    seen.save(tmp_path / "seen.png")
    assert similarity(film.path, lengths[0] + lengths[1] // 2, tmp_path / "seen.png") >= 0.97
