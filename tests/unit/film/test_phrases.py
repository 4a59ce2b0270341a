"""Phrases: where a narration is broken, from when to when each part is on screen, and in which lines."""

import re
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pipelines.common.lettering.segmentation import count_columns, split_letters
from pipelines.film.phrases import Phrase, PhraseLimits, break_speech, divide
from pipelines.storyboard.speech import Speech
from tests.support.speeches import spoken, timed

SECOND = Fraction(1)
ISHMAEL = (
    "Call me Ishmael. Some years ago — never mind how long precisely — having little or no money in my purse, and "
    "nothing particular to interest me on shore, I thought I would sail about a little and see the watery part of the "
    "world."
)


def limits(
    speech: Speech, *, lines: int = 2, columns: int = 42, fps: int = 24, language: str | None = None
) -> PhraseLimits:
    return PhraseLimits(lines, columns, Fraction(17), Fraction(fps), speech.length_s + SECOND, language)


def lines_of(
    speech: Speech, lines: int = 2, columns: int = 42, fps: int = 24, language: str | None = None
) -> list[list[str]]:
    """Return the lines of each phrase of a speech."""
    return [
        phrase.text.split("\n")
        for phrase in break_speech(speech, limits(speech, lines=lines, columns=columns, fps=fps, language=language))
    ]


def times_of(phrases: tuple[Phrase, ...]) -> list[tuple[str, float, float]]:
    return [(phrase.text, float(phrase.start_s), float(phrase.end_s)) for phrase in phrases]


def test_things_are_divided_at_the_least_cost() -> None:
    """The whole of it counts: the cheapest first part may lead to dear ones."""
    costs = {(0, 1): 1.0, (0, 2): 5.0, (1, 2): 1.0, (1, 3): 9.0, (2, 3): 4.0, (0, 3): 20.0}

    parts = divide(3, lambda start: [(end, cost) for (first, end), cost in costs.items() if first == start])

    assert parts == [(0, 1), (1, 2), (2, 3)]
    assert divide(0, lambda _: []) == []


def test_phrases_end_with_sentences_then_with_clauses() -> None:
    """And their lines likewise, of about one length otherwise."""
    assert lines_of(spoken(ISHMAEL)) == [
        ["Call me Ishmael."],
        ["Some years ago —", "never mind how long precisely —"],
        ["having little or no money in my purse,"],
        ["and nothing particular", "to interest me on shore,"],
        ["I thought I would sail about a little", "and see the watery part of the world."],
    ]


def test_a_sentence_goes_on_behind_an_abbreviation_and_what_is_quoted() -> None:
    """A full stop alone ends no sentence, nor does a question within one."""
    text = 'Dr. Smith and J. R. Jones came at five. "Who is there?" he asked. Nobody knew.'

    assert lines_of(spoken(text)) == [
        ["Dr. Smith and J. R. Jones came at five."],
        ['"Who is there?" he asked.'],
        ["Nobody knew."],
    ]


def test_no_word_stands_alone() -> None:
    """Neither as a phrase nor in a last line, unless nothing else is said."""
    assert lines_of(spoken("Yes. He came home. No.")) == [["Yes. He came home. No."]]
    assert lines_of(spoken("No. No. No. No.", word_s=SECOND)) == [["No. No."], ["No. No."]]
    assert lines_of(spoken("We have been waiting for a thunderstorm")) == [["We have been waiting for a thunderstorm"]]
    assert lines_of(spoken("We have been waiting for a long thunderstorm")) == [
        ["We have been waiting", "for a long thunderstorm"]
    ]
    assert lines_of(spoken("Stop!")) == [["Stop!"]]


def test_a_word_stands_alone_where_others_would_be_shown_long_before_they_are_spoken() -> None:
    """Three seconds of silence are too long for that."""
    early, late = (timed(("No.", 0, 0.5), ("He", at, at + 0.2), ("left.", at + 0.2, at + 0.7)) for at in (1.5, 3.5))

    assert (lines_of(early), lines_of(late)) == ([["No. He left."]], [["No."], ["He left."]])


def test_a_long_silence_ends_a_phrase() -> None:
    """Whatever its words are."""
    speech = timed(("the", 0, 0.2), ("storm", 0.2, 0.6), ("went", 2, 2.3), ("on", 2.3, 2.5))

    phrases = break_speech(speech, limits(speech))

    assert times_of(phrases) == [("the storm", 0, 1.6), ("went on", 2, 3.5)]


def test_a_breath_ends_a_clause() -> None:
    """Where nothing is written that would."""
    speech = timed(("Six", 0, 0.5), ("in", 0.5, 0.7), ("the", 0.7, 0.9), ("morning", 0.9, 1.5), ("nobody", 1.8, 2.2),
                   ("is", 2.2, 2.4), ("awake", 2.4, 3), ("there", 3.1, 3.6))  # fmt: skip

    assert lines_of(speech, columns=30) == [["Six in the morning", "nobody is awake there"]]


def test_a_phrase_lingers_for_a_second_or_up_to_the_next_one() -> None:
    """And never beyond where nothing is spoken any more."""
    speech = timed(("One", 0, 1), ("two.", 1, 2), ("Three", 4, 5), ("four.", 5, 6), ("Five", 6.2, 7), ("six.", 7, 8))

    phrases = break_speech(speech, limits(speech))

    assert times_of(phrases) == [("One two.", 0, 3), ("Three four.", 4, 6.2), ("Five six.", 6.2, 9)]


def test_what_is_not_spoken_any_more_is_left_out() -> None:
    """A word that is cut off is on screen for as long as it lasts."""
    speech = timed(("One", 0, 1), ("two", 1, 2), ("three", 2, 3))
    room = PhraseLimits(2, 42, Fraction(17), Fraction(24), Fraction(3, 2))

    [phrase] = break_speech(speech, room)

    assert times_of((phrase,)) == [("One two", 0, 1.5)]
    assert phrase.words[-1].end_s == Fraction(3, 2)
    assert break_speech(speech, PhraseLimits(2, 42, Fraction(17), Fraction(24), Fraction(0))) == ()


def test_words_are_joined_as_they_are_written() -> None:
    """In scripts without spaces, by nothing; a space there ends a clause. Wide letters count twice."""
    japanese = spoken(
        "日本の港の夜明けは、とても静かです。灯台守は眠らずに、船を見ていました。",
        cut="日本|の|港|夜明け|は、?|とても|静かです。|灯台守|眠らずに、|船を|見て|いました。",
    )
    thai = spoken("ท่าเรือยามเช้าเงียบสงบ ผู้ดูแลเห็นเรือกลับบ้าน", cut="ท่าเรือ|ยาม|เช้า|เงียบ|สงบ|ผู้|ดูแล|เห็น|เรือ|กลับ|บ้าน")

    assert lines_of(japanese, columns=24) == [
        ["日本の港の夜明けは、", "とても静かです。"],
        ["灯台守は眠らずに、", "船を見ていました。"],
    ]
    assert lines_of(thai, columns=24) == [["ท่าเรือยามเช้าเงียบสงบ", "ผู้ดูแลเห็นเรือกลับบ้าน"]]


def test_a_word_longer_than_a_line_is_cut_where_lines_may_end() -> None:
    """A sentence without spaces, too, if its voice says no more of it; its parts share its time."""
    speech = timed(("ท่าเรือยามเช้าเงียบสงบมากผู้ดูแลเห็นเรือกลับบ้าน", 0, 4), ("x" * 30, 4, 7))

    phrases = break_speech(speech, limits(speech, columns=20, language="th"))

    assert [line for phrase in phrases for line in phrase.text.split("\n")] == [
        "ท่าเรือยามเช้าเงียบสงบ",
        "มากผู้ดูแลเห็นเรือกลับบ้าน",
        "x" * 20,
        "x" * 10,
    ]
    words = [word for phrase in phrases for word in phrase.words]
    assert [words[0].start_s, words[-1].end_s] == [Fraction(0), Fraction(7)]
    assert all(one.end_s == next_one.start_s for one, next_one in pairwise(words))


def test_lines_have_the_direction_of_their_text() -> None:
    """By an invisible mark where they begin with a word of the other direction."""
    arabic, english = spoken("رأى ثلاث سفن، Marina Bay عند الفجر"), spoken("They came home, שבת they said")

    assert lines_of(arabic, columns=24) == [["رأى ثلاث سفن،", "\u200fMarina Bay عند الفجر"]]
    assert lines_of(english, columns=20) == [["They came home,", "\u200eשבת they said"]]


def test_a_phrase_is_seen_where_it_can_be() -> None:
    """At a video frame a second, what would be too short for one goes together with its neighbour."""
    speech = timed(
        ("Yes", 0, 0.1), ("sir.", 0.1, 0.3), ("Here", 0.4, 0.5), ("now.", 0.5, 0.8), ("It", 2, 3), ("is.", 3, 4)
    )

    assert lines_of(speech) == [["Yes sir."], ["Here now."], ["It is."]]
    assert lines_of(speech, fps=1) == [["Yes sir. Here now."], ["It is."]]


TEXTS = st.lists(st.text(st.sampled_from("aeinrst日ก한אب🌅,.?"), min_size=1, max_size=14), min_size=1, max_size=40).map(
    " ".join
)


@given(TEXTS, st.integers(1, 4), st.integers(10, 50), st.sampled_from([1, 24, 120]))
def test_every_word_is_in_a_phrase_and_every_line_fits(text: str, lines: int, columns: int, fps: int) -> None:
    """In order, at its place, for as long as it is spoken; and none on screen beside another."""
    speech = spoken(text, silence_s=Fraction(1, 20))

    phrases = break_speech(speech, limits(speech, lines=lines, columns=columns, fps=fps))

    shown = "".join(phrase.text[word.start : word.end] for phrase in phrases for word in phrase.words)
    assert shown == "".join(text.split())
    assert all(one.end_s <= following.start_s for one, following in pairwise(phrases))
    for phrase in phrases:
        rows = phrase.text.split("\n")
        assert len(rows) <= lines
        assert all(sum(map(count_columns, split_letters(row))) <= columns for row in rows)
        assert phrase.start_s == phrase.words[0].start_s
        assert phrase.words[-1].end_s <= phrase.end_s
        assert not re.search(r"^\s|\s$", phrase.text, re.MULTILINE)


def test_letters_that_are_read_are_counted_without_spaces() -> None:
    """Wide ones count twice, for they say more."""
    speech = timed(("one", 0, 1), ("日本", 1, 2))

    [phrase] = break_speech(speech, limits(speech))

    assert phrase.letters_per_second == Fraction(7, 3)
