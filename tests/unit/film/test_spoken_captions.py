"""What is spoken as captions: which words stand in which video frames, and in which pieces of the film."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest

from pipelines.film.captions import Highlighted, Revealed, ScreenText, text_of
from pipelines.film.segments import Morph, Segment, SpokenCrossing, Stay, cut_segments
from pipelines.film.spoken_captions import CaptionTrack, Cue, cues_of, phrases_of
from pipelines.storyboard.model import CaptionStyle, Motion, MotionType, Smooth, SmoothMethod, WordCaptions
from pipelines.storyboard.timeline import Timeline
from tests.support.speeches import speaking, spoken, timed

HIGHLIGHT, ONE_BY_ONE = CaptionStyle(words=WordCaptions.HIGHLIGHT), CaptionStyle(words=WordCaptions.ONE_BY_ONE)
BOATS = timed(("Three", 0.5, 1), ("boats.", 1, 1.5), ("One", 2, 2.2), ("burned.", 2.6, 3))


def track_of(timeline: Timeline) -> list[tuple[int, ScreenText | None]]:
    """Return what is to be read in a film; what goes on over several holds, once."""
    runs: list[tuple[int, ScreenText | None]] = []
    for length, text in CaptionTrack(timeline).between(0, timeline.video_frames):
        before = runs.pop()[0] if runs and runs[-1][1] == text else 0
        runs.append((before + length, text))
    return runs


def test_a_phrase_is_on_screen_while_it_is_spoken() -> None:
    """From its first word until the next one, or a second after its last."""
    timeline = speaking(BOATS, lengths=[48, 72])

    assert track_of(timeline) == [(12, None), (36, "Three boats."), (48, "One burned."), (24, None)]


def test_the_word_that_is_spoken_is_highlighted() -> None:
    """Over a short silence too; not over a long one, nor while the phrase lingers."""
    timeline = speaking(BOATS, lengths=[48, 72], style=HIGHLIGHT)

    assert track_of(timeline) == [
        (12, None),
        (12, Highlighted("Three boats.", 0, 5)),
        (12, Highlighted("Three boats.", 6, 12)),
        (12, "Three boats."),
        (5, Highlighted("One burned.", 0, 3)),
        (9, "One burned."),
        (10, Highlighted("One burned.", 4, 11)),
        (24, "One burned."),
        (24, None),
    ]


def test_words_appear_one_by_one() -> None:
    """Each as it is spoken, and those before it stay."""
    timeline = speaking(BOATS, lengths=[48, 72], style=ONE_BY_ONE)

    assert track_of(timeline) == [
        (12, None),
        (12, Revealed("Three boats.", 5)),
        (24, "Three boats."),
        (14, Revealed("One burned.", 3)),
        (34, "One burned."),
        (24, None),
    ]


@pytest.mark.parametrize(
    "fps", [Fraction(1), Fraction(12), Fraction(24000, 1001), Fraction(60), Fraction(120)], ids=str
)
@pytest.mark.parametrize("style", [HIGHLIGHT, ONE_BY_ONE], ids=["highlight", "one-by-one"])
def test_a_word_changes_with_the_video_frame_nearest_to_its_time(fps: Fraction, style: CaptionStyle) -> None:
    """So it is never earlier or later than by half a video frame, at whatever rate."""
    speech = spoken("One two three four five six seven.", word_s=Fraction(137, 100), silence_s=Fraction(1, 30))
    timeline = speaking(spoken("One two."), speech, lengths=[int(2 * fps), int(14 * fps)], style=style, fps=fps)
    start_s = timeline.holds[1].start / fps

    changes, at = [], 0
    for (length, before), (_, after) in pairwise(track_of(timeline)):
        at += length
        if (
            at / fps > start_s - 1 / fps
            and after is not None
            and text_of(after).startswith("One two three")
            and before != after
        ):
            changes.append(at / fps)

    due = [start_s + word.start_s for word in speech.words]
    assert all(min(abs(change - word_s) for change in changes) <= Fraction(1, 2) / fps for word_s in due)


def test_a_caption_of_a_holds_own_is_shown_instead() -> None:
    """What it interrupts comes again where something of it is still to be spoken, and else not."""
    speech = timed(("Three", 0, 0.5), ("boats", 1, 1.5), ("came", 2, 2.5), ("home.", 2.5, 2.75))
    timeline = speaking(speech, lengths=[24, 24, 24, 24], captions=[None, "Night", None, "End"])

    assert track_of(timeline) == [
        (24, "Three boats came home."),
        (24, "Night"),
        (24, "Three boats came home."),
        (24, "End"),
    ]
    assert cues_of(timeline) == [
        Cue(Fraction(0), Fraction(1), "Three boats came home."),
        Cue(Fraction(1), Fraction(2), "Night"),
        Cue(Fraction(2), Fraction(3), "Three boats came home."),
        Cue(Fraction(3), Fraction(4), "End"),
    ]
    silent = speaking(timed(("Three", 0, 0.5), ("boats.", 0.5, 1)), lengths=[24, 12, 24], captions=[None, "Night"])
    assert track_of(silent) == [(24, "Three boats."), (12, "Night"), (24, None)]


def test_a_narration_ends_where_the_next_one_begins() -> None:
    """Its last words are not spoken, and stand nowhere."""
    timeline = speaking(BOATS, timed(("It", 0, 0.5), ("rains.", 0.5, 1)), lengths=[26, 22])

    assert [phrase.text for phrase in phrases_of(timeline)] == ["Three boats.", "It rains."]
    assert track_of(timeline) == [(12, None), (14, "Three boats."), (22, "It rains.")]


def test_what_takes_no_time_is_never_highlighted() -> None:
    """A dash is written and not spoken; the word before it stays."""
    speech = timed(("One", 0, 0.5), ("—", 0.5, 0.5), ("two.", 0.7, 1))
    highlighted = track_of(speaking(speech, lengths=[24], style=HIGHLIGHT))
    one_by_one = track_of(speaking(speech, lengths=[24], style=ONE_BY_ONE))

    assert highlighted == [(17, Highlighted("One — two.", 0, 3)), (7, Highlighted("One — two.", 6, 10))]
    assert one_by_one == [(12, Revealed("One — two.", 3)), (5, Revealed("One — two.", 5)), (7, "One — two.")]


def test_words_too_short_for_a_video_frame_give_way_to_the_next() -> None:
    """At a video frame a second, several are spoken in one; a phrase still is on screen."""
    speech = spoken("a b c d e f g h.", word_s=Fraction(1, 10))
    timeline = speaking(speech, lengths=[2], style=HIGHLIGHT, fps=Fraction(1))

    assert track_of(timeline) == [(1, Highlighted("a b c d e f g h.", 8, 9)), (1, "a b c d e f g h.")]


def test_the_film_is_as_long_as_before() -> None:
    """Whatever is spoken when: with transitions, moves and in-betweens."""
    speech = spoken("One two three four, five six seven. Eight nine ten.", word_s=Fraction(1, 3))
    timeline = speaking(speech, lengths=[30, 31, 40, 45], style=HIGHLIGHT)
    changes: tuple[dict[str, object], ...] = (
        {"transition": "dissolve", "half": 6},
        {"motion": Motion(MotionType.PUSH_IN, Fraction(1, 10))},
        {"smooth": Smooth(None, SmoothMethod.BLEND)},
        {},
    )
    holds = tuple(replace(hold, **change) for hold, change in zip(timeline.holds, changes, strict=True))  # type: ignore[arg-type]
    timeline = replace(timeline, holds=holds)

    segments = cut_segments(timeline)

    assert sum(segment.length for segment in segments) == timeline.video_frames
    runs = [run for segment in segments for run in segment.captions]
    shown = [text for length, text in runs for _ in range(length)]
    assert shown == [text for length, text in track_of(timeline) for _ in range(length)]
    kinds = [{type(part) for part in segment.parts} for segment in segments]
    assert kinds == [{Stay}, {SpokenCrossing}, {Stay}, {Morph}, {Stay}]


def test_a_move_goes_on_while_words_change() -> None:
    """Each part of it begins where the one before it has ended."""
    timeline = speaking(spoken("One two three four."), lengths=[72], style=HIGHLIGHT)
    timeline = replace(
        timeline, holds=(replace(timeline.holds[0], motion=Motion(MotionType.PUSH_IN, Fraction(1, 10))),)
    )

    [segment] = cut_segments(timeline)

    parts = [part for part in segment.parts if isinstance(part, Stay)]
    assert [(part.shown.age, part.length) for part in parts] == [(0, 6), (6, 6), (12, 6), (18, 6), (24, 24), (48, 24)]
    assert {part.shown.span for part in parts} == {72}


def keys_of(timeline: Timeline) -> list[str]:
    return [segment.key({frame: f"a{frame}" for frame in segment.frames}, ()) for segment in cut_segments(timeline)]


def test_a_changed_word_changes_the_pieces_of_its_own_hold_alone() -> None:
    """Words of one hold are one piece, however many they are."""
    before, after = (
        [spoken(f"One two three {number}."), spoken(f"Four five {word}."), spoken("Seven eight nine.")]
        for number, word in (("3", "six"), ("3", "sex"))
    )
    lengths = [72, 72, 72]

    first, second = (keys_of(speaking(*speeches, lengths=lengths, style=HIGHLIGHT)) for speeches in (before, after))

    assert len(first) == 3
    assert [one == other for one, other in zip(first, second, strict=True)] == [True, False, True]


def test_words_that_are_not_drawn_make_no_pieces() -> None:
    """They are in the subtitles; the hold is one still as it was."""
    timeline = speaking(spoken("One two three."), lengths=[72], style=replace(HIGHLIGHT, burn=False))

    assert keys_of(timeline) == keys_of(replace(timeline, spoken=()))
    assert [cue.text for cue in cues_of(timeline)] == ["One two three."]


def test_short_holds_share_a_piece_with_all_their_words() -> None:
    """As short holds do that say nothing."""
    speeches = [spoken("One two."), spoken("Three four.")]

    [segment] = cut_segments(speaking(*speeches, lengths=[20, 20], style=HIGHLIGHT))

    assert isinstance(segment, Segment)
    assert segment.frames == (0, 1)
    assert segment.length == 40
    assert len(segment.parts) == 6
